//! Single flight and a bound for the expensive step.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OnceCell, Semaphore};

use super::{VerifyError, cache::TokenHash};
use crate::{identity::Identity, reason};

type Verdict = Result<Identity, VerifyError>;

/// Lets equal tokens be verified once and bounds how many are verified at a time.
pub(crate) struct Flights {
    running: Mutex<HashMap<TokenHash, Arc<OnceCell<Verdict>>>>,
    slots: Semaphore,
    waiting: usize,
}

impl Flights {
    /// One core is left to answer what is cached; at most `waiting` different tokens queue.
    pub(crate) fn new(waiting: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let slots = Semaphore::new(cores.saturating_sub(1).max(1));
        Self { running: Mutex::default(), slots, waiting }
    }

    /// The verdict on this token: by `work`, or by an equal call that is under way.
    pub(crate) async fn run(&self, hash: TokenHash, work: impl Future<Output = Verdict>) -> Verdict {
        let cell = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.len() >= self.waiting && !running.contains_key(&hash) {
                return Err(VerifyError::new(reason::OVERLOADED));
            }
            running.entry(hash).or_default().clone()
        };
        // If this call is dropped half-way, the next one that waits takes the work over.
        let landing = Landing { flights: self, hash, cell: &cell };
        let verdict = cell.get_or_init(|| work).await.clone();
        drop(landing);
        verdict
    }

    /// Holds one slot for the expensive step.
    pub(crate) async fn slot(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.slots.acquire().await.ok()
    }
}

/// Takes the entry away when the last call that uses it ends.
struct Landing<'a> {
    flights: &'a Flights,
    hash: TokenHash,
    cell: &'a Arc<OnceCell<Verdict>>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut running = self.flights.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Two handles are the map's and this call's: nobody else waits. A finished flight leaves
        // the map at once, so that a later equal token meets the cache instead.
        if self.cell.initialized() || Arc::strong_count(self.cell) <= 2 {
            if running.get(&self.hash).is_some_and(|c| Arc::ptr_eq(c, self.cell)) {
                running.remove(&self.hash);
            }
        }
    }
}
