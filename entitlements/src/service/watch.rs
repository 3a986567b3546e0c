//! The task that keeps the cache true: it follows the store's feed of changes, and looks at
//! everything again after each interruption.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Shared;
use super::cache::Replace;
use crate::model::TenantId;
use crate::store::{self, Actor, Mode, Store, StoreError};

/// How the store is reached, the first time and after it was replaced.
pub(super) enum Connector {
    Url(String, Mode),
    Given(Arc<dyn Store>),
}

impl Connector {
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
}

/// Follows the store until the service is dropped.
pub(super) async fn follow(shared: Arc<Shared>, connector: Connector, mut from: Option<u64>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match reach(&shared, &connector).await {
            Ok(store) => {
                // INVARIANT: this never returns without an error, and resets the pause by its
                // success alone.
                let (error, heard) = listen(&shared, store.as_ref(), from.take()).await;
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
        if matches!(error, StoreError::Gone(_)) {
            shared.put_store(None);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Reads where the feed stands, and that the store can be read at all.
pub(super) async fn first_look(shared: &Shared, store: &dyn Store) -> Result<u64, StoreError> {
    let asked = Instant::now();
    let position = store.position().await?;
    shared.health.confirm(asked, position);
    Ok(position)
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
async fn listen(shared: &Shared, store: &dyn Store, from: Option<u64>) -> (StoreError, bool) {
    let mut heard = false;
    let mut position = from;
    let error = loop {
        if let Err(error) = turn(shared, store, &mut position).await {
            break error;
        }
        heard = true;
    };
    (error, heard)
}

/// One turn: everything anew if it is not known where the feed stands, else the news.
async fn turn(
    shared: &Shared,
    store: &dyn Store,
    position: &mut Option<u64>,
) -> Result<(), StoreError> {
    let asked = Instant::now();
    let Some(after) = *position else {
        // The place comes first: what changes during the sweep is told again by the feed.
        let start = store.position().await?;
        let behind = start < shared.health.position.load(Ordering::Relaxed);
        sweep(shared, store, if behind { Replace::Always } else { Replace::Newer }).await?;
        if !shared.health.up.load(Ordering::Relaxed) {
            info!(position = start, "entitlements: following the store");
        }
        shared.health.confirm(asked, start);
        *position = Some(start);
        return Ok(());
    };
    let feed = store.news(after).await?;
    if feed.restarted {
        warn!("entitlements: an older copy of the store was restored; reading everything again");
        *position = None;
        return Ok(());
    }
    if !feed.tenants.is_empty() {
        shared.known.heard_of_a_change();
        let concerned: HashSet<_> = feed.tenants.into_iter().collect();
        refresh(shared, store, &concerned, Replace::Newer).await?;
    }
    shared.health.confirm(Instant::now(), feed.position);
    *position = Some(feed.position);
    if shared.health.sweep_is_due() {
        *position = None;
    }
    Ok(())
}

/// Compares every tenant at hand with the store.
async fn sweep(shared: &Shared, store: &dyn Store, replace: Replace) -> Result<(), StoreError> {
    shared.known.heard_of_a_change();
    let at_hand = shared.known.tenants();
    let mut concerned: HashSet<TenantId> = at_hand.iter().cloned().collect();
    if replace == Replace::Newer {
        for (id, revision) in store.revisions().await? {
            if shared.known.revision(&id) == Some(revision) {
                concerned.remove(&id);
            }
        }
    }
    refresh(shared, store, &concerned, replace).await?;
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
