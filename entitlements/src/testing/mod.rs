//! For tests of whoever uses this crate: a service without a database.
//!
//! ```
//! use entitlements::testing::PLANS;
//! use entitlements::{Catalog, EntitlementService, TenantRef};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let catalog = Catalog::parse(PLANS)?;
//! let service = EntitlementService::in_memory(catalog, [("acme", "mid")]);
//! let organization = TenantRef::Organization { issuer: "https://id.test", organization: "acme" };
//! assert_eq!(service.entitlements(organization).await?.tier(), Some("mid"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod faulty;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::catalog::Catalog;
use crate::model::{License, LicenseKind, TenantId};
use crate::service::EntitlementService;
use crate::store::memory::Memory;
use crate::store::{Actor, Change, Organization, Receipt, Store, StoreError};

pub use faulty::Faulty;

/// The plans file that ships with the project.
pub const PLANS: &str = include_str!("../../../plans.toml");

impl EntitlementService {
    /// A service in memory with these tenants, each with an endless license of its tier; an
    /// organization of any issuer names the tenant whose id it has.
    ///
    /// # Panics
    ///
    /// If an id is no tenant id or a tier is not in the catalog: the test is wrong.
    #[must_use]
    pub fn in_memory<'a>(
        catalog: Catalog,
        tenants: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        Self::in_memory_builder(catalog).tenants(tenants).build()
    }

    /// A service in memory with other settings than the usual ones.
    pub fn in_memory_builder(catalog: Catalog) -> InMemoryBuilder {
        InMemoryBuilder { catalog, clock: None, tenants: Vec::new(), organizations: Vec::new() }
    }
}

/// Settings of a service in memory.
pub struct InMemoryBuilder {
    catalog: Catalog,
    clock: Option<Box<dyn Fn() -> SystemTime + Send + Sync>>,
    tenants: Vec<(TenantId, String)>,
    organizations: Vec<(Organization, TenantId)>,
}

impl InMemoryBuilder {
    /// The clock that licenses are judged by; the system's unless another is given.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// More tenants, each with an endless license of its tier.
    ///
    /// # Panics
    ///
    /// If an id is no tenant id or a tier is not in the catalog.
    #[must_use]
    pub fn tenants<'a>(mut self, tenants: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        for (id, tier) in tenants {
            assert!(self.catalog.tier(tier).is_some(), "the catalog has no tier `{tier}`");
            self.tenants.push((tenant_id(id), tier.to_owned()));
        }
        self
    }

    /// Maps an organization to a tenant. With at least one such mapping, only mapped
    /// organizations are known.
    ///
    /// # Panics
    ///
    /// If `tenant` is no tenant id.
    #[must_use]
    pub fn organization(mut self, issuer: &str, organization: &str, tenant: &str) -> Self {
        let key = Organization { issuer: issuer.to_owned(), id: organization.to_owned() };
        self.organizations.push((key, tenant_id(tenant)));
        self
    }

    /// The service; every tenant is at hand already.
    #[must_use]
    pub fn build(self) -> EntitlementService {
        self.build_with_store().0
    }

    /// The service and its store, to change tenants and licenses while the test runs.
    ///
    /// # Panics
    ///
    /// If a tenant stands there twice, or an organization names a tenant that is not there.
    #[must_use]
    pub fn build_with_store(self) -> (EntitlementService, InMemory) {
        let memory = Arc::new(if self.organizations.is_empty() {
            Memory::with_organizations_as_tenants()
        } else {
            Memory::default()
        });
        let store: Arc<dyn Store> = Arc::<Memory>::clone(&memory);
        let mut builder = EntitlementService::with_store(store, self.catalog);
        if let Some(clock) = self.clock {
            builder = builder.clock(clock);
        }
        let service = builder.unwatched();
        service.has_counted(0);
        let memory = InMemory { service: service.clone(), memory };
        for (id, tier) in self.tenants {
            let organizations = Vec::new();
            let name = id.to_string();
            memory.must(&Change::AddTenant { id: id.clone(), name, organizations });
            memory.grant(&id, &tier);
        }
        for (organization, tenant) in self.organizations {
            memory.must(&Change::MapOrganization { tenant, organization });
        }
        (service, memory)
    }
}

/// The store behind a service in memory: what is changed here is in force at once.
pub struct InMemory {
    service: EntitlementService,
    memory: Arc<Memory>,
}

impl InMemory {
    /// Makes a change.
    ///
    /// # Errors
    ///
    /// If the rules of the store forbid it.
    pub fn apply(&self, change: &Change) -> Result<Receipt, StoreError> {
        let at = self.service.shared_clock();
        let receipt = self.memory.apply_now(change, &Actor::person("test"), at)?;
        if let Change::UnmapOrganization { organization } = change {
            self.service.unmap(organization);
        }
        if let Some(record) = self.memory.load_now(&receipt.tenant)? {
            self.service.take(record);
        }
        self.service.has_counted(self.memory.count_now()?);
        Ok(receipt)
    }

    /// Grants an endless license of a tier.
    ///
    /// # Panics
    ///
    /// If there is no such tenant.
    pub fn grant(&self, tenant: &TenantId, tier: &str) -> License {
        let license = license(&format!("lic_{tenant}_{tier}"), tier);
        self.must(&Change::GrantLicense { tenant: tenant.clone(), license: license.clone() });
        license
    }

    /// Starts or ends an outage: while it lasts, only what is at hand is answered.
    pub fn set_down(&self, down: bool) {
        self.memory.set_down(down);
    }

    fn must(&self, change: &Change) {
        if let Err(error) = self.apply(change) {
            panic!("the test's store refuses {}: {error}", change.action());
        }
    }
}

/// An empty store in memory, to be followed by a service as a database would be.
pub fn store() -> Arc<dyn Store> {
    Arc::new(Memory::default())
}

/// A base license of a tier, from the beginning of time without an end.
pub fn license(id: &str, tier: &str) -> License {
    let license = License::endless(id, LicenseKind::Base, tier, UNIX_EPOCH);
    License { created_by: "test".to_owned(), ..license }
}

fn tenant_id(text: &str) -> TenantId {
    match text.parse() {
        Ok(id) => id,
        Err(error) => panic!("{error}"),
    }
}
