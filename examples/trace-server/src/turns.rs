//! How many of a tenant's requests are worked on at the same time.
//!
//! The others wait for their turn before they ask for what all tenants share, so that a tenant that
//! asks for much at once waits for itself and nobody else waits for it.

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
    tenants: Mutex<HashMap<Tenant, Arc<Semaphore>>>,
}

/// A tenant's turn; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    // Given back before the place is looked at, which counts who still holds the semaphore.
    _permit: OwnedSemaphorePermit,
    _place: Place<'a>,
}

/// Somebody who has a turn or waits for one.
#[derive(Debug)]
struct Place<'a> {
    turns: &'a Turns,
    tenant: Tenant,
    semaphore: Arc<Semaphore>,
}

impl Turns {
    /// Turns of which one tenant has `at_once`.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { at_once, tenants: Mutex::default() }
    }

    /// Waits for the tenant's turn, in the order of asking.
    ///
    /// # Errors
    ///
    /// [`Reason::Overloaded`] when it does not come in time.
    pub(crate) async fn begin(&self, tenant: &Tenant) -> Result<Turn<'_>, Problem> {
        let place = self.place(tenant);
        let turn = Arc::clone(&place.semaphore).acquire_owned();
        match tokio::time::timeout(PATIENCE, turn).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit, _place: place }),
            _ => Err(Problem::new(
                Reason::Overloaded,
                format!("{} requests of this tenant are being worked on", self.at_once),
            )),
        }
    }

    fn place(&self, tenant: &Tenant) -> Place<'_> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let semaphore =
            tenants.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.at_once)));
        Place { turns: self, tenant: tenant.clone(), semaphore: Arc::clone(semaphore) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut tenants = self.turns.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one: nobody else is there, and nobody can come while it is locked.
        if Arc::strong_count(&self.semaphore) == 2 {
            tenants.remove(&self.tenant);
        }
    }
}

/// Whoever waits for longer is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);

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
    async fn has_to_wait(turns: &Turns, tenant: &Tenant) -> bool {
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
}
