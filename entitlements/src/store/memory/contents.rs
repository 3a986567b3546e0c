//! What is in memory, and the rules by which it changes.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::catalog::Catalog;
use crate::model::{Effect, License, LicenseKind, Override, TenantId, TenantRecord, TenantStatus};
use crate::store::change::{
    Done, license_json, organization_json, override_json, status_json, tenant_json,
};
use crate::store::orphans::known_to;
use crate::store::{
    Actor, AuditEntry, Change, Feed, HeldPlan, Organization, Place, Refusal, StoreError,
};

#[derive(Clone, Default)]
pub(super) struct Contents {
    pub(super) tenants: BTreeMap<TenantId, (TenantRecord, SystemTime)>,
    pub(super) organizations: BTreeMap<Organization, TenantId>,
    pub(super) catalogs: BTreeMap<String, Catalog>,
    pub(super) current: Option<String>,
    /// Whose rows changed, each with the change's mark.
    pub(super) feed: Vec<(TenantId, String)>,
    pub(super) audit: Vec<AuditEntry>,
    /// While set, nothing is answered.
    pub(super) down: bool,
}

impl Contents {
    pub(super) fn place(&self, store: &str, entries: usize) -> Place {
        let last = entries.checked_sub(1).and_then(|last| self.feed.get(last));
        let mark = last.map(|(_, mark)| mark.clone()).unwrap_or_default();
        Place { store: store.to_owned(), seq: entries as u64, mark }
    }

    pub(super) fn holds(&self, store: &str, place: &Place) -> bool {
        let entries = usize::try_from(place.seq).unwrap_or(usize::MAX);
        entries <= self.feed.len() && self.place(store, entries) == *place
    }

    pub(super) fn after(&self, store: &str, place: &Place) -> Feed {
        if !self.holds(store, place) {
            return Feed { position: place.clone(), restarted: true, ..Feed::default() };
        }
        let start = usize::try_from(place.seq).unwrap_or(usize::MAX);
        let tenants = self.feed.iter().skip(start).map(|(tenant, _)| tenant.clone()).collect();
        Feed { position: self.place(store, self.feed.len()), tenants, ..Feed::default() }
    }

    pub(super) fn keep(&mut self, catalog: &Catalog) {
        let digest = catalog.digest().to_owned();
        self.catalogs.entry(digest).or_insert_with(|| catalog.clone());
    }

    pub(super) fn publish(&mut self, catalog: &Catalog, at: SystemTime) -> Result<(), StoreError> {
        known_to(catalog, self.held(at))?;
        self.keep(catalog);
        self.current = Some(catalog.digest().to_owned());
        Ok(())
    }

    /// What is named by the licenses that follow the current catalog and are not over.
    fn held(&self, at: SystemTime) -> Vec<HeldPlan> {
        let tenants = self.tenants.values().map(|(record, _)| record);
        let open = tenants.filter(|record| record.status != TenantStatus::Closed);
        let live = |license: &&License| {
            license.revoked_at.is_none()
                && license.pin.is_none()
                && license.grace_ends_at().is_none_or(|end| end > at)
        };
        let mut held: BTreeMap<_, HeldPlan> = BTreeMap::new();
        for license in open.flat_map(|record| &record.licenses).filter(live) {
            let (kind, plan) = (license.kind, license.plan.clone());
            let key = (kind.as_str(), plan.clone());
            let held = held.entry(key).or_insert(HeldPlan { kind, plan, licenses: 0 });
            held.licenses += 1;
        }
        held.into_values().collect()
    }

    pub(super) fn make(
        &mut self,
        change: &Change,
        by: &Actor,
        at: SystemTime,
    ) -> Result<Done, StoreError> {
        match change {
            Change::AddTenant { id, name, organizations } => {
                if self.tenants.contains_key(id) {
                    return Err(Refusal::Exists { what: "tenant", name: id.to_string() }.into());
                }
                let record = TenantRecord {
                    id: id.clone(),
                    name: name.clone(),
                    status: TenantStatus::Active,
                    status_reason: None,
                    revision: 0,
                    licenses: Vec::new(),
                    overrides: Vec::new(),
                };
                self.tenants.insert(id.clone(), (record, at));
                for organization in organizations {
                    self.map(id, organization)?;
                }
                let after = tenant_json(name, TenantStatus::Active, organizations);
                Ok(done(id, format!("tenant {id}"), None, Some(after)))
            }
            Change::MapOrganization { tenant, organization } => {
                let open = self.tenant(tenant)?.status != TenantStatus::Closed;
                allow(open, &format!("tenant `{tenant}` is closed"))?;
                self.map(tenant, organization)?;
                let after = organization_json(tenant, organization);
                Ok(done(tenant, format!("organization {organization}"), None, Some(after)))
            }
            Change::UnmapOrganization { organization } => {
                let Some(tenant) = self.organizations.remove(organization) else {
                    let name = organization.to_string();
                    return Err(Refusal::NotFound { what: "mapped organization", name }.into());
                };
                let before = organization_json(&tenant, organization);
                Ok(done(&tenant, format!("organization {organization}"), Some(before), None))
            }
            Change::SetTenantStatus { tenant, status, reason } => {
                let record = self.tenant(tenant)?;
                let before = status_json(record.status, record.status_reason.as_deref());
                let same = record.status == *status;
                allow(!same, &format!("tenant `{tenant}` is {status} already"))?;
                allow(record.status != TenantStatus::Closed, "a closed tenant stays closed")?;
                let why = *status == TenantStatus::Active || reason.is_some();
                allow(why, "a reason is needed")?;
                record.status = *status;
                record.status_reason.clone_from(reason);
                let after = status_json(*status, reason.as_deref());
                Ok(done(tenant, format!("tenant {tenant}"), Some(before), Some(after)))
            }
            Change::GrantLicense { tenant, license } => self.grant(tenant, license, by),
            Change::RevokeLicense { license, reason } => self.relicense(license, |license| {
                allow(license.revoked_at.is_none(), "it is revoked already")?;
                license.revoked_at = Some(at);
                license.status_reason = Some(reason.clone());
                Ok(())
            }),
            Change::SuspendLicense { license, reason } => self.relicense(license, |license| {
                let free = license.revoked_at.is_none() && license.suspended_at.is_none();
                allow(free, "it is suspended or revoked already")?;
                license.suspended_at = Some(at);
                license.status_reason = Some(reason.clone());
                Ok(())
            }),
            Change::ResumeLicense { license } => self.relicense(license, |license| {
                let held = license.revoked_at.is_none() && license.suspended_at.is_some();
                allow(held, "it is not suspended")?;
                license.suspended_at = None;
                license.status_reason = None;
                Ok(())
            }),
            Change::AddOverride { tenant, exception } => self.except(tenant, exception),
            Change::RevokeOverride { id, .. } => {
                let mut tenants = self.tenants.values_mut();
                let found = tenants.find_map(|(record, _)| {
                    let tenant = record.id.clone();
                    let mut overrides = record.overrides.iter_mut();
                    overrides.find(|exception| exception.id == *id).map(|found| (tenant, found))
                });
                let Some((tenant, exception)) = found else {
                    return Err(Refusal::NotFound { what: "override", name: id.clone() }.into());
                };
                allow(exception.revoked_at.is_none(), "it is revoked already")?;
                let before = override_json(exception);
                exception.revoked_at = Some(at);
                let after = override_json(exception);
                Ok(done(&tenant, format!("override {id}"), Some(before), Some(after)))
            }
        }
    }

    fn grant(&mut self, tenant: &TenantId, new: &License, by: &Actor) -> Result<Done, StoreError> {
        let all = || self.tenants.values().flat_map(|(record, _)| &record.licenses);
        if all().any(|license| license.id == new.id) {
            return Err(Refusal::Exists { what: "license", name: new.id.clone() }.into());
        }
        let imported = |license: &License| {
            license.source == new.source && license.source_ref == new.source_ref
        };
        let twice = new.source_ref.is_some() && all().any(imported);
        allow(!twice, "a source cannot import one license twice")?;
        allow(new.ends_at.is_none_or(|end| end > new.starts_at), "ends_at is after starts_at")?;
        let trial = new.kind == LicenseKind::Trial;
        allow(!trial || new.ends_at.is_some(), "a trial has an end")?;
        allow(new.quantity == 1 || new.kind == LicenseKind::Addon, "only add-ons have a quantity")?;
        allow(new.quantity > 0, "a quantity is at least one")?;
        let pinned = new.pin.as_ref().is_none_or(|pin| self.catalogs.contains_key(&pin.digest));
        allow(pinned, "the pinned catalog is not stored")?;
        let record = self.tenant(tenant)?;
        let open = record.status != TenantStatus::Closed;
        allow(open, &format!("tenant `{tenant}` is closed"))?;
        let license =
            License { grace: new.effective_grace(), created_by: by.name.clone(), ..new.clone() };
        let after = license_json(&license);
        record.licenses.push(license);
        Ok(done(tenant, format!("license {}", new.id), None, Some(after)))
    }

    fn except(&mut self, tenant: &TenantId, new: &Override) -> Result<Done, StoreError> {
        let blank = |c: char| matches!(c, ' ' | '\t'..='\r');
        let reason = new.reason.chars().filter(|c| !blank(*c)).count() >= 5;
        allow(reason, "a reason has at least 5 characters that are not blank")?;
        allow(new.ends_at.is_none_or(|end| end > new.starts_at), "ends_at is after starts_at")?;
        let record = self.tenant(tenant)?;
        let same = |a: &Effect, b: &Effect| a.as_str() == b.as_str();
        let overlaps = record.overrides.iter().any(|old| {
            old.feature == new.feature
                && same(&old.effect, &new.effect)
                && old.revoked_at.is_none()
                && new.ends_at.is_none_or(|end| old.starts_at < end)
                && old.ends_at.is_none_or(|end| new.starts_at < end)
        });
        allow(!overlaps, "an override with this effect is in force in that time; revoke it first")?;
        record.overrides.push(new.clone());
        Ok(done(tenant, format!("override {}", new.id), None, Some(override_json(new))))
    }

    fn relicense(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut License) -> Result<(), StoreError>,
    ) -> Result<Done, StoreError> {
        let found = self.tenants.values_mut().find_map(|(record, _)| {
            let tenant = record.id.clone();
            let license = record.licenses.iter_mut().find(|license| license.id == id)?;
            Some((tenant, license))
        });
        let Some((tenant, license)) = found else {
            return Err(Refusal::NotFound { what: "license", name: id.to_owned() }.into());
        };
        let before = license_json(license);
        change(license)?;
        let after = license_json(license);
        Ok(done(&tenant, format!("license {id}"), Some(before), Some(after)))
    }

    fn map(&mut self, tenant: &TenantId, organization: &Organization) -> Result<(), StoreError> {
        if let Some(holder) = self.organizations.get(organization) {
            let message =
                format!("organization {organization} is mapped to tenant `{holder}` already");
            return Err(Refusal::Forbidden(message).into());
        }
        self.organizations.insert(organization.clone(), tenant.clone());
        Ok(())
    }

    fn tenant(&mut self, id: &TenantId) -> Result<&mut TenantRecord, StoreError> {
        match self.tenants.get_mut(id) {
            Some((record, _)) => Ok(record),
            None => Err(Refusal::NotFound { what: "tenant", name: id.to_string() }.into()),
        }
    }

    pub(super) fn revised(&mut self, id: &TenantId) -> u64 {
        self.feed.push((id.clone(), random()));
        match self.tenants.get_mut(id) {
            Some((record, _)) => {
                record.revision += 1;
                record.revision
            }
            None => 0,
        }
    }
}

/// 32 digits that nobody has seen before.
pub(super) fn random() -> String {
    #[expect(clippy::disallowed_methods, reason = "the home of a store's own id")]
    let id = uuid::Uuid::new_v4();
    id.simple().to_string()
}

fn allow(condition: bool, otherwise: &str) -> Result<(), StoreError> {
    if condition { Ok(()) } else { Err(Refusal::Forbidden(otherwise.to_owned()).into()) }
}

fn done(
    tenant: &TenantId,
    object: String,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Done {
    Done { tenant: tenant.clone(), object, before, after }
}
