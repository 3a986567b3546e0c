//! How many bodies one tenant may be sending at the same time.
//!
//! A body is held in memory from its first byte until its spans are stored, and its connection is one
//! of a bounded number. A tenant that sends slowly, or much at once, has at most so many of either,
//! and so many times `--max-body-bytes`. It does not share out the connections among the tenants:
//! many tenants that send slowly can still use up all of them, each for as long as a body may take.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::tenant::Tenant;

/// The bodies that are being taken or wait to be stored, by tenant.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<Tenant, usize>>);

/// One of them; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    uploads: &'a Uploads,
    tenant: Tenant,
}

impl Uploads {
    /// Begins one; `None` when the tenant has as many as allowed.
    pub(crate) fn begin(&self, tenant: &Tenant) -> Option<Upload<'_>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(tenant.clone()).or_default();
        if *count >= MAX_UPLOADS {
            return None;
        }
        *count += 1;
        Some(Upload { uploads: self, tenant: tenant.clone() })
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        let mut counts = self.uploads.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

/// Exporters of a hundred instances rarely meet; those that do are told to try again.
const MAX_UPLOADS: usize = 32;
