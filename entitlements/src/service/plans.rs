//! The task that keeps the catalog of this service in the store, and watches whether it is still the
//! current one there.
//!
//! No answer depends on it: a service answers with its own catalog, whether the store takes that
//! one or not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::{Shared, within};
use crate::store::{Actor, Mode, Store, StoreError};

/// Publishes the catalog once, unless the store is only read, and then compares now and then.
pub(super) async fn watch(shared: Arc<Shared>, mode: Mode) {
    let mut published = mode == Mode::ReadOnly;
    let mut failed = false;
    // The digest that was told to be another one.
    let mut told: Option<String> = None;
    loop {
        let Ok(store) = shared.store() else {
            tokio::time::sleep(FIRST_LOOK).await;
            continue;
        };
        match look(&shared, store.as_ref(), &mut published).await {
            Ok(current) => {
                failed = false;
                let other = current.filter(|digest| digest != shared.catalog.digest());
                shared.health.catalog_differs.store(other.is_some(), Ordering::Relaxed);
                if let Some(current) = &other
                    && told != other
                {
                    let own = shared.catalog.digest();
                    warn!(
                        own,
                        current,
                        "entitlements: the current plans of the store are not those of this \
                         process; replicas that answer by different plans give different answers"
                    );
                }
                told = other;
            }
            // Once: what fails now fails every time.
            Err(error) if !failed => {
                failed = true;
                warn!(%error, "entitlements: the plans cannot be compared or stored");
            }
            Err(error) => debug!(%error, "entitlements: the plans still cannot be stored"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The digest of the store's current catalog; ours is published first if that is still to be done.
async fn look(
    shared: &Shared,
    store: &dyn Store,
    published: &mut bool,
) -> Result<Option<String>, StoreError> {
    let current = within(PATIENCE, store.current_digest()).await?;
    let own = shared.catalog.digest();
    if *published || current.as_deref() == Some(own) {
        *published = true;
        return Ok(current);
    }
    within(PATIENCE, store.publish(&shared.catalog, &Actor::system(), (shared.clock)())).await?;
    *published = true;
    if let Some(before) = current {
        info!(own, before, "entitlements: these plans are the current ones of the store now");
    }
    Ok(Some(own.to_owned()))
}

/// How often it is looked whether there is a store.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// How often the plans are compared.
const EVERY: Duration = Duration::from_secs(30);
/// The longest that the store may take: another writer may hold its lock.
const PATIENCE: Duration = Duration::from_secs(15);
