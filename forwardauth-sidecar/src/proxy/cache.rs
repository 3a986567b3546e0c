//! Ready identity headers, by caller and state of the tenant.
//!
//! What the headers say depends on the token and on the tenant's rows between two boundaries of
//! their times. Those are the key, so an entry never goes stale: whatever changes one of them asks
//! for another entry. The rows themselves are compared, not their revision, which counts anew in
//! another copy of the store.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use auth_core::Identity;
use auth_core::gate::Allowed;
use entitlements::{EntitlementSet, Value};
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

#[derive(Clone, Debug)]
struct Key {
    identity: Identity,
    entitlements: Option<EntitlementSet>,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.entitlements, &other.entitlements) {
            (None, None) => true,
            (Some(one), Some(other)) => one.says_the_same(other),
            (Some(_), None) | (None, Some(_)) => false,
        };
        same && self.identity == other.identity
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Enough to spread the entries; `Eq` compares the whole identity.
        self.identity.subject().hash(state);
        self.identity.expires_at().hash(state);
        let tenant = self.entitlements.as_ref();
        tenant.map(|set| (set.tenant(), set.revision(), set.valid_until())).hash(state);
    }
}

impl HeaderCache {
    /// A cache of at most so many callers.
    pub fn new(capacity: usize) -> Self {
        // Each entry weighs one. It holds a header set, whose size is bounded, and the tenant's rows
        // that it was written from, which it keeps in memory until it is pushed out.
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
        let key = Key { identity: identity.clone(), entitlements: allowed.entitlements.clone() };
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use auth_core::testing::{TestClock, TestIssuer};
    use auth_core::{Accept, Algorithm, IssuerPolicy, Verifier};
    use entitlements::testing::{PLANS, license};
    use entitlements::{Catalog, TenantRecord, TenantStatus, resolve};

    use super::*;

    async fn identity() -> Identity {
        let clock = TestClock::new();
        let issuer = TestIssuer::new("https://id.test/oidc", Algorithm::Es256).clock(clock.clone());
        let api = "https://api.test";
        let policy = IssuerPolicy::new("test", issuer.url()).accept(Accept::organization(api));
        let verifier = Verifier::builder().clock(clock).issuer(policy, issuer.keys()).build();
        let token = issuer.token(api).organization("acme").scopes(["traces:read"]).sign();
        verifier.expect("a policy").verify(&token).await.expect("it is right")
    }

    /// Another copy of the store counts its revisions anew: what is the same number may be another
    /// state, and its headers are others.
    #[tokio::test]
    async fn headers_of_rows_that_were_replaced_are_not_served() {
        let catalog = Catalog::parse(PLANS).expect("the shipped plans");
        let identity = identity().await;
        let allowed = |tier: &str| {
            let record = TenantRecord {
                id: "acme".parse().expect("an id"),
                name: "Acme".to_owned(),
                status: TenantStatus::Active,
                status_reason: None,
                revision: 7,
                licenses: vec![license("lic_1", tier)],
                overrides: Vec::new(),
            };
            let set = resolve(&catalog, &record, SystemTime::UNIX_EPOCH);
            Allowed { identity: Some(identity.clone()), entitlements: Some(set) }
        };
        let cache = HeaderCache::new(10);
        let (high, low) = (allowed("high"), allowed("low"));
        let before = cache.headers(&high).expect("they are written");
        let again = cache.headers(&high).expect("they are written");
        assert!(Arc::ptr_eq(&before, &again), "the same rows have the same headers");
        let after = cache.headers(&low).expect("they are written");
        assert!(!Arc::ptr_eq(&before, &after), "{after:?}");
        assert!(format!("{before:?}").contains("high") && !format!("{after:?}").contains("high"));
    }
}
