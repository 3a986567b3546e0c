//! What is known, in a file: for a start while the store cannot be asked.
//!
//! A snapshot holds rows, never answers, so that starts, ends and graces apply as of the moment of
//! the question. It decides who is let in, and therefore counts only if its authentication code is
//! right; nothing of it is parsed before. It does not prolong anything: it carries how long ago the
//! store was heard when it was written, and the time since then is added when it is read.

mod document;
mod error;
mod file;
mod key;
mod seal;
mod shelf;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) use error::SnapshotError;
pub(crate) use file::{open, write};
pub use key::{InvalidSnapshotKey, SnapshotKey};
pub(crate) use shelf::{Entry, Shelf};

use crate::model::{TenantId, TenantRecord};
use crate::store::{Organization, Place};

/// What a file holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Snapshot {
    /// When it was written, by the wall clock.
    pub(crate) written_at: SystemTime,
    /// How long ago the store had been heard by then, by the monotonic clock.
    pub(crate) age: Duration,
    /// Where the store is, without user, password and parameters; none if it has no URL.
    pub(crate) address: Option<String>,
    /// The place in the store's feed up to which the rows are true.
    pub(crate) place: Place,
    /// How many tenants the store had, if that was ever asked.
    pub(crate) tenant_count: Option<u64>,
    /// The digest of the catalog that was in force.
    pub(crate) catalog: String,
    pub(crate) tenants: Vec<Arc<TenantRecord>>,
    pub(crate) organizations: Vec<(Organization, TenantId)>,
    /// What others keep in it, by name.
    pub(crate) extras: BTreeMap<String, String>,
}

/// How long ago the store was heard, where it was heard so long before a moment. A clock that stands
/// before that moment was set back, and then nobody knows: the snapshot is refused, so that it cannot
/// live longer.
fn age_at(
    (written_at, age): &(SystemTime, Duration),
    now: SystemTime,
) -> Result<Duration, SnapshotError> {
    match now.duration_since(*written_at) {
        Ok(since) => Ok(age.saturating_add(since)),
        Err(back) if back.duration() <= PRECISION => Ok(*age),
        Err(back) => Err(SnapshotError::Future(back.duration())),
    }
}

/// Within the precision of a clock adjustment it is simply now.
const PRECISION: Duration = Duration::from_secs(2);
