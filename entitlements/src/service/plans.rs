//! The task that keeps the catalog of this service in the store, and watches whether it is still the
//! current one there.
//!
//! No answer depends on it: a service answers with its own catalog, whether the store takes that
//! one or not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::{Shared, within};
use crate::store::{Actor, Mode, Refusal, Store, StoreError};

/// Publishes the catalog once, unless the store is only read, and then compares now and then.
pub(super) async fn watch(shared: Arc<Shared>, mode: Mode) {
    let mut course = match mode {
        Mode::ReadOnly => Course::Done,
        Mode::ReadWrite => Course::ToPublish,
    };
    let mut failed = false;
    // The digest that was told to be another one.
    let mut told: Option<String> = None;
    loop {
        let Ok(store) = shared.store() else {
            tokio::time::sleep(FIRST_LOOK).await;
            continue;
        };
        match look(&shared, store.as_ref(), &mut course).await {
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

/// How far publishing is.
enum Course {
    ToPublish,
    /// The store refused the plans, for this reason, while these were the current ones.
    Refused(Refusal, Option<String>),
    /// They were published, or are not to be.
    Done,
}

/// The digest of the store's current catalog; ours is published first if that is still to be done.
async fn look(
    shared: &Shared,
    store: &dyn Store,
    course: &mut Course,
) -> Result<Option<String>, StoreError> {
    let current = within(PATIENCE, store.current_digest()).await?;
    let own = shared.catalog.digest();
    // Plans that somebody else published after ours were refused are newer than ours.
    let overtaken = matches!(course, Course::Refused(_, before) if *before != current);
    if overtaken || current.as_deref() == Some(own) {
        *course = Course::Done;
    }
    if matches!(course, Course::Done) {
        return Ok(current);
    }
    let by = Actor::system();
    match within(PATIENCE, store.publish(&shared.catalog, &by, (shared.clock)())).await {
        Ok(()) => {}
        Err(StoreError::Refused(refusal @ Refusal::Orphans(_))) => {
            // Once for each reason: it lasts until somebody revokes licenses or starts with other plans.
            if !matches!(course, Course::Refused(told, _) if *told == refusal) {
                error!(
                    own,
                    current,
                    error = %refusal,
                    "entitlements: these plans do not become the current ones of the store; this \
                     process answers by them all the same, and the tenants of such licenses are \
                     denied as `unknown_plan`"
                );
            }
            *course = Course::Refused(refusal, current.clone());
            return Ok(current);
        }
        Err(error) => return Err(error),
    }
    *course = Course::Done;
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
