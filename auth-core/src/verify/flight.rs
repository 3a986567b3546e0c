//! Single flight and a bound for the expensive step.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OnceCell, Semaphore};

use super::{VerifyError, cache::TokenHash};
use crate::identity::Identity;

type Verdict = Result<Identity, VerifyError>;

/// One token under way. Calls are counted under the lock of the map: a count by `Arc` would miss
/// when two calls are dropped at once, and leave the entry behind for ever.
#[derive(Default)]
struct Flight {
    cell: Arc<OnceCell<Verdict>>,
    calls: usize,
}

/// Lets equal tokens be verified once and bounds how many are verified at a time.
pub(crate) struct Flights {
    running: Mutex<HashMap<TokenHash, Flight>>,
    slots: Semaphore,
    waiting: usize,
}

impl Flights {
    /// One core is left to answer what is cached; at most `waiting` different tokens queue.
    pub(crate) fn new(waiting: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let slots = Semaphore::new(cores.saturating_sub(1).max(1));
        // With no place at all nothing could ever be verified.
        Self { running: Mutex::default(), slots, waiting: waiting.max(1) }
    }

    /// The verdict on this token: by `work`, or by an equal call that is under way.
    pub(crate) async fn run(
        &self,
        hash: TokenHash,
        work: impl Future<Output = Verdict>,
    ) -> Verdict {
        let cell = {
            let mut running = self.lock();
            if running.len() >= self.waiting && !running.contains_key(&hash) {
                return Err(VerifyError::overloaded());
            }
            let flight = running.entry(hash).or_default();
            flight.calls += 1;
            flight.cell.clone()
        };
        // If this call is dropped half-way, the next one that waits takes the work over.
        let _landing = Landing { flights: self, hash, cell: &cell };
        cell.get_or_init(|| work).await.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenHash, Flight>> {
        // Nothing is half-written when a holder panics.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut running = self.flights.lock();
        let Entry::Occupied(mut flight) = running.entry(self.hash) else { return };
        if !Arc::ptr_eq(&flight.get().cell, self.cell) {
            // A later flight of an equal token.
            return;
        }
        flight.get_mut().calls -= 1;
        // A finished flight leaves the map at once, so that a later equal token meets the cache.
        if flight.get().calls == 0 || self.cell.initialized() {
            flight.remove();
        }
    }
}
