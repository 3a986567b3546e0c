//! A store that fails on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::catalog::Catalog;
use crate::model::{License, LicenseSource, TenantId, TenantRecord};
use crate::store::{
    Actor, Answer, AuditEntry, Change, Contents, Feed, Organization, Place, Receipt, Store,
    StoreError, TenantSummary,
};

/// Stands before another store; answers as that one does, later, or not at all.
pub struct Faulty {
    inner: Arc<dyn Store>,
    down: AtomicBool,
    read_only: AtomicBool,
    delay_ms: AtomicU64,
    loads: AtomicU32,
    lost_organizations: AtomicU32,
}

impl Faulty {
    /// A store that works until it is told otherwise.
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            down: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            loads: AtomicU32::new(0),
            lost_organizations: AtomicU32::new(0),
        })
    }

    /// Starts or ends an outage.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Lets it refuse, or take again, what would change it.
    pub fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Ordering::SeqCst);
    }

    /// Lets every answer take that long; the rows are those of the moment of the question.
    pub fn set_delay(&self, delay: Duration) {
        self.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Lets the next questions whom an organization names be lost.
    pub fn lose_organizations(&self, questions: u32) {
        self.lost_organizations.store(questions, Ordering::SeqCst);
    }

    /// How often a tenant's rows were read.
    pub fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }

    fn through<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        Box::pin(async move {
            self.up()?;
            let answer = answer.await;
            let delay = self.delay_ms.load(Ordering::SeqCst);
            if delay > 0 {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            self.up()?;
            answer
        })
    }

    fn written<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if self.read_only.load(Ordering::SeqCst) {
            let why = "it is read only for this test".to_owned();
            return Box::pin(async { Err(StoreError::Unavailable(why)) });
        }
        self.through(answer)
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("it is down for this test".to_owned()));
        }
        Ok(())
    }
}

impl Store for Faulty {
    fn load<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Option<TenantRecord>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.through(self.inner.load(tenant))
    }

    fn tenant_of<'a>(
        &'a self,
        issuer: &'a str,
        organization: &'a str,
    ) -> Answer<'a, Option<TenantId>> {
        let lost = |left: u32| left.checked_sub(1);
        if self.lost_organizations.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lost).is_ok() {
            return Box::pin(async { Err(StoreError::Unavailable("the question is lost".into())) });
        }
        self.through(self.inner.tenant_of(issuer, organization))
    }

    fn tenant_count(&self) -> Answer<'_, u64> {
        self.through(self.inner.tenant_count())
    }

    fn tenants(&self) -> Answer<'_, Vec<TenantSummary>> {
        self.through(self.inner.tenants())
    }

    fn organizations<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Vec<Organization>> {
        self.through(self.inner.organizations(tenant))
    }

    fn mappings(&self) -> Answer<'_, Vec<(Organization, TenantId)>> {
        self.through(self.inner.mappings())
    }

    fn license<'a>(&'a self, id: &'a str) -> Answer<'a, Option<(TenantId, License)>> {
        self.through(self.inner.license(id))
    }

    fn license_from<'a>(
        &'a self,
        source: LicenseSource,
        reference: &'a str,
    ) -> Answer<'a, Option<(TenantId, License)>> {
        self.through(self.inner.license_from(source, reference))
    }

    fn revisions(&self) -> Answer<'_, Vec<(TenantId, u64)>> {
        self.through(self.inner.revisions())
    }

    fn position(&self) -> Answer<'_, Place> {
        self.through(self.inner.position())
    }

    fn holds<'a>(&'a self, place: &'a Place) -> Answer<'a, bool> {
        self.through(self.inner.holds(place))
    }

    fn news<'a>(&'a self, after: &'a Place) -> Answer<'a, Feed> {
        self.through(self.inner.news(after))
    }

    fn keep<'a>(&'a self, catalog: &'a Catalog, by: &'a Actor, at: SystemTime) -> Answer<'a, ()> {
        self.written(self.inner.keep(catalog, by, at))
    }

    fn publish<'a>(
        &'a self,
        catalog: &'a Catalog,
        by: &'a Actor,
        at: SystemTime,
    ) -> Answer<'a, ()> {
        self.written(self.inner.publish(catalog, by, at))
    }

    fn current_digest(&self) -> Answer<'_, Option<String>> {
        self.through(self.inner.current_digest())
    }

    fn current_catalog(&self) -> Answer<'_, Option<Catalog>> {
        self.through(self.inner.current_catalog())
    }

    fn apply<'a>(
        &'a self,
        change: &'a Change,
        by: &'a Actor,
        at: SystemTime,
    ) -> Answer<'a, Receipt> {
        self.written(self.inner.apply(change, by, at))
    }

    fn audit(&self, after: u64, limit: u32) -> Answer<'_, Vec<AuditEntry>> {
        self.through(self.inner.audit(after, limit))
    }

    fn contents(&self) -> Answer<'_, Contents> {
        self.through(self.inner.contents())
    }

    fn fill<'a>(&'a self, contents: &'a Contents) -> Answer<'a, ()> {
        self.written(self.inner.fill(contents))
    }
}
