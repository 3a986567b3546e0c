//! Single flight: of many callers that want the same row, one asks the store.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// The questions under way.
pub(super) struct Flights<K, V> {
    running: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Flights<K, V> {
    pub(super) fn new() -> Self {
        Self { running: Mutex::new(HashMap::new()) }
    }

    /// Joins the flight for `key`, or starts it. If the caller that asks is cancelled, one of
    /// those who wait asks in its place.
    pub(super) async fn join(&self, key: K, ask: impl Future<Output = V>) -> V {
        let cell = Arc::clone(self.running().entry(key.clone()).or_default());
        let seat = Seat { flights: self, key, cell };
        seat.cell.get_or_init(|| ask).await.clone()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<K, Arc<OnceCell<V>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One caller's part in a flight: when the last one leaves, or the answer is there, the flight is
/// over, and whoever comes later asks again.
struct Seat<'a, K: Clone + Eq + Hash, V: Clone> {
    flights: &'a Flights<K, V>,
    key: K,
    cell: Arc<OnceCell<V>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Drop for Seat<'_, K, V> {
    fn drop(&mut self) {
        let mut running = self.flights.running();
        let mine = running.get(&self.key).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        // Two: the map's and this one's.
        if mine && (self.cell.initialized() || Arc::strong_count(&self.cell) <= 2) {
            running.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn many_callers_ask_once_and_nothing_stays_behind() {
        let flights: Arc<Flights<&str, u32>> = Arc::new(Flights::new());
        let asked = Arc::new(AtomicU32::new(0));
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let (flights, asked) = (Arc::clone(&flights), Arc::clone(&asked));
                tokio::spawn(async move {
                    flights
                        .join("acme", async {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            asked.fetch_add(1, Ordering::Relaxed) + 1
                        })
                        .await
                })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 1);
        }
        assert!(flights.running().is_empty());
    }

    #[tokio::test]
    async fn a_cancelled_caller_leaves_its_question_to_another() {
        let flights: Flights<&str, u32> = Flights::new();
        let never = flights.join("acme", std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(5), never).await.is_err());
        assert!(flights.running().is_empty());
        assert_eq!(flights.join("acme", async { 7 }).await, 7);
    }
}
