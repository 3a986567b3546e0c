//! The task that keeps the cache true: it follows the store's feed of changes, and compares
//! everything again after each interruption.
//!
//! How news arrive is the store's business: PostgreSQL notifies, SQLite is asked. Here counts only
//! that an error means an interruption, that after one everything is compared, and that rows with
//! a smaller revision never take the place of greater ones, unless the store is another copy. That
//! is seen by its name and by the mark of the last change that was heard of.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::cache::Replace;
use super::{Shared, in_time, keep, within};
use crate::model::TenantId;
use crate::store::{self, Mode, Place, Store, StoreError};

/// How the store is reached, the first time and after it was replaced.
pub(super) enum Connector {
    Url(String, Mode),
    Given(Arc<dyn Store>, Mode),
}

impl Connector {
    /// Opens the store. One that was there before is missing if it is gone, not new: an empty one
    /// in its place would make every tenant unknown.
    pub(super) async fn open(&self, shared: &Shared) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::Given(store, _) => Ok(Arc::clone(store)),
            Self::Url(url, mode) => {
                if shared.health.since_last_read().is_some() {
                    match store::open(url, Mode::ReadOnly).await {
                        // An older schema is brought up to date below; a newer one is refused there.
                        Ok(_) | Err(StoreError::Schema(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                store::open(url, *mode).await
            }
        }
    }

    pub(super) fn mode(&self) -> Mode {
        match self {
            Self::Url(_, mode) | Self::Given(_, mode) => *mode,
        }
    }
}

/// What the task knows between two turns.
#[derive(Default)]
pub(super) struct Course {
    /// Where the feed stands; none: everything is to be compared.
    place: Option<Place>,
    /// Reads again what a comparison had to forget; it ends with the task.
    again: JoinSet<()>,
}

/// Opens the store and makes sure that what is at hand is what it says.
pub(super) async fn reach_first(
    shared: &Arc<Shared>,
    connector: &Connector,
) -> Result<Course, StoreError> {
    keep::take_over(shared).await;
    let store = connector.open(shared).await?;
    let mut course = Course::default();
    turn(shared, store.as_ref(), &mut course).await?;
    shared.put_store(Some(store));
    Ok(course)
}

/// Follows the store until the service is dropped.
pub(super) async fn follow(shared: Arc<Shared>, connector: Connector, mut course: Course) {
    // INVARIANT: what a snapshot says is in the cache before the store is asked for the first time:
    // nothing of it comes after what the store says.
    keep::take_over(&shared).await;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match reach(&shared, &connector).await {
            Ok(store) => {
                let (error, heard) = listen(&shared, store.as_ref(), &mut course).await;
                if heard {
                    pause = FIRST_PAUSE;
                }
                error
            }
            Err(error) => error,
        };
        if shared.health.up.swap(false, Ordering::Relaxed) || pause == FIRST_PAUSE {
            warn!(%error, "entitlements: the store cannot be followed");
        } else {
            debug!(%error, "entitlements: the store still cannot be followed");
        }
        course.place = None;
        if matches!(error, StoreError::Gone(_)) {
            shared.put_store(None);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn reach(shared: &Shared, connector: &Connector) -> Result<Arc<dyn Store>, StoreError> {
    if let Ok(store) = shared.store() {
        return Ok(store);
    }
    let store = connector.open(shared).await?;
    shared.put_store(Some(Arc::clone(&store)));
    Ok(store)
}

/// Listens until something goes wrong; tells whether the store was heard at all.
async fn listen(
    shared: &Arc<Shared>,
    store: &dyn Store,
    course: &mut Course,
) -> (StoreError, bool) {
    let mut heard = false;
    loop {
        match turn(shared, store, course).await {
            Ok(()) => heard = true,
            Err(error) => return (error, heard),
        }
    }
}

/// One turn: everything anew if it is not known where the feed stands, else the news.
async fn turn(
    shared: &Arc<Shared>,
    store: &dyn Store,
    course: &mut Course,
) -> Result<(), StoreError> {
    // INVARIANT: what is read in this turn is true of a moment after this one.
    let asked = Instant::now();
    let Some(after) = &course.place else {
        let place = compare(shared, store, &mut course.again).await?;
        if !shared.health.up.load(Ordering::Relaxed) {
            info!(position = place.seq, "entitlements: following the store");
        }
        shared.health.confirm(asked, &place);
        course.place = Some(place);
        return Ok(());
    };
    let feed = within(NEWS_WITHIN, store.news(after)).await?;
    if feed.restarted {
        course.place = None;
        return Ok(());
    }
    if feed.position != *after {
        shared.known.heard_of_a_change();
        // INVARIANT: whoever is new is counted before the news count as heard.
        count(shared, store).await?;
        let concerned: HashSet<_> = feed.tenants.into_iter().collect();
        if concerned.len() > AT_ONCE {
            // Too many to be read before anything else is heard: comparing forgets them first.
            course.place = None;
            return Ok(());
        }
        refresh(shared, store, &concerned, Replace::Newer).await?;
        if feed.more {
            // What else has changed is not known yet, so nothing counts as true of now.
            course.place = Some(feed.position);
            return Ok(());
        }
    }
    shared.health.confirm(asked, &feed.position);
    course.place = if shared.health.sweep_is_due() { None } else { Some(feed.position) };
    Ok(())
}

/// Counts the tenants, for those who may only be let in if there is no other.
async fn count(shared: &Shared, store: &dyn Store) -> Result<(), StoreError> {
    shared.health.has_counted(in_time(store.tenant_count()).await?);
    Ok(())
}

/// Compares every tenant at hand with the store; tells where the feed stands.
async fn compare(
    shared: &Arc<Shared>,
    store: &dyn Store,
    again: &mut JoinSet<()>,
) -> Result<Place, StoreError> {
    // The place comes first: what changes during the comparison is told again by the feed.
    let place = within(NEWS_WITHIN, store.position()).await?;
    let same = match shared.health.place() {
        Some(last) => within(NEWS_WITHIN, store.holds(&last)).await?,
        None => true,
    };
    count(shared, store).await?;
    shared.known.heard_of_a_change();
    let mut concerned: HashSet<TenantId> = shared.known.tenants().into_iter().collect();
    // Organizations whose tenant is not at hand are few, and cheaper to ask again than to compare.
    for organization in shared.known.organizations().without(&concerned) {
        shared.known.unmap(&organization);
    }
    if !same {
        warn!("entitlements: another copy of the store is there; everything is read again");
    } else if !concerned.is_empty() {
        for (id, revision) in within(REVISIONS_WITHIN, store.revisions()).await? {
            if shared.known.revision(&id) == Some(revision) {
                concerned.remove(&id);
            }
        }
    }
    again.abort_all();
    if concerned.len() <= AT_ONCE {
        let replace = if same { Replace::Newer } else { Replace::Always };
        refresh(shared, store, &concerned, replace).await?;
    } else {
        // Nobody waits for that many: they are unknown here until they are asked for or read, and
        // the feed is followed meanwhile.
        info!(tenants = concerned.len(), "entitlements: reading again what has changed");
        for id in &concerned {
            shared.known.forget(id);
            for organization in shared.known.organizations().of(id) {
                shared.known.unmap(&organization);
            }
        }
        again.spawn(read_again(Arc::clone(shared), concerned));
    }
    Ok(place)
}

/// Brings tenants back that are not at hand; whom nobody can read now, somebody may ask for later.
async fn read_again(shared: Arc<Shared>, tenants: HashSet<TenantId>) {
    for id in tenants {
        if shared.known.revision(&id).is_some() {
            continue;
        }
        match shared.load(&id, (shared.clock)()).await {
            Ok(_) | Err(StoreError::Corrupt(_)) => {}
            Err(error) => {
                debug!(%error, "entitlements: the rest is read when it is asked for");
                return;
            }
        }
    }
}

/// Reads the tenants again that are at hand, and the organizations that name them.
async fn refresh(
    shared: &Shared,
    store: &dyn Store,
    concerned: &HashSet<TenantId>,
    replace: Replace,
) -> Result<(), StoreError> {
    for id in concerned {
        if shared.known.revision(id).is_some() {
            match in_time(store.load(id)).await {
                Ok(Some(record)) => {
                    let now = (shared.clock)();
                    shared.known.store(record, &shared.catalog, now, replace);
                }
                Ok(None) => shared.known.forget(id),
                // Nobody else must go without news because of it.
                Err(StoreError::Corrupt(why)) => shared.cannot_be_read(id, why),
                Err(error) => return Err(error),
            }
        }
        for organization in shared.known.organizations().of(id) {
            match in_time(store.tenant_of(&organization.issuer, &organization.id)).await {
                Ok(Some(tenant)) => shared.known.map(organization, tenant),
                Ok(None) | Err(StoreError::Corrupt(_)) => shared.known.unmap(&organization),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the feed may take to answer; it waits for news for a second at most.
const NEWS_WITHIN: Duration = Duration::from_secs(5);
/// How long the revisions of all tenants may take.
const REVISIONS_WITHIN: Duration = Duration::from_mins(1);
/// How many tenants are read before the feed is followed.
const AT_ONCE: usize = 256;
