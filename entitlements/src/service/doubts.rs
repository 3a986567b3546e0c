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
    whence: Whence,
}

/// Where doubtful rows come from.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Whence {
    /// The store that is followed.
    Here,
    /// Another copy of it: their revisions say nothing about this one's.
    AnotherCopy,
}

impl Doubt {
    fn age(&self) -> Duration {
        self.age.saturating_add(self.since.elapsed())
    }
}

impl Doubts {
    /// Doubts rows that were true for the last time so long ago.
    pub(super) fn put(&self, record: Arc<TenantRecord>, age: Duration, whence: Whence) {
        let doubt = Doubt { record, age, since: Instant::now(), whence };
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

    /// Those that another process may begin with, and how old the oldest are. What cannot be read
    /// again for long must not make everything else look as old.
    pub(super) fn to_keep(&self) -> (Vec<Arc<TenantRecord>>, Duration) {
        let rows = self.rows();
        let kept = rows
            .values()
            .filter(|doubt| doubt.whence == Whence::Here && doubt.since.elapsed() < KEPT_FOR);
        let (records, ages): (Vec<_>, Vec<_>) =
            kept.map(|doubt| (Arc::clone(&doubt.record), doubt.age())).unzip();
        (records, ages.into_iter().max().unwrap_or_default())
    }

    pub(super) fn count(&self) -> usize {
        self.rows().len()
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<TenantId, Doubt>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long rows that cannot be read again are a part of snapshots.
const KEPT_FOR: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantStatus;

    fn record(tenant: &str) -> Arc<TenantRecord> {
        Arc::new(TenantRecord {
            id: tenant.parse().expect("it is a tenant id"),
            name: tenant.to_owned(),
            status: TenantStatus::Active,
            status_reason: None,
            revision: 1,
            licenses: Vec::new(),
            overrides: Vec::new(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_process_may_begin_with_is_of_here_and_not_left_for_long() {
        let doubts = Doubts::default();
        let second = Duration::from_secs(1);
        doubts.put(record("acme"), second * 3, Whence::Here);
        doubts.put(record("globex"), second * 9, Whence::AnotherCopy);
        tokio::time::advance(second).await;
        let (kept, age) = doubts.to_keep();
        assert_eq!((kept.len(), kept[0].id.as_str(), age), (1, "acme", second * 4));
        tokio::time::advance(KEPT_FOR).await;
        assert_eq!(doubts.to_keep(), (Vec::new(), Duration::ZERO));
        assert_eq!(doubts.count(), 2, "they are read again all the same");
    }
}
