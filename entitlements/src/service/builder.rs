//! Settings of a service, and the two ways to start it.

use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use super::cache::Known;
use super::flight::Flights;
use super::watch::{self, Connector};
use super::{EntitlementService, Handle, Health, Shared};
use crate::catalog::Catalog;
use crate::store::{Mode, Store, StoreError};

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
        }
    }

    /// The clock that licenses are judged by; the system's unless another is given.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// How long what is known may be used while the store cannot be asked; 24 hours unless another
    /// time is given. Zero: a request fails as soon as the store is known to be down.
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

    /// Opens the store, publishes the catalog in it unless it is read only, and starts to follow
    /// it.
    ///
    /// # Errors
    ///
    /// If the store cannot be opened, read or, unless it is read only, written.
    pub async fn connect(self) -> Result<EntitlementService, StoreError> {
        let (shared, connector) = self.into_parts();
        let store = connector.open(&shared).await?;
        let position = watch::first_look(&shared, store.as_ref()).await?;
        shared.put_store(Some(store));
        Ok(spawn(shared, connector, Some(position)))
    }

    /// Starts without waiting for the store: until it is there, every question fails as
    /// unavailable; then the service becomes ready by itself.
    pub fn start(self) -> EntitlementService {
        let (shared, connector) = self.into_parts();
        spawn(shared, connector, None)
    }

    /// A service before a store that nobody else changes: there is nothing to follow.
    #[cfg(feature = "testing")]
    pub(crate) fn unwatched(self) -> EntitlementService {
        let (shared, connector) = self.into_parts();
        if let Connector::Given(store) = connector {
            shared.put_store(Some(store));
        }
        let shared = Arc::new(Shared { watched: false, ..shared });
        EntitlementService { handle: Arc::new(Handle { shared, task: None }) }
    }

    fn into_parts(self) -> (Shared, Connector) {
        let shared = Shared {
            catalog: self.catalog,
            clock: self.clock,
            max_stale: self.max_stale,
            known: Known::new(self.capacity),
            rows: Flights::new(),
            mappings: Flights::new(),
            store: RwLock::new(None),
            watched: true,
            health: Health::new(),
        };
        let connector = match self.origin {
            Origin::Url(url) => Connector::Url(url, self.mode),
            Origin::Store(store) => Connector::Given(store),
        };
        (shared, connector)
    }
}

fn spawn(shared: Shared, connector: Connector, position: Option<u64>) -> EntitlementService {
    let shared = Arc::new(shared);
    let task = tokio::spawn(watch::follow(Arc::clone(&shared), connector, position));
    EntitlementService { handle: Arc::new(Handle { shared, task: Some(task.abort_handle()) }) }
}

#[expect(clippy::disallowed_methods, reason = "the default of the clock that is handed in")]
fn system_clock() -> SystemTime {
    SystemTime::now()
}
