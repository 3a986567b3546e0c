//! Where tenants, licenses, overrides and their history are kept.
//!
//! [`open`] turns a URL into a [`Store`]. The service reads through it; the command line reads and
//! changes through it. Every change is one [`Change`], applied in one transaction that also grows
//! the tenant's revision, appends to the feed and writes one chained [`AuditEntry`].
//!
//! # How to add a back end
//!
//! 1. Write `migrations/NAME/0001_initial.sql` after the example of `migrations/sqlite`. What must
//!    never happen is refused by the database: ids used twice, history rewritten, periods that end
//!    before they begin. Triggers grow the revision and feed `changes`, so that an edit by hand
//!    reaches running services too.
//! 2. Write `store/NAME/mod.rs` after the example of `store/sqlite`: what SQL databases have in
//!    common stands in `store/sql`, as one text that each back end compiles with its own driver;
//!    for anything else implement [`Store`]. Four things to note: [`Store::load`] reads all rows of
//!    a tenant in one snapshot; [`Store::news`] waits for the feed by whatever the database offers
//!    and gives up after about a second, because its return is also the sign of life;
//!    [`Store::publish`] looks for licenses that would be orphaned in the transaction that makes the
//!    catalog current; [`Store::apply`] checks, changes and audits in one transaction, with one writer at a time, so
//!    that the order of the feed is the order of commits; errors of the driver become
//!    [`StoreError`] at once and never appear in a signature.
//! 3. Add the scheme to [`open`] and one line to the tests that run [`conformance`].

#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "testing")),
    expect(dead_code, reason = "without a back end nobody calls it")
)]
pub(crate) mod audit;
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "testing")),
    expect(dead_code, reason = "without a back end nobody calls it")
)]
mod change;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(dead_code, reason = "without a back end nobody fills it")
)]
mod contents;
mod error;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "testing")),
    expect(dead_code, reason = "without a back end nobody calls it")
)]
mod orphans;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

pub use audit::AuditEntry;
pub use change::{Actor, Change, Organization, Receipt};
pub use contents::{Contents, Copied, copy};
pub(crate) use error::address;
pub use error::{Refusal, StoreError};
pub use orphans::HeldPlan;

use crate::catalog::Catalog;
use crate::model::{License, LicenseSource, TenantId, TenantRecord, TenantStatus};

/// What a store answers, later. Stores are chosen by a URL, so their futures are boxed; no request
/// waits for one in the steady state.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// How far tenants are counted: whoever asks wants to know whether one is alone, and must not have to
/// wait for the number of them all.
pub const COUNTED: u32 = 100;

/// A place that keeps tenants and their licenses.
pub trait Store: Send + Sync + 'static {
    /// All rows of a tenant, read in one snapshot.
    fn load<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Option<TenantRecord>>;

    /// The tenant that an issuer's organization is mapped to.
    fn tenant_of<'a>(
        &'a self,
        issuer: &'a str,
        organization: &'a str,
    ) -> Answer<'a, Option<TenantId>>;

    /// How many tenants there are, the closed ones not counted, and no further than [`COUNTED`].
    fn tenant_count(&self) -> Answer<'_, u64>;

    /// Every tenant, by id.
    fn tenants(&self) -> Answer<'_, Vec<TenantSummary>>;

    /// The organizations that are mapped to a tenant.
    fn organizations<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Vec<Organization>>;

    /// Every organization that is mapped, and the tenant that it names.
    fn mappings(&self) -> Answer<'_, Vec<(Organization, TenantId)>>;

    /// A license by its id, and the tenant that holds it.
    fn license<'a>(&'a self, id: &'a str) -> Answer<'a, Option<(TenantId, License)>>;

    /// The license that a source granted under a name of its own, and the tenant that holds it.
    fn license_from<'a>(
        &'a self,
        source: LicenseSource,
        reference: &'a str,
    ) -> Answer<'a, Option<(TenantId, License)>>;

    /// The revision of every tenant.
    fn revisions(&self) -> Answer<'_, Vec<(TenantId, u64)>>;

    /// The place of the last entry in the feed of changes.
    fn position(&self) -> Answer<'_, Place>;

    /// True if the store has the same history up to a place as when the place was read: it is no
    /// other store, and no older copy was restored, however long its feed has become since.
    fn holds<'a>(&'a self, place: &'a Place) -> Answer<'a, bool>;

    /// The changes after a place in the feed. Without any it waits for some, and comes back with
    /// nothing after about a second at most.
    fn news<'a>(&'a self, after: &'a Place) -> Answer<'a, Feed>;

    /// Keeps a catalog under its digest, so that licenses may pin it. The current one stays current.
    fn keep<'a>(&'a self, catalog: &'a Catalog, by: &'a Actor, at: SystemTime) -> Answer<'a, ()>;

    /// Keeps a catalog under its digest, and makes it the current one.
    ///
    /// It is refused as [`Refusal::Orphans`] if a license would name a plan that nobody knows: one
    /// that follows the current catalog, and is neither revoked nor over nor of a closed tenant.
    fn publish<'a>(&'a self, catalog: &'a Catalog, by: &'a Actor, at: SystemTime)
    -> Answer<'a, ()>;

    /// The digest of the catalog that was published last.
    fn current_digest(&self) -> Answer<'_, Option<String>>;

    /// The catalog that was published last.
    fn current_catalog(&self) -> Answer<'_, Option<Catalog>>;

    /// Makes one change, with its revision, its entry in the feed and its audit entry.
    ///
    /// `at` is the writer's now. Where a database has a clock of its own, what is later than that
    /// clock counts as made, and as begun, at that clock's now.
    fn apply<'a>(
        &'a self,
        change: &'a Change,
        by: &'a Actor,
        at: SystemTime,
    ) -> Answer<'a, Receipt>;

    /// The audit entries after one, the oldest first.
    fn audit(&self, after: u64, limit: u32) -> Answer<'_, Vec<AuditEntry>>;

    /// Everything that is kept, read at one moment. A store that is made for tests may refuse.
    fn contents(&self) -> Answer<'_, Contents> {
        Box::pin(async { Err(not_copied()) })
    }

    /// Writes everything that another store keeps into this one, which must be empty: all of it,
    /// or nothing. A store that is made for tests may refuse.
    fn fill<'a>(&'a self, contents: &'a Contents) -> Answer<'a, ()> {
        let _ = contents;
        Box::pin(async { Err(not_copied()) })
    }
}

fn not_copied() -> StoreError {
    Refusal::Forbidden("this kind of store cannot be copied".to_owned()).into()
}

/// A tenant in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TenantSummary {
    /// The tenant's id.
    pub id: TenantId,
    /// The name for people.
    pub name: String,
    /// Whether it may be served at all.
    pub status: TenantStatus,
    /// The revision of its rows.
    pub revision: u64,
    /// When it was added.
    pub created_at: SystemTime,
}

/// A place in the feed of changes of one store.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// Which store it is: a random name, made with the store and never copied into another.
    pub store: String,
    /// The number of the last change; zero before the first one.
    pub seq: u64,
    /// The random mark of that change: two histories of one store do not share it.
    pub mark: String,
}

impl Place {
    /// The place before the first change of the same store.
    #[must_use]
    pub fn beginning(&self) -> Self {
        Self { store: self.store.clone(), seq: 0, mark: String::new() }
    }
}

/// Changes after a place in the feed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Feed {
    /// The place of the last change that is told here.
    pub position: Place,
    /// Whose rows changed; a tenant may stand here more than once.
    pub tenants: Vec<TenantId>,
    /// The store's history up to the place that was asked for is another one: another copy of the
    /// store is there, and nothing that was read before may be relied on.
    pub restarted: bool,
    /// There are further changes behind [`Self::position`], which the next question tells.
    pub more: bool,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// To change it: it is created if it is missing and brought to the current schema.
    ReadWrite,
    /// To read only: a missing store is an error, and nothing is written.
    ReadOnly,
}

/// Opens the store that a URL names: `sqlite:tiergate.db`, `postgres://USER@HOST/DATABASE`.
///
/// # Errors
///
/// If the URL names no store that is built in, the store is missing or cannot be reached, or its
/// schema is not the one that this program knows.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(clippy::unused_async, reason = "without a back end there is nothing to wait for")
)]
pub async fn open(url: &str, mode: Mode) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        #[cfg(feature = "sqlite")]
        Some(("sqlite", _)) => Ok(Arc::new(sqlite::open(url, mode).await?)),
        #[cfg(not(feature = "sqlite"))]
        Some(("sqlite", _)) => {
            let _ = mode;
            Err(StoreError::address(url, "build with the feature `sqlite`"))
        }
        #[cfg(feature = "postgres")]
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(postgres::open(url, mode).await?)),
        #[cfg(not(feature = "postgres"))]
        Some(("postgres" | "postgresql", _)) => {
            let _ = mode;
            Err(StoreError::address(url, "build with the feature `postgres`"))
        }
        _ => Err(StoreError::address(url, "use `sqlite:FILE` or `postgres://USER@HOST/DATABASE`")),
    }
}
