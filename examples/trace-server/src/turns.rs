//! How many of a tenant's requests are worked on at the same time.
//!
//! The others wait for their turn before they ask for what all tenants share, so that of each tenant
//! only so many stand in the common lines, however much it asks for at once. Those lines are in the
//! order of asking: another tenant waits for at most so many of this one's requests, not for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::{Problem, Reason};
use crate::tenant::Tenant;

/// One kind of work, with a bounded number of turns for each tenant.
#[derive(Debug)]
pub(crate) struct Turns {
    at_once: usize,
    tenants: Mutex<HashMap<Tenant, Line>>,
}

/// A tenant's turn; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// Those of one tenant who have a turn or wait for one.
#[derive(Debug)]
struct Line {
    semaphore: Arc<Semaphore>,
    /// How many they are. INVARIANT: counted under the map's lock, and never 0 there.
    places: usize,
}

/// Somebody who has a turn or waits for one.
#[derive(Debug)]
struct Place {
    turns: Arc<Turns>,
    tenant: Tenant,
}

impl Turns {
    /// Turns of which one tenant has `at_once`.
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self { at_once, tenants: Mutex::default() })
    }

    /// Waits for the tenant's turn, in the order of asking.
    ///
    /// # Errors
    ///
    /// [`Reason::Overloaded`] when it does not come in time.
    pub(crate) async fn begin(self: &Arc<Self>, tenant: &Tenant) -> Result<Turn, Problem> {
        let (place, semaphore) = self.place(tenant);
        match tokio::time::timeout(PATIENCE, semaphore.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit, _place: place }),
            _ => Err(Problem::new(
                Reason::Overloaded,
                format!("{} of this tenant's requests are being worked on", self.at_once),
            )),
        }
    }

    fn place(self: &Arc<Self>, tenant: &Tenant) -> (Place, Arc<Semaphore>) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let line = tenants.entry(tenant.clone()).or_insert_with(|| Line {
            semaphore: Arc::new(Semaphore::new(self.at_once)),
            places: 0,
        });
        line.places += 1;
        let place = Place { turns: Arc::clone(self), tenant: tenant.clone() };
        (place, Arc::clone(&line.semaphore))
    }

    /// How many have a turn of the tenant's or wait for one.
    #[cfg(test)]
    pub(crate) fn places(&self, tenant: &Tenant) -> usize {
        self.tenants.lock().unwrap().get(tenant).map_or(0, |line| line.places)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut tenants = self.turns.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = tenants.get_mut(&self.tenant) {
            line.places -= 1;
            if line.places == 0 {
                tenants.remove(&self.tenant);
            }
        }
    }
}

/// How long a request waits for its turn, and then for each thing that all tenants share. Whoever
/// waits for longer is told to come back.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn tenant(id: &'static str) -> Tenant {
        let mut headers = HeaderMap::new();
        headers.insert("x-tenant-id", http::HeaderValue::from_static(id));
        Tenant::from_headers(&headers).unwrap()
    }

    /// Says whether nobody gets a turn at once.
    async fn has_to_wait(turns: &Arc<Turns>, tenant: &Tenant) -> bool {
        tokio::time::timeout(Duration::from_millis(20), turns.begin(tenant)).await.is_err()
    }

    #[tokio::test]
    async fn a_tenant_waits_for_itself_and_not_for_another() {
        let turns = Turns::new(2);
        let (acme, other) = (tenant("acme"), tenant("other"));
        let first = turns.begin(&acme).await.unwrap();
        let _second = turns.begin(&acme).await.unwrap();
        assert!(has_to_wait(&turns, &acme).await);
        assert!(!has_to_wait(&turns, &other).await);
        drop(first);
        assert!(!has_to_wait(&turns, &acme).await);
    }

    #[tokio::test]
    async fn nothing_is_kept_of_tenants_that_are_done() {
        let turns = Turns::new(1);
        let acme = tenant("acme");
        let turn = turns.begin(&acme).await.unwrap();
        assert!(has_to_wait(&turns, &acme).await);
        assert_eq!(turns.tenants.lock().unwrap().len(), 1);
        drop(turn);
        assert!(turns.tenants.lock().unwrap().is_empty());
    }

    #[test]
    fn nothing_is_kept_when_the_last_two_leave_together() {
        let turns = Turns::new(2);
        let acme = tenant("acme");
        for round in 0..2_000 {
            let leaving = [turns.place(&acme), turns.place(&acme)];
            let together = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                for place in leaving {
                    scope.spawn(|| {
                        together.wait();
                        drop(place);
                    });
                }
            });
            assert!(turns.tenants.lock().unwrap().is_empty(), "round {round}");
        }
    }
}
