//! Whom organizations name, and which ones name a tenant.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use moka::sync::Cache;

use super::cache::cache;
use crate::model::TenantId;
use crate::store::Organization;

pub(super) struct Organizations {
    tenants: Cache<Organization, TenantId, RandomState>,
    /// The organizations that name each tenant.
    named: Mutex<HashMap<TenantId, HashSet<Organization>>>,
    /// For how many tenants that may be known before those are left out that the cache has given up.
    named_at_most: usize,
}

impl Organizations {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            tenants: cache(capacity, None),
            named: Mutex::default(),
            named_at_most: usize::try_from(capacity).unwrap_or(usize::MAX).saturating_mul(2),
        }
    }

    pub(super) fn tenant(&self, organization: &OrganizationRef<'_>) -> Option<TenantId> {
        self.tenants.get(organization)
    }

    pub(super) fn map(&self, organization: Organization, tenant: TenantId) {
        // INVARIANT: what the cache has stands here, too. The reverse does not hold: what the cache
        // gives up by itself stays here until there is too much of it.
        let mut named = self.named();
        if named.len() > self.named_at_most {
            named.clear();
            for (organization, tenant) in &self.tenants {
                named.entry(tenant).or_default().insert(Organization::clone(&organization));
            }
        }
        named.entry(tenant.clone()).or_default().insert(organization.clone());
        self.tenants.insert(organization, tenant);
    }

    pub(super) fn unmap(&self, organization: &Organization) {
        let mut named = self.named();
        if let Some(tenant) = self.tenants.remove(organization)
            && let Some(organizations) = named.get_mut(&tenant)
        {
            organizations.remove(organization);
            if organizations.is_empty() {
                named.remove(&tenant);
            }
        }
    }

    /// True if an organization is known to name the tenant, or was.
    pub(super) fn names(&self, tenant: &TenantId) -> bool {
        self.named().contains_key(tenant)
    }

    /// The organizations that are known to name a tenant.
    pub(super) fn of(&self, tenant: &TenantId) -> Vec<Organization> {
        let known = self.named().get(tenant).cloned().unwrap_or_default();
        let still = |it: &Organization| self.tenants.get(it).as_ref() == Some(tenant);
        known.into_iter().filter(still).collect()
    }

    /// All of them, and whom they name.
    pub(super) fn all(&self) -> Vec<(Organization, TenantId)> {
        let all = self.tenants.iter();
        all.map(|(organization, tenant)| (Organization::clone(&organization), tenant)).collect()
    }

    pub(super) fn count(&self) -> u64 {
        self.tenants.entry_count()
    }

    fn named(&self) -> MutexGuard<'_, HashMap<TenantId, HashSet<Organization>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An organization as a token names it: found without making a key first.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(super) struct OrganizationRef<'a> {
    // The fields and their order are those of `Organization`, so that both have the same hash.
    pub(super) issuer: &'a str,
    pub(super) id: &'a str,
}

impl OrganizationRef<'_> {
    pub(super) fn owned(self) -> Organization {
        Organization { issuer: self.issuer.to_owned(), id: self.id.to_owned() }
    }
}

impl equivalent::Equivalent<Organization> for OrganizationRef<'_> {
    fn equivalent(&self, key: &Organization) -> bool {
        self.issuer == key.issuer && self.id == key.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(number: u64) -> Organization {
        Organization { issuer: "https://id.test".to_owned(), id: format!("org_{number}") }
    }

    fn tenant(number: u64) -> TenantId {
        format!("t-{number}").parse().expect("it is a tenant id")
    }

    /// An organization that is answered for is found when its tenant changes, however many others
    /// came and went.
    #[test]
    fn whoever_is_at_hand_is_found_by_the_tenant() {
        let organizations = Organizations::new(100);
        for number in 0..2_000 {
            organizations.map(organization(number), tenant(number));
        }
        for number in 0..2_000 {
            let name = organization(number);
            let at_hand = OrganizationRef { issuer: &name.issuer, id: &name.id };
            if organizations.tenant(&at_hand).is_some() {
                assert_eq!(organizations.of(&tenant(number)), [name]);
            }
        }
        assert!(organizations.named().len() <= 201, "{}", organizations.named().len());
        // One that names another tenant now is no longer the first one's.
        organizations.map(organization(7), tenant(7));
        organizations.map(organization(7), tenant(8));
        assert!(organizations.of(&tenant(7)).is_empty());
        organizations.unmap(&organization(7));
        assert!(!organizations.of(&tenant(8)).contains(&organization(7)));
    }
}
