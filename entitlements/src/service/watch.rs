//! The task that keeps the cache true: it follows the store's feed of changes, and looks at
//! everything again after each interruption.
//!
//! How news arrive is the store's business: PostgreSQL notifies, SQLite is asked. Here counts only
//! that an error means an interruption, that after one everything is compared, and that rows with
//! a smaller revision never take the place of greater ones unless the store itself went back.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::cache::Replace;
use super::{Shared, in_time};
use crate::model::TenantId;
use crate::store::{self, Actor, Mode, Store, StoreError};

/// How the store is reached, the first time and after it was replaced.
pub(super) enum Connector {
    Url(String, Mode),
    Given(Arc<dyn Store>),
}

impl Connector {
    /// Opens the store, and publishes the catalog in it unless it is read only.
    pub(super) async fn open(&self, shared: &Shared) -> Result<Arc<dyn Store>, StoreError> {
        let (store, mode) = match self {
            Self::Url(url, mode) => (store::open(url, *mode).await?, *mode),
            Self::Given(store) => (Arc::clone(store), Mode::ReadWrite),
        };
        if mode == Mode::ReadWrite {
            let now = (shared.clock)();
            store.publish(&shared.catalog, &Actor::system(), now).await?;
        }
        Ok(store)
    }

    /// Opens a store that was there before. One that was removed is missing, not new: an empty
    /// one in its place would make every tenant unknown.
    async fn reopen(&self, shared: &Shared) -> Result<Arc<dyn Store>, StoreError> {
        if let Self::Url(url, _) = self
            && let Err(error @ StoreError::Missing { .. }) = store::open(url, Mode::ReadOnly).await
        {
            return Err(error);
        }
        self.open(shared).await
    }
}

/// What the task knows between two turns.
struct Course {
    /// Where the feed stands; none: everything is to be looked at again.
    position: Option<u64>,
    /// How what is found then compares with what is at hand.
    replace: Replace,
}

/// Follows the store until the service is dropped.
pub(super) async fn follow(shared: Arc<Shared>, connector: Connector, from: Option<u64>) {
    let mut course = Course { position: from, replace: first_replace(&shared) };
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match reach(&shared, &connector, &course).await {
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
        course.position = None;
        if matches!(error, StoreError::Gone(_)) {
            // The next one is another copy, whose revisions count anew.
            course.replace = Replace::Always;
            shared.put_store(None);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How the first sweep compares. What a snapshot brought may come from another copy of the store,
/// whose revisions counted differently: all of it is read again.
fn first_replace(shared: &Shared) -> Replace {
    if shared.runs_on_a_snapshot() { Replace::Always } else { Replace::Newer }
}

/// Opens the store for the first time. Where a snapshot knows it, one that is not there is missing,
/// not new.
pub(super) async fn first_open(
    shared: &Shared,
    connector: &Connector,
) -> Result<Arc<dyn Store>, StoreError> {
    match first_replace(shared) {
        Replace::Newer => connector.open(shared).await,
        Replace::Always => connector.reopen(shared).await,
    }
}

/// Compares what a snapshot brought with the store.
pub(super) async fn first_sweep(shared: &Shared, store: &dyn Store) -> Result<u64, StoreError> {
    let mut course = Course { position: None, replace: first_replace(shared) };
    turn(shared, store, &mut course).await?;
    Ok(shared.health.position.load(Ordering::Relaxed))
}

/// Reads where the feed stands, and that the store can be read at all.
pub(super) async fn first_look(shared: &Shared, store: &dyn Store) -> Result<u64, StoreError> {
    let asked = Instant::now();
    // The place comes first: who is added after it is told, and then everybody is counted again.
    let position = store.position().await?;
    count(shared, store).await?;
    shared.health.confirm(asked, position);
    Ok(position)
}

/// Counts the tenants, for those who may only be let in if there is no other.
async fn count(shared: &Shared, store: &dyn Store) -> Result<(), StoreError> {
    shared.health.has_counted(in_time(store.tenant_count()).await?);
    Ok(())
}

async fn reach(
    shared: &Shared,
    connector: &Connector,
    course: &Course,
) -> Result<Arc<dyn Store>, StoreError> {
    if let Ok(store) = shared.store() {
        return Ok(store);
    }
    let store = match course.replace {
        Replace::Newer => connector.open(shared).await?,
        Replace::Always => connector.reopen(shared).await?,
    };
    shared.put_store(Some(Arc::clone(&store)));
    Ok(store)
}

/// Listens until something goes wrong; tells whether the store was heard at all.
async fn listen(shared: &Shared, store: &dyn Store, course: &mut Course) -> (StoreError, bool) {
    let mut heard = false;
    loop {
        match turn(shared, store, course).await {
            Ok(()) => heard = true,
            Err(error) => return (error, heard),
        }
    }
}

/// One turn: everything anew if it is not known where the feed stands, else the news.
async fn turn(shared: &Shared, store: &dyn Store, course: &mut Course) -> Result<(), StoreError> {
    let asked = Instant::now();
    let Some(after) = course.position else {
        // The place comes first: what changes during the sweep is told again by the feed.
        let start = store.position().await?;
        if start < shared.health.position.load(Ordering::Relaxed) {
            // While nobody listened, the store became an older copy of itself.
            course.replace = Replace::Always;
        }
        count(shared, store).await?;
        sweep(shared, store, course.replace).await?;
        if !shared.health.up.load(Ordering::Relaxed) {
            info!(position = start, "entitlements: following the store");
        }
        shared.health.confirm(asked, start);
        *course = Course { position: Some(start), replace: Replace::Newer };
        return Ok(());
    };
    let feed = store.news(after).await?;
    if feed.restarted {
        warn!("entitlements: an older copy of the store was restored; reading everything again");
        *course = Course { position: None, replace: Replace::Always };
        return Ok(());
    }
    if !feed.tenants.is_empty() {
        shared.known.heard_of_a_change();
        // INVARIANT: whoever is new is counted before the news count as heard.
        count(shared, store).await?;
        let concerned: HashSet<_> = feed.tenants.into_iter().collect();
        refresh(shared, store, &concerned, Replace::Newer).await?;
    }
    shared.health.confirm(Instant::now(), feed.position);
    course.position = if shared.health.sweep_is_due() { None } else { Some(feed.position) };
    Ok(())
}

/// Compares every tenant at hand with the store.
async fn sweep(shared: &Shared, store: &dyn Store, replace: Replace) -> Result<(), StoreError> {
    shared.known.heard_of_a_change();
    let at_hand = shared.known.tenants();
    let mut concerned: HashSet<TenantId> = at_hand.iter().cloned().collect();
    let mut alike = HashSet::new();
    for (id, revision) in store.revisions().await? {
        if shared.known.revision(&id) == Some(revision) {
            alike.extend(concerned.take(&id));
        }
    }
    refresh(shared, store, &concerned, replace).await?;
    if replace == Replace::Always {
        // Of another copy even equal revisions may say something else; they come last, because a
        // change that was missed is nearly always among the others.
        refresh(shared, store, &alike, replace).await?;
    }
    // Organizations whose tenant is not at hand are few, and cheaper to ask again than to compare.
    let at_hand: HashSet<_> = at_hand.into_iter().collect();
    for organization in shared.known.organizations_of(|tenant| !at_hand.contains(tenant)) {
        shared.known.unmap(&organization);
    }
    Ok(())
}

/// Reads the tenants again that are at hand, and the organizations that name them.
async fn refresh(
    shared: &Shared,
    store: &dyn Store,
    concerned: &HashSet<TenantId>,
    replace: Replace,
) -> Result<(), StoreError> {
    if concerned.is_empty() {
        return Ok(());
    }
    for id in concerned {
        if shared.known.revision(id).is_none() {
            continue;
        }
        match store.load(id).await? {
            Some(record) => {
                let now = (shared.clock)();
                shared.known.store(record, &shared.catalog, now, replace);
            }
            None => shared.known.forget(id),
        }
    }
    for organization in shared.known.organizations_of(|tenant| concerned.contains(tenant)) {
        match store.tenant_of(&organization.issuer, &organization.id).await? {
            Some(tenant) => shared.known.map(organization, tenant),
            None => shared.known.unmap(&organization),
        }
    }
    Ok(())
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
