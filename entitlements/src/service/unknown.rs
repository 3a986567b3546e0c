//! Who is not known to the store, or cannot be read: for some seconds nobody asks again.

use std::time::{Duration, SystemTime};

use foldhash::fast::RandomState;
use moka::sync::Cache;

use super::cache::cache;
use super::organizations::OrganizationRef;
use crate::model::TenantId;
use crate::store::Organization;

pub(super) struct Unknown {
    tenants: Cache<TenantId, SystemTime, RandomState>,
    organizations: Cache<Organization, SystemTime, RandomState>,
    /// Tenants whose rows cannot be read, since when, and why.
    unreadable: Cache<TenantId, (SystemTime, String), RandomState>,
}

impl Unknown {
    pub(super) fn new() -> Self {
        Self {
            tenants: cache(AT_MOST, Some(FOR)),
            organizations: cache(AT_MOST, Some(FOR)),
            unreadable: cache(AT_MOST, Some(FOR)),
        }
    }

    pub(super) fn has_tenant(&self, id: &TenantId, now: SystemTime) -> bool {
        self.tenants.get(id).is_some_and(|since| recent(since, now))
    }

    pub(super) fn has_organization(
        &self,
        organization: &OrganizationRef<'_>,
        now: SystemTime,
    ) -> bool {
        self.organizations.get(organization).is_some_and(|since| recent(since, now))
    }

    /// Why a tenant's rows could not be read a moment ago.
    pub(super) fn why_unreadable(&self, id: &TenantId, now: SystemTime) -> Option<String> {
        let (_, why) = self.unreadable.get(id).filter(|(since, _)| recent(*since, now))?;
        Some(why)
    }

    pub(super) fn note_tenant(&self, id: TenantId, now: SystemTime) {
        self.tenants.insert(id, now);
    }

    pub(super) fn note_organization(&self, organization: Organization, now: SystemTime) {
        self.organizations.insert(organization, now);
    }

    pub(super) fn note_unreadable(&self, id: TenantId, now: SystemTime, why: String) {
        self.unreadable.insert(id, (now, why));
    }

    pub(super) fn forget_tenant(&self, id: &TenantId) {
        self.tenants.invalidate(id);
    }

    pub(super) fn forget_organization(&self, organization: &Organization) {
        self.organizations.invalidate(organization);
    }

    pub(super) fn clear(&self) {
        self.tenants.invalidate_all();
        self.organizations.invalidate_all();
        self.unreadable.invalidate_all();
    }

    /// How many names are remembered.
    pub(super) fn count(&self) -> u64 {
        self.tenants.entry_count() + self.organizations.entry_count()
    }
}

fn recent(since: SystemTime, now: SystemTime) -> bool {
    // A clock that went back makes it unknown whether it is recent: ask again.
    now.duration_since(since).is_ok_and(|age| age < FOR)
}

/// How long nobody asks again.
const FOR: Duration = Duration::from_secs(5);
/// How many are remembered: whoever sends random names must not fill the memory.
const AT_MOST: u64 = 10_000;
