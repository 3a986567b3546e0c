//! Settings of a service, and the two ways to start it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use super::cache::Known;
use super::flight::Flights;
use super::keep::{self, Extras, Keeper};
use super::ready::Ready;
use super::watch::{self, Connector, Course};
use super::{EntitlementService, Handle, Health, Shared, plans};
use crate::catalog::Catalog;
use crate::snapshot::SnapshotKey;
use crate::store::{self, Mode, Store, StoreError};

/// Where the store comes from.
pub(super) enum Origin {
    Url(String),
    Store(Arc<dyn Store>),
}

/// Settings of an [`EntitlementService`].
pub struct EntitlementServiceBuilder {
    origin: Origin,
    catalog: Catalog,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    max_stale: Duration,
    mode: Mode,
    capacity: u64,
    snapshot: Option<(PathBuf, SnapshotKey)>,
    extras: Option<Extras>,
}

impl EntitlementServiceBuilder {
    pub(super) fn new(origin: Origin, catalog: Catalog) -> Self {
        Self {
            origin,
            catalog,
            clock: Box::new(system_clock),
            max_stale: Duration::from_hours(24),
            mode: Mode::ReadWrite,
            capacity: 100_000,
            snapshot: None,
            extras: None,
        }
    }

    /// The clock that licenses are judged by; the system's unless another is given.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// How long what is known may be used while the store cannot be asked; 24 hours unless another
    /// time is given. Zero: what is known ends with the few seconds for which it counts as fresh.
    #[must_use]
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self
    }

    /// Neither creates nor changes the store: it must be there, with the current schema.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.mode = if read_only { Mode::ReadOnly } else { Mode::ReadWrite };
        self
    }

    /// How many tenants are kept at hand; 100,000 unless another number is given.
    #[must_use]
    pub fn capacity(mut self, tenants: u64) -> Self {
        self.capacity = tenants;
        self
    }

    /// Keeps what is known of tenants in a file, for a start while the store cannot be asked.
    ///
    /// The service begins with what the file holds: tenants that stand there are answered at once,
    /// as [`Freshness::Stale`](crate::Freshness::Stale), each resolved at the moment of the question,
    /// until the store is heard. `max_stale` counts from the moment at which the store was heard
    /// last before the file was written; starting again does not prolong it. A file that is older,
    /// damaged, forged, of another store, from another version or written with another key is refused, and the log
    /// says so: the service then starts as if there were none.
    ///
    /// Afterwards the file is written anew a few seconds after each change, as a whole or not at
    /// all, readable by its owner only. It is authenticated, not encrypted. Reading it is the one
    /// thing for which [`Self::start`] and [`Self::connect`] block the thread.
    #[must_use]
    pub fn snapshot(mut self, path: impl Into<PathBuf>, key: SnapshotKey) -> Self {
        self.snapshot = Some((path.into(), key));
        self
    }

    /// What is to be kept in the snapshot beside tenants, by name; asked every few seconds. After
    /// a start it is told by [`EntitlementService::restored_extras`].
    #[must_use]
    pub fn snapshot_extras(
        mut self,
        extras: impl Fn() -> BTreeMap<String, String> + Send + Sync + 'static,
    ) -> Self {
        self.extras = Some(Box::new(extras));
        self
    }

    /// Opens the store and starts to follow it. With a snapshot that can be used, a store that does
    /// not answer is waited for in the background.
    ///
    /// The catalog is published in the store a moment later, unless the store is read only or has it
    /// as its current one. If that fails, the log says so; no answer depends on it.
    ///
    /// # Errors
    ///
    /// If the store cannot be opened or read.
    pub async fn connect(self) -> Result<EntitlementService, StoreError> {
        let (shared, connector, keeper) = self.into_parts();
        let shared = Arc::new(shared);
        let restored = shared.runs_on_a_snapshot();
        let course = match watch::reach_first(&shared, &connector).await {
            Ok(course) => course,
            Err(error) if restored && error.is_temporary() => Course::default(),
            Err(error) => return Err(error),
        };
        Ok(spawn(shared, connector, keeper, course))
    }

    /// Starts without waiting for the store: until it is there, every question fails as
    /// unavailable, unless a snapshot has the answer; then the service becomes ready by itself.
    pub fn start(self) -> EntitlementService {
        let (shared, connector, keeper) = self.into_parts();
        spawn(Arc::new(shared), connector, keeper, Course::default())
    }

    /// A service before a store that nobody else changes: there is nothing to follow.
    #[cfg(feature = "testing")]
    pub(crate) fn unwatched(self) -> EntitlementService {
        let (shared, connector, _) = self.into_parts();
        if let Connector::Given(store, _) = connector {
            shared.put_store(Some(store));
        }
        let shared = Arc::new(Shared { watched: false, ..shared });
        EntitlementService { handle: Arc::new(Handle { shared, tasks: Vec::new() }) }
    }

    fn into_parts(self) -> (Shared, Connector, Option<Keeper>) {
        let mut shared = Shared {
            catalog: self.catalog,
            clock: self.clock,
            max_stale: self.max_stale,
            known: Known::new(self.capacity),
            ready: (Ready::new(self.capacity), Ready::new(self.capacity)),
            rows: Flights::new(),
            mappings: Flights::new(),
            store: RwLock::new(None),
            watched: true,
            health: Health::new(),
            restored: BTreeMap::new(),
        };
        let address = match &self.origin {
            Origin::Url(url) => Some(store::address(url)),
            Origin::Store(_) => None,
        };
        let connector = match self.origin {
            Origin::Url(url) => Connector::Url(url, self.mode),
            Origin::Store(store) => Connector::Given(store, self.mode),
        };
        let extras = self.extras;
        let keeper = self.snapshot.map(|(path, key)| Keeper { path, key, address, extras });
        if let Some(keeper) = &keeper {
            keeper.restore(&mut shared);
        }
        (shared, connector, keeper)
    }
}

fn spawn(
    shared: Arc<Shared>,
    connector: Connector,
    keeper: Option<Keeper>,
    course: Course,
) -> EntitlementService {
    let plans = plans::watch(Arc::clone(&shared), connector.mode());
    let mut tasks = vec![
        tokio::spawn(watch::follow(Arc::clone(&shared), connector, course)).abort_handle(),
        tokio::spawn(plans).abort_handle(),
    ];
    if let Some(keeper) = keeper {
        let keeping = keep::keep(Arc::clone(&shared), Arc::new(keeper));
        tasks.push(tokio::spawn(keeping).abort_handle());
    }
    EntitlementService { handle: Arc::new(Handle { shared, tasks }) }
}

#[expect(clippy::disallowed_methods, reason = "the default of the clock that is handed in")]
fn system_clock() -> SystemTime {
    SystemTime::now()
}
