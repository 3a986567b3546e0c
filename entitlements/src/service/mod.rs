//! What callers hold: a store, a cache before it, and a task that keeps the cache true.
//!
//! In the steady state a question does no I/O: the rows are at hand, and a change to them arrives
//! by itself within a moment. A tenant that is asked for the first time is read once, however many
//! ask. When the store cannot be asked, what is known goes on, marked as stale, for `max_stale`;
//! a tenant that was never seen is then an error of ours, never "not in your plan". With a snapshot
//! that holds for a process that starts while the store is away, too.

mod ask;
mod builder;
mod cache;
mod compare;
mod doubts;
mod error;
mod flight;
mod health;
mod keep;
mod organizations;
mod plans;
mod ready;
mod unknown;
mod watch;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

pub use builder::EntitlementServiceBuilder;
pub use error::CheckError;

use crate::catalog::{Catalog, Need};
use crate::model::{TenantId, TenantRef};
use crate::resolve::{EntitlementSet, Freshness, NotEntitled, resolve};
use crate::store::{Organization, Store, StoreError};
use cache::Known;
use flight::Flights;
use health::Health;
use organizations::OrganizationRef;
use ready::Ready;

/// Answers what a tenant may do; cheap to clone. When the last clone is dropped, its task ends.
#[derive(Clone)]
pub struct EntitlementService {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    /// Empty if the store is one that nobody else changes.
    tasks: Vec<tokio::task::AbortHandle>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What the handles and the task share.
struct Shared {
    catalog: Catalog,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    max_stale: Duration,
    known: Known,
    /// What was said of tenants by their id, and by the organization that names them.
    ready: (Ready<TenantId>, Ready<Organization>),
    // INVARIANT: the epoch is a part of what is asked for, so that whoever asks after a change was
    // heard of does not join a question from before it.
    rows: Flights<(TenantId, u64), Result<Option<EntitlementSet>, StoreError>>,
    mappings: Flights<(Organization, u64), Result<Option<TenantId>, StoreError>>,
    store: RwLock<Option<Arc<dyn Store>>>,
    watched: bool,
    health: Health,
    /// What others kept in the snapshot that the service began with.
    restored: BTreeMap<String, String>,
}

/// How the service is, for metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServiceStatus {
    /// True if the store answered when it was last asked.
    pub up: bool,
    /// How many tenants are at hand.
    pub tenants: u64,
    /// How many organizations are at hand.
    pub organizations: u64,
    /// How many names are remembered as unknown.
    pub unknown: u64,
    /// The time since the store was last heard, by this process or by the one whose snapshot it began
    /// with; none if it never was.
    pub since_last_read: Option<Duration>,
    /// The place in the store's feed of changes up to which the cache is true.
    pub position: u64,
    /// How often the rows of a tenant could not be read since the start: that tenant gets no answer.
    pub unreadable: u64,
    /// True if the current catalog of the store is not the one of this service: replicas with
    /// different catalogs give different answers.
    pub catalog_differs: bool,
}

impl EntitlementService {
    /// Opens the store that the URL names and starts to follow it.
    ///
    /// # Errors
    ///
    /// If the store cannot be opened; [`EntitlementServiceBuilder::start`] never waits for it.
    pub async fn connect(url: &str, catalog: Catalog) -> Result<Self, StoreError> {
        Self::builder(url, catalog).connect().await
    }

    /// A service with other settings than the usual ones.
    pub fn builder(url: impl Into<String>, catalog: Catalog) -> EntitlementServiceBuilder {
        EntitlementServiceBuilder::new(builder::Origin::Url(url.into()), catalog)
    }

    /// A service before a store of one's own.
    pub fn with_store(store: Arc<dyn Store>, catalog: Catalog) -> EntitlementServiceBuilder {
        EntitlementServiceBuilder::new(builder::Origin::Store(store), catalog)
    }

    /// What the tenant may do, if that is known without asking the store.
    pub fn cached(&self, tenant: TenantRef<'_>) -> Option<EntitlementSet> {
        let shared = &self.handle.shared;
        shared.cached(tenant, (shared.clock)())
    }

    /// What the tenant may do.
    ///
    /// # Errors
    ///
    /// If nobody knows the tenant, or the store cannot be asked and nothing recent is known.
    pub async fn entitlements(&self, tenant: TenantRef<'_>) -> Result<EntitlementSet, CheckError> {
        let shared = &self.handle.shared;
        let now = (shared.clock)();
        match shared.cached(tenant, now) {
            Some(set) => Ok(set),
            None => shared.ask(tenant, now).await,
        }
    }

    /// What the tenant could do, or will be able to do, at another moment: by the license's own
    /// history, with the tenant's status and the catalog of now.
    ///
    /// # Errors
    ///
    /// As [`Self::entitlements`].
    pub async fn entitlements_at(
        &self,
        tenant: TenantRef<'_>,
        at: SystemTime,
    ) -> Result<EntitlementSet, CheckError> {
        let set = self.entitlements(tenant).await?;
        let moved = resolve(&self.handle.shared.catalog, set.record(), at);
        Ok(moved.with_freshness(set.freshness()))
    }

    /// Asks for one feature of one tenant.
    ///
    /// # Errors
    ///
    /// The outer error if there is no answer, the inner one if the answer is no: the tenant is not
    /// served, or has not enough of the feature.
    pub async fn check(
        &self,
        tenant: TenantRef<'_>,
        need: &Need,
    ) -> Result<Result<EntitlementSet, NotEntitled>, CheckError> {
        let set = self.entitlements(tenant).await?;
        Ok(set.usable().and_then(|()| set.require(need)).map(|()| set))
    }

    /// How many tenants the store had at the last news of it, the closed ones not counted and no
    /// further than [`COUNTED`](crate::store::COUNTED); nothing is asked and nothing is waited for.
    ///
    /// It is counted again after each change that is heard of, before the change counts as known,
    /// and with each comparison of everything. None if it was never counted, or is older than
    /// `max_stale`: then nobody may say that a tenant is the only one.
    pub fn counted_tenants(&self) -> Option<u64> {
        let shared = &self.handle.shared;
        shared.freshness().and_then(|_| shared.health.count())
    }

    /// How many tenants the store has now, the closed ones not counted and no further than
    /// [`COUNTED`](crate::store::COUNTED): it is asked each time. A request path asks
    /// [`Self::counted_tenants`].
    ///
    /// # Errors
    ///
    /// If the store cannot be asked. A service that began with a snapshot answers as of the snapshot
    /// until the store is heard for the first time.
    pub async fn tenant_count(&self) -> Result<u64, StoreError> {
        let shared = &self.handle.shared;
        let asked = match shared.store() {
            Ok(store) => in_time(store.tenant_count()).await,
            Err(error) => Err(error),
        };
        // The follower alone keeps the number: a late answer must not replace a newer one.
        match asked {
            Err(error) if shared.runs_on_a_snapshot() => shared.health.count().ok_or(error),
            asked => asked,
        }
    }

    /// What [`EntitlementServiceBuilder::snapshot_extras`] had put into the snapshot that the service
    /// began with; empty without one.
    pub fn restored_extras(&self) -> &BTreeMap<String, String> {
        &self.handle.shared.restored
    }

    /// True once the store was heard for the first time, or from the start with a snapshot; it stays
    /// true.
    pub fn ready(&self) -> bool {
        let shared = &self.handle.shared;
        !shared.watched || shared.health.since_last_read().is_some()
    }

    /// The current catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.handle.shared.catalog
    }

    /// How the service is, for metrics.
    pub fn status(&self) -> ServiceStatus {
        let shared = &self.handle.shared;
        let (tenants, organizations, unknown) = shared.known.counts();
        ServiceStatus {
            up: shared.is_up(),
            tenants,
            organizations,
            unknown,
            since_last_read: shared.health.since_last_read(),
            position: shared.health.place().map_or(0, |place| place.seq),
            unreadable: shared.health.unreadable.load(Ordering::Relaxed),
            catalog_differs: shared.health.catalog_differs.load(Ordering::Relaxed),
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn shared_clock(&self) -> SystemTime {
        (self.handle.shared.clock)()
    }

    /// Brings rows that were just changed into the cache, where no task does it.
    #[cfg(feature = "testing")]
    pub(crate) fn take(&self, record: crate::model::TenantRecord) {
        let shared = &self.handle.shared;
        shared.known.heard_of_a_change();
        shared.known.store(record, &shared.catalog, (shared.clock)(), cache::Replace::Newer);
    }

    /// Forgets whom an organization named, where no task does it.
    #[cfg(feature = "testing")]
    pub(crate) fn unmap(&self, organization: &Organization) {
        let shared = &self.handle.shared;
        shared.known.heard_of_a_change();
        shared.known.unmap(organization);
    }

    /// Tells how many tenants there are now, where no task does it.
    #[cfg(feature = "testing")]
    pub(crate) fn has_counted(&self, tenants: u64) {
        self.handle.shared.health.has_counted(tenants);
    }
}

impl std::fmt::Debug for EntitlementService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntitlementService")
            .field("catalog", self.catalog())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn cached(&self, tenant: TenantRef<'_>, now: SystemTime) -> Option<EntitlementSet> {
        let freshness = self.freshness()?;
        let set = self.at_hand(tenant, now)?;
        // What is doubtful says itself how old it is.
        Some(match (freshness, set.freshness()) {
            (stale @ Freshness::Stale { .. }, Freshness::Fresh) => set.with_freshness(stale),
            _ => set,
        })
    }

    fn at_hand(&self, tenant: TenantRef<'_>, now: SystemTime) -> Option<EntitlementSet> {
        // INVARIANT: the generation is read before the caches are asked, and grows after each change
        // of them, and once more before what was heard of counts as known: an answer from before a
        // change does not count after it, not even of rows that the caches have given up meanwhile.
        let generation = self.known.generation();
        let (by_id, by_organization) = &self.ready;
        match tenant {
            TenantRef::Id(id) => by_id.get(id, generation, now).or_else(|| {
                let Some(set) = self.known.set(id, &self.catalog, now) else {
                    return self.doubtful_if_down(id, now);
                };
                by_id.put(id, || id.clone(), &set, generation, now);
                Some(set)
            }),
            TenantRef::Organization { issuer, organization } => {
                let organization = OrganizationRef { issuer, id: organization };
                by_organization.get(&organization, generation, now).or_else(|| {
                    let id = self.known.tenant_of(&organization)?;
                    let Some(set) = self.known.set(&id, &self.catalog, now) else {
                        return self.doubtful_if_down(&id, now);
                    };
                    by_organization.put(
                        &organization,
                        || organization.owned(),
                        &set,
                        generation,
                        now,
                    );
                    Some(set)
                })
            }
        }
    }

    fn doubtful_if_down(&self, id: &TenantId, now: SystemTime) -> Option<EntitlementSet> {
        if self.is_up() { None } else { self.doubtful(id, now) }
    }

    /// What rows say that are to be read again, while the store cannot be asked.
    fn doubtful(&self, id: &TenantId, now: SystemTime) -> Option<EntitlementSet> {
        let (record, age) = self.known.doubts().get(id)?;
        let set = cache::resolve_live(&self.catalog, record, now);
        (age <= self.max_stale).then(|| set.with_freshness(Freshness::Stale { age }))
    }

    /// True if the store answered when it was last asked.
    fn is_up(&self) -> bool {
        !self.watched || self.health.up.load(Ordering::Relaxed)
    }

    /// How current the cache is; none if it may not be used any more.
    fn freshness(&self) -> Option<Freshness> {
        if !self.watched {
            return Some(Freshness::Fresh);
        }
        let age = self.health.since_last_read()?;
        if age <= FRESH_FOR && self.health.heard() {
            Some(Freshness::Fresh)
        } else if age <= self.max_stale {
            Some(Freshness::Stale { age })
        } else {
            None
        }
    }

    /// True as long as what a snapshot brought is all that is known, and may be used.
    fn runs_on_a_snapshot(&self) -> bool {
        let carries = self.health.carried.is_some() && !self.health.heard();
        carries && self.freshness().is_some()
    }

    fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.clone().ok_or_else(|| StoreError::Unavailable("it is not open".to_owned()))
    }

    fn put_store(&self, store: Option<Arc<dyn Store>>) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = store;
    }
}

/// Gives a store that hangs no more time than a request has.
async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    within(PATIENCE, answer).await
}

async fn within<T>(
    time: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(time, answer).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(format!("no answer within {} ms", time.as_millis())))
    })
}

/// The longest a question waits for the store.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long without a sign of life the cache still counts as current: a few polls.
const FRESH_FOR: Duration = Duration::from_secs(3);
