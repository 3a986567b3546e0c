//! A store in memory, for tests: the rules of the databases in code.

mod contents;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use self::contents::{Contents, random};
use super::{
    Actor, Answer, AuditEntry, COUNTED, Change, Feed, Organization, Place, Receipt, Store,
    StoreError, TenantSummary,
};
use crate::catalog::Catalog;
use crate::model::{License, LicenseSource, TenantId, TenantRecord, TenantStatus};

/// Tenants and licenses in memory.
pub(crate) struct Memory {
    /// Which store it is.
    name: String,
    contents: Mutex<Contents>,
    changed: Notify,
    /// Any issuer's organization names the tenant with its id.
    organizations_are_tenants: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            name: random(),
            contents: Mutex::default(),
            changed: Notify::new(),
            organizations_are_tenants: false,
        }
    }
}

impl Memory {
    /// A store in which an organization of any issuer names the tenant with its id.
    pub(crate) fn with_organizations_as_tenants() -> Self {
        Self { organizations_are_tenants: true, ..Self::default() }
    }

    /// Starts or ends an outage.
    pub(crate) fn set_down(&self, down: bool) {
        self.contents().down = down;
        self.changed.notify_waiters();
    }

    /// [`Store::load`] without waiting.
    pub(crate) fn load_now(&self, tenant: &TenantId) -> Result<Option<TenantRecord>, StoreError> {
        let contents = self.answering()?;
        let Some((record, _)) = contents.tenants.get(tenant) else { return Ok(None) };
        let mut record = record.clone();
        for license in &mut record.licenses {
            if let Some(pin) = &mut license.pin {
                pin.catalog = contents.catalogs.get(&pin.digest).cloned();
            }
        }
        Ok(Some(record))
    }

    /// [`Store::tenant_count`] without waiting.
    pub(crate) fn count_now(&self) -> Result<u64, StoreError> {
        let contents = self.answering()?;
        let open = |(record, _): &&(TenantRecord, _)| record.status != TenantStatus::Closed;
        Ok(contents.tenants.values().filter(open).take(COUNTED as usize).count() as u64)
    }

    /// [`Store::apply`] without waiting.
    pub(crate) fn apply_now(
        &self,
        change: &Change,
        by: &Actor,
        at: SystemTime,
    ) -> Result<Receipt, StoreError> {
        change.check()?;
        let mut contents = self.answering()?;
        // The change is made on a copy: one that is refused leaves nothing behind.
        let mut next = contents.clone();
        let done = next.make(change, by, at)?;
        let head = next.audit.last().map(|entry| (entry.seq, entry.hash));
        next.audit.push(AuditEntry::following(head, change, &done, by, at));
        let revision = next.revised(&done.tenant);
        *contents = next;
        drop(contents);
        self.changed.notify_waiters();
        Ok(Receipt { tenant: done.tenant, revision })
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answering(&self) -> Result<MutexGuard<'_, Contents>, StoreError> {
        let contents = self.contents();
        if contents.down {
            return Err(StoreError::Unavailable("it is down for this test".to_owned()));
        }
        Ok(contents)
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        question: impl FnOnce(&mut Contents) -> T + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move { self.answering().map(|mut contents| question(&mut contents)) })
    }
}

impl Store for Memory {
    fn load<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Option<TenantRecord>> {
        Box::pin(async move { self.load_now(tenant) })
    }

    fn tenant_of<'a>(
        &'a self,
        issuer: &'a str,
        organization: &'a str,
    ) -> Answer<'a, Option<TenantId>> {
        self.ask(move |contents| {
            let key = Organization { issuer: issuer.to_owned(), id: organization.to_owned() };
            let by_name = || {
                let id = organization.parse::<TenantId>().ok()?;
                (self.organizations_are_tenants && contents.tenants.contains_key(&id)).then_some(id)
            };
            contents.organizations.get(&key).cloned().or_else(by_name)
        })
    }

    fn tenant_count(&self) -> Answer<'_, u64> {
        Box::pin(async move { self.count_now() })
    }

    fn tenants(&self) -> Answer<'_, Vec<TenantSummary>> {
        self.ask(|contents| {
            let summary = |(record, created_at): &(TenantRecord, SystemTime)| TenantSummary {
                id: record.id.clone(),
                name: record.name.clone(),
                status: record.status,
                revision: record.revision,
                created_at: *created_at,
            };
            contents.tenants.values().map(summary).collect()
        })
    }

    fn organizations<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Vec<Organization>> {
        self.ask(move |contents| {
            let held = contents.organizations.iter().filter(|(_, holder)| *holder == tenant);
            held.map(|(organization, _)| organization.clone()).collect()
        })
    }

    fn mappings(&self) -> Answer<'_, Vec<(Organization, TenantId)>> {
        self.ask(|contents| {
            let all = contents.organizations.iter();
            all.map(|(organization, tenant)| (organization.clone(), tenant.clone())).collect()
        })
    }

    fn license<'a>(&'a self, id: &'a str) -> Answer<'a, Option<(TenantId, License)>> {
        self.ask(move |contents| {
            let mut tenants = contents.tenants.values();
            tenants.find_map(|(record, _)| {
                let license = record.licenses.iter().find(|license| license.id == id)?;
                Some((record.id.clone(), license.clone()))
            })
        })
    }

    fn license_from<'a>(
        &'a self,
        source: LicenseSource,
        reference: &'a str,
    ) -> Answer<'a, Option<(TenantId, License)>> {
        self.ask(move |contents| {
            let named = |license: &&License| {
                license.source == source && license.source_ref.as_deref() == Some(reference)
            };
            let mut tenants = contents.tenants.values();
            tenants.find_map(|(record, _)| {
                let license = record.licenses.iter().find(named)?;
                Some((record.id.clone(), license.clone()))
            })
        })
    }

    fn revisions(&self) -> Answer<'_, Vec<(TenantId, u64)>> {
        self.ask(|contents| {
            contents.tenants.iter().map(|(id, (record, _))| (id.clone(), record.revision)).collect()
        })
    }

    fn position(&self) -> Answer<'_, Place> {
        self.ask(|contents| contents.place(&self.name, contents.feed.len()))
    }

    fn holds<'a>(&'a self, place: &'a Place) -> Answer<'a, bool> {
        self.ask(move |contents| contents.holds(&self.name, place))
    }

    fn news<'a>(&'a self, after: &'a Place) -> Answer<'a, Feed> {
        Box::pin(async move {
            let wait = self.changed.notified();
            let now = self.answering()?.after(&self.name, after);
            if now.restarted || now.position != *after {
                return Ok(now);
            }
            // Whether it was woken or not, what stands there now is the answer.
            let _woken = tokio::time::timeout(Duration::from_millis(500), wait).await;
            Ok(self.answering()?.after(&self.name, after))
        })
    }

    fn keep<'a>(&'a self, catalog: &'a Catalog, _by: &'a Actor, _at: SystemTime) -> Answer<'a, ()> {
        self.ask(move |contents| contents.keep(catalog))
    }

    fn publish<'a>(
        &'a self,
        catalog: &'a Catalog,
        _by: &'a Actor,
        at: SystemTime,
    ) -> Answer<'a, ()> {
        Box::pin(async move { self.answering()?.publish(catalog, at) })
    }

    fn current_digest(&self) -> Answer<'_, Option<String>> {
        self.ask(|contents| contents.current.clone())
    }

    fn current_catalog(&self) -> Answer<'_, Option<Catalog>> {
        self.ask(|contents| {
            contents.current.as_ref().and_then(|digest| contents.catalogs.get(digest).cloned())
        })
    }

    fn apply<'a>(
        &'a self,
        change: &'a Change,
        by: &'a Actor,
        at: SystemTime,
    ) -> Answer<'a, Receipt> {
        Box::pin(async move { self.apply_now(change, by, at) })
    }

    fn audit(&self, after: u64, limit: u32) -> Answer<'_, Vec<AuditEntry>> {
        self.ask(move |contents| {
            let later = contents.audit.iter().filter(|entry| entry.seq > after);
            later.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn it_does_what_every_store_does() {
        for (name, check) in conformance::ALL {
            println!("{name}");
            check(Arc::new(Memory::default())).await;
        }
    }
}
