//! Comparing what is at hand with the store, and reading again what is not as it was.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::cache::Replace;
use super::doubts::Whence;
use super::watch::{AT_ONCE, NEWS_WITHIN, count};
use super::{Shared, in_time, within};
use crate::model::TenantId;
use crate::store::{Place, Store, StoreError};

/// Compares every tenant at hand with the store; tells where the feed stands.
pub(super) async fn compare(shared: &Arc<Shared>, store: &dyn Store) -> Result<Place, StoreError> {
    // The place comes first: what changes during the comparison is told again by the feed.
    let place = within(NEWS_WITHIN, store.position()).await?;
    let same = match shared.health.place() {
        Some(last) => within(NEWS_WITHIN, store.holds(&last)).await?,
        None => true,
    };
    count(shared, store).await?;
    shared.known.heard_of_a_change();
    compare_organizations(shared, store).await?;
    let mut concerned: HashSet<TenantId> = shared.known.tenants().into_iter().collect();
    if !same {
        warn!("entitlements: another copy of the store is there; everything is read again");
    } else if !concerned.is_empty() {
        for (id, revision) in within(REVISIONS_WITHIN, store.revisions()).await? {
            if shared.known.revision(&id) == Some(revision) {
                concerned.remove(&id);
            }
        }
    }
    if concerned.len() <= AT_ONCE {
        let replace = if same { Replace::Newer } else { Replace::Always };
        refresh(shared, store, &concerned, replace).await?;
    } else {
        // Nobody waits for that many: whoever is asked for is read at once, the others one after the
        // other, and the feed is followed meanwhile.
        info!(tenants = concerned.len(), "entitlements: reading again what has changed");
        doubt_all(shared, &concerned, if same { Whence::Here } else { Whence::AnotherCopy });
    }
    shared.known.is_corrected();
    Ok(place)
}

/// Doubts whatever is at hand of these tenants, which was true when the store was last heard.
pub(super) fn doubt_all(shared: &Shared, tenants: &HashSet<TenantId>, whence: Whence) {
    let age = shared.health.since_last_read().unwrap_or(shared.max_stale);
    for id in tenants {
        shared.known.doubt(id, u64::MAX, age, whence);
    }
}

/// Forgets whom organizations named that name another tenant now, or none. A tenant's revision does
/// not tell: its rows may have been read after its organization was.
async fn compare_organizations(shared: &Shared, store: &dyn Store) -> Result<(), StoreError> {
    let at_hand = shared.known.organizations().all();
    if at_hand.is_empty() {
        return Ok(());
    }
    let named = within(REVISIONS_WITHIN, store.mappings()).await?;
    let named: HashMap<_, _> = named.into_iter().collect();
    for (organization, tenant) in at_hand {
        if named.get(&organization) != Some(&tenant) {
            shared.known.unmap(&organization);
        }
    }
    Ok(())
}

/// Reads again what is doubtful, as long as the store answers. Where that fails for one, the others
/// are read all the same; the next turn begins anew with those that are left.
pub(super) async fn read_again(shared: Arc<Shared>) {
    for id in shared.known.doubts().tenants() {
        match shared.load(&id, (shared.clock)()).await {
            Ok(_) | Err(StoreError::Corrupt(_)) => {}
            Err(error) if shared.is_up() => {
                warn!(tenant = %id, %error, "entitlements: a tenant cannot be read again yet");
            }
            Err(_) => return,
        }
    }
}

/// Reads the tenants again that are at hand, and the organizations that name them.
pub(super) async fn refresh(
    shared: &Shared,
    store: &dyn Store,
    concerned: &HashSet<TenantId>,
    replace: Replace,
) -> Result<(), StoreError> {
    for id in concerned {
        // INVARIANT: organizations before rows. The revision of the rows stands for both: if this
        // ends in between, the next comparison finds the older one.
        for organization in shared.known.organizations().of(id) {
            match in_time(store.tenant_of(&organization.issuer, &organization.id)).await {
                Ok(Some(tenant)) => shared.known.map(organization, tenant),
                Ok(None) | Err(StoreError::Corrupt(_)) => shared.known.unmap(&organization),
                Err(error) => return Err(error),
            }
        }
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
    }
    Ok(())
}

/// How long the revisions of all tenants may take.
const REVISIONS_WITHIN: Duration = Duration::from_mins(1);
