//! A snapshot that was authenticated and is not read yet: one tenant is found in it without looking
//! at the others.
//!
//! Its lines are sorted, so that one is found by halving; and since none of them is parsed before it
//! is needed, a hundred thousand tenants are at hand as soon as their bytes are known to be true.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::document::{self, Head};
use super::{Snapshot, SnapshotError};
use crate::catalog::Catalog;
use crate::model::{TenantId, TenantRecord};
use crate::store::Organization;

/// What a file holds, in its own bytes.
pub(crate) struct Shelf {
    bytes: Vec<u8>,
    /// Where the lines begin.
    lines: usize,
    pub(super) head: Head,
    pub(super) pinned: BTreeMap<String, Catalog>,
}

/// What one line says.
pub(crate) enum Entry {
    Tenant(Arc<TenantRecord>),
    Organization(Organization, TenantId),
}

impl Shelf {
    /// Takes contents whose authentication code was right, which begin at a place of the bytes.
    pub(super) fn new(bytes: Vec<u8>, from: usize) -> Result<Self, SnapshotError> {
        let contents = bytes.get(from..).unwrap_or_default();
        let end = contents.iter().position(|byte| *byte == b'\n').unwrap_or(contents.len());
        let head = document::head(contents.get(..end).unwrap_or_default())?;
        let pinned = document::pinned(&head);
        let lines = (from + end + 1).min(bytes.len());
        Ok(Self { bytes, lines, head, pinned })
    }

    /// How long ago the store was heard.
    pub(crate) fn age_at(&self, now: SystemTime) -> Result<std::time::Duration, SnapshotError> {
        super::age_at(&self.head.moment(), now)
    }

    /// What it holds but its lines.
    pub(crate) fn without_lines(&self) -> Snapshot {
        self.head.snapshot()
    }

    /// The rows of a tenant. Those that cannot be understood are none: then nothing is known of it.
    pub(crate) fn tenant(&self, id: &TenantId) -> Option<Arc<TenantRecord>> {
        let text = self.find(&document::tenant_key(id))?;
        document::tenant(id.clone(), text, &self.pinned).ok().map(Arc::new)
    }

    /// The tenant that an organization names.
    pub(crate) fn tenant_of(&self, issuer: &str, organization: &str) -> Option<TenantId> {
        serde_json::from_slice(self.find(&document::organization_key(issuer, organization)?)?).ok()
    }

    /// Every line, each of which must come after the one before it.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<Entry, SnapshotError>> {
        let mut before: &[u8] = b"";
        let lines = self.lines().split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(move |line| {
            if line <= before {
                return Err(SnapshotError::Malformed("its lines are not in order".to_owned()));
            }
            before = line;
            document::entry(line, &self.pinned)
        })
    }

    /// True if it knows nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines().is_empty()
    }

    fn lines(&self) -> &[u8] {
        self.bytes.get(self.lines..).unwrap_or_default()
    }

    /// What follows a key in its line.
    fn find(&self, key: &[u8]) -> Option<&[u8]> {
        let lines = self.lines();
        // INVARIANT: both are where a line begins; the first line not before `key` is in between.
        let (mut low, mut high) = (0, lines.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let newline = |byte: &u8| *byte == b'\n';
            let start = lines[low..middle].iter().rposition(newline).map_or(low, |at| low + at + 1);
            let end = lines[middle..].iter().position(newline);
            let end = end.map_or(lines.len(), |at| middle + at + 1);
            if lines[start..end] < *key {
                low = end;
            } else {
                high = start;
            }
        }
        let rest = lines[low..].strip_prefix(key)?;
        rest.split(|byte| *byte == b'\n').next()
    }
}
