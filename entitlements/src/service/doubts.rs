//! Rows that are known to be out of date, or may be, and have not been read again yet.
//!
//! Nobody is answered from them as long as the store can be asked. When it cannot, they are what was
//! true when the store was last heard before the change, and count as that old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{TenantId, TenantRecord};

#[derive(Default)]
pub(super) struct Doubts {
    rows: Mutex<HashMap<TenantId, Doubt>>,
}

struct Doubt {
    record: Arc<TenantRecord>,
    /// How old the rows were when they became doubtful, and when that was.
    age: Duration,
    since: Instant,
}

impl Doubt {
    fn age(&self) -> Duration {
        self.age.saturating_add(self.since.elapsed())
    }
}

impl Doubts {
    /// Doubts rows that were true for the last time so long ago.
    pub(super) fn put(&self, record: Arc<TenantRecord>, age: Duration) {
        let doubt = Doubt { record, age, since: Instant::now() };
        self.rows().insert(doubt.record.id.clone(), doubt);
    }

    /// There is something better, or nothing any more.
    pub(super) fn remove(&self, id: &TenantId) {
        self.rows().remove(id);
    }

    /// The rows of a tenant, and how old they are.
    pub(super) fn get(&self, id: &TenantId) -> Option<(Arc<TenantRecord>, Duration)> {
        let rows = self.rows();
        let doubt = rows.get(id)?;
        Some((Arc::clone(&doubt.record), doubt.age()))
    }

    /// Whose rows are to be read again.
    pub(super) fn tenants(&self) -> Vec<TenantId> {
        self.rows().keys().cloned().collect()
    }

    /// All of them, and how old the oldest are.
    pub(super) fn all(&self) -> (Vec<Arc<TenantRecord>>, Duration) {
        let rows = self.rows();
        let age = rows.values().map(Doubt::age).max().unwrap_or_default();
        (rows.values().map(|doubt| Arc::clone(&doubt.record)).collect(), age)
    }

    pub(super) fn count(&self) -> usize {
        self.rows().len()
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<TenantId, Doubt>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
