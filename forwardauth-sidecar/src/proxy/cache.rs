//! Ready identity headers, by caller and state of the tenant.
//!
//! What the headers say depends on the token and on the tenant's rows between two boundaries of
//! their times. Those are the key, so an entry never goes stale: whatever changes one of them asks
//! for another entry.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use auth_core::Identity;
use auth_core::gate::Allowed;
use entitlements::{EntitlementSet, TenantId, Value};
use foldhash::quality::RandomState;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::headers::{FeatureValue, HeaderError, IdentityHeaders, IdentityParts};

/// Remembers the headers of callers that passed.
#[derive(Debug)]
pub struct HeaderCache {
    entries: Cache<Key, Arc<IdentityHeaders>, UnitWeighter, RandomState>,
    anonymous: Arc<IdentityHeaders>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Key {
    identity: Identity,
    tenant: Option<TenantState>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct TenantState {
    tenant: TenantId,
    revision: u64,
    valid_until: Option<SystemTime>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Enough to spread the entries; `Eq` compares the whole identity.
        self.identity.subject().hash(state);
        self.identity.expires_at().hash(state);
        self.tenant.hash(state);
    }
}

impl HeaderCache {
    /// A cache of at most so many callers.
    pub fn new(capacity: usize) -> Self {
        // Each entry weighs one: what it takes in bytes is bounded by the size of a header set.
        let weight = u64::try_from(capacity).unwrap_or(u64::MAX);
        let (hasher, lifecycle) = (RandomState::default(), DefaultLifecycle::default());
        Self {
            entries: Cache::with(capacity, weight, UnitWeighter, hasher, lifecycle),
            anonymous: Arc::new(IdentityHeaders::anonymous()),
        }
    }

    /// The headers of a caller that passed.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub fn headers(&self, allowed: &Allowed) -> Result<Arc<IdentityHeaders>, HeaderError> {
        let Some(identity) = &allowed.identity else {
            return Ok(Arc::clone(&self.anonymous));
        };
        let tenant = allowed.entitlements.as_ref().map(|set| TenantState {
            tenant: set.tenant().clone(),
            revision: set.revision(),
            valid_until: set.valid_until(),
        });
        let key = Key { identity: identity.clone(), tenant };
        self.entries.get_or_insert_with(&key, || {
            render(identity, allowed.entitlements.as_ref()).map(Arc::new)
        })
    }
}

fn render(
    identity: &Identity,
    entitlements: Option<&EntitlementSet>,
) -> Result<IdentityHeaders, HeaderError> {
    let features: Vec<_> = entitlements
        .into_iter()
        .flat_map(|set| set.features().filter(|(key, _)| !set.is_lowest(key)))
        .filter_map(|(key, value)| Some((key.as_str(), feature(value)?)))
        .collect();
    let roles: Vec<_> = identity.roles().collect();
    let scopes: Vec<_> = identity.scopes().collect();
    IdentityHeaders::render(&IdentityParts {
        tenant: entitlements.map(|set| set.tenant().as_str()),
        tier: entitlements.and_then(EntitlementSet::tier),
        features: &features,
        subject: Some(identity.subject()),
        roles: &roles,
        scopes: &scopes,
    })
}

/// A switch that is off has no place in the header.
fn feature(value: &Value) -> Option<FeatureValue<'_>> {
    match value {
        Value::Switch(on) => on.then_some(FeatureValue::On),
        Value::Level { name, .. } => Some(FeatureValue::Level(name)),
        Value::Number(number) => Some(FeatureValue::Number(*number)),
    }
}
