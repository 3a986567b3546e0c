//! A token in, an [`Identity`] or a reason out.
//!
//! The order of the checks; what is cheap comes first and only ever refuses:
//! 1. size, then the cache of verified tokens;
//! 2. structure, header and claims ([`crate::token`]);
//! 3. `iss` is a configured issuer, the algorithm is one of its own, `aud` fits one block;
//! 4. `exp`, `nbf` and `iat` against the clock, with the leeway;
//! 5. `kid` is in the issuer's key set and the key can verify this algorithm ([`crate::keys`]);
//! 6. the signature;
//! 7. `sub`, `client_id`, the organization, scopes or roles.

mod builder;
mod cache;
mod error;
mod flight;
mod inspect;
mod policy;
mod rules;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::sync::Semaphore;

pub use self::{
    builder::VerifierBuilder,
    error::VerifyError,
    inspect::{Inspection, inspect},
    policy::{Accept, IssuerPolicy, PolicyError},
};
use self::{
    cache::{TokenCache, TokenHash, Verified},
    flight::Flights,
};
use crate::{
    clock::Clock,
    identity::{Identity, at},
    keys::{KeyDocument, KeyError, KeyRing, KeyStatus, SeedError, Snapshot},
    reason,
    token::{Claims, Header, RawToken, json::Object, raw_decode},
};

/// Verifies access tokens of one or several issuers. Cheap to clone; clones share keys and cache.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    issuers: Vec<Issuer>,
    clock: Arc<dyn Clock>,
    leeway: Duration,
    max_bytes: usize,
    cache: TokenCache,
    flights: Flights,
    hits: AtomicU64,
    misses: AtomicU64,
    signatures: AtomicU64,
}

struct Issuer {
    policy: IssuerPolicy,
    ring: Arc<KeyRing>,
    /// Places to wait for keys: together half of all that may wait, so that a flood of invented
    /// `kid`s leaves room for tokens whose keys are known.
    places: Semaphore,
}

/// Counters of a verifier, for metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheStatus {
    /// Tokens in the cache.
    pub entries: usize,
    /// Tokens that were found in it.
    pub hits: u64,
    /// Tokens that were not.
    pub misses: u64,
    /// Signatures that were checked: the expensive part of the misses.
    pub signatures: u64,
}

/// A token that passed every cheap check, and the issuer it claims to be from.
struct Candidate<'t, 'o> {
    raw: RawToken<'t>,
    header: Header,
    claims: Claims<'o>,
    issuer: usize,
}

impl Verifier {
    /// Verifies a token; waits for a key fetch where one is needed and allowed.
    ///
    /// # Errors
    ///
    /// [`VerifyError`], whose [`fault`](VerifyError::fault) tells a bad token from keys that cannot
    /// be had.
    pub async fn verify(&self, token: &str) -> Result<Identity, VerifyError> {
        let hash = self.check_size(token)?;
        if let Some(known) = self.cached(&hash) {
            return known;
        }
        self.0.misses.fetch_add(1, Ordering::Relaxed);
        self.0.flights.run(hash, self.cold(token, hash)).await
    }

    /// Verifies a token without waiting. `None`: a key fetch is needed, call [`Self::verify`].
    ///
    /// A token that is not cached is verified on this thread, outside of the bound that
    /// [`Self::verify`] keeps; servers use [`Self::verify_cached`] first.
    pub fn verify_now(&self, token: &str) -> Option<Result<Identity, VerifyError>> {
        let hash = match self.check_size(token) {
            Ok(hash) => hash,
            Err(error) => return Some(Err(error)),
        };
        if let Some(known) = self.cached(&hash) {
            return Some(known);
        }
        self.0.misses.fetch_add(1, Ordering::Relaxed);
        let result = (|| {
            let (payload, raw, header) = parse(token)?;
            let object = payload_object(&payload)?;
            let candidate = self.candidate(raw, header, &object)?;
            let Some(snapshot) = self.0.issuers[candidate.issuer].ring.current(self.0.clock.now())
            else {
                return Ok(None);
            };
            if snapshot.keys.find(&candidate.header.kid).is_none() {
                return Ok(None);
            }
            self.conclude(&candidate, &snapshot, hash).map(Some)
        })();
        result.transpose()
    }

    /// The verdict on a token that was verified before and still holds, or a token too large.
    pub fn verify_cached(&self, token: &str) -> Option<Result<Identity, VerifyError>> {
        match self.check_size(token) {
            Ok(hash) => self.cached(&hash),
            Err(error) => Some(Err(error)),
        }
    }

    /// Waits until the keys of every issuer have been loaded.
    ///
    /// # Errors
    ///
    /// The first issuer's error; it is tried again by the next call.
    pub async fn ready(&self) -> Result<(), KeyError> {
        // All at once: one that is down neither delays nor stops the others.
        self.0.issuers.iter().for_each(|issuer| issuer.ring.prepare());
        let mut all = Ok(());
        for issuer in &self.0.issuers {
            all = all.and(issuer.ring.ready().await.map(drop));
        }
        all
    }

    /// Keeps every issuer's keys fresh, for as long as the future is polled. Without it keys are
    /// fetched when tokens need them.
    pub async fn keep_fresh(&self) {
        loop {
            // Every fetch that is due is started, and none is waited for: one issuer that hangs
            // delays no other. Failures are logged by the ring and tried again after a pause.
            let due = self.0.issuers.iter().filter(|issuer| issuer.ring.due_in().is_zero());
            due.for_each(|issuer| issuer.ring.prepare());
            let next = self.0.issuers.iter().map(|issuer| issuer.ring.due_in()).min();
            let pause = next.unwrap_or(Duration::MAX).min(Duration::from_mins(1));
            tokio::time::sleep(pause.max(Duration::from_millis(100))).await;
        }
    }

    /// Whose tokens are accepted, in the order in which the issuers were named.
    pub fn policies(&self) -> impl Iterator<Item = &IssuerPolicy> {
        self.0.issuers.iter().map(|issuer| &issuer.policy)
    }

    /// How each issuer's keys stand.
    pub fn key_status(&self) -> Vec<KeyStatus> {
        self.0.issuers.iter().map(|i| i.ring.status()).collect()
    }

    /// Every issuer's last good key set, to be kept for a later process.
    pub fn key_documents(&self) -> Vec<KeyDocument> {
        let documents = self.0.issuers.iter().filter_map(|Issuer { policy, ring, .. }| {
            let (document, fetched_at) = ring.document()?;
            Some(KeyDocument { issuer: policy.url.clone(), document, fetched_at })
        });
        documents.collect()
    }

    /// Begins with a key set that was fetched earlier, so that tokens can be verified before the
    /// issuer was reached. It is good for `max_stale` after `fetched_at`, and fetched again as soon
    /// as possible. An issuer that has keys already keeps them.
    ///
    /// # Errors
    ///
    /// [`SeedError`], if it is too old, from the future, no usable key set, or of no issuer of this
    /// verifier.
    pub fn seed_keys(&self, keys: &KeyDocument) -> Result<(), SeedError> {
        let known = self.0.issuers.iter().find(|issuer| *issuer.policy.url == *keys.issuer);
        let Some(Issuer { ring, .. }) = known else {
            return Err(SeedError::UnknownIssuer(keys.issuer.clone()));
        };
        ring.seed(keys.document.clone(), keys.fetched_at)
    }

    /// How the cache of verified tokens stands.
    pub fn cache_status(&self) -> CacheStatus {
        CacheStatus {
            entries: self.0.cache.len(),
            hits: self.0.hits.load(Ordering::Relaxed),
            misses: self.0.misses.load(Ordering::Relaxed),
            signatures: self.0.signatures.load(Ordering::Relaxed),
        }
    }

    /// The clock that the verifier judges by.
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    fn check_size(&self, token: &str) -> Result<TokenHash, VerifyError> {
        if token.len() > self.0.max_bytes {
            return Err(reason::TOKEN_TOO_LARGE.into());
        }
        Ok(TokenHash::of(token))
    }

    /// The verdict of the cache. Time is judged anew, and the key must still be in the set.
    fn cached(&self, hash: &TokenHash) -> Option<Result<Identity, VerifyError>> {
        let inner = &*self.0;
        let known = inner.cache.get(hash)?;
        let now = inner.clock.now();
        let issuer = &inner.issuers[known.issuer as usize];
        // No set that is fresh enough: a miss, which ends in a fetch or in 503.
        let snapshot = issuer.ring.current(now)?;
        if !snapshot.keys.holds(&known.key) {
            inner.cache.remove(hash);
            return None;
        }
        inner.hits.fetch_add(1, Ordering::Relaxed);
        let parts = known.identity.parts();
        let times = (parts.issued_at, parts.not_before, parts.expires_at);
        let verdict = rules::in_time(times.0, times.1, times.2, now, inner.leeway);
        Some(match verdict {
            Ok(()) => Ok(known.identity.clone()),
            Err(reason) => {
                if reason == reason::TOKEN_EXPIRED {
                    inner.cache.remove(hash);
                }
                Err(reason.into())
            }
        })
    }

    /// Every cheap check of a token that is not cached.
    fn candidate<'t, 'o>(
        &self,
        raw: RawToken<'t>,
        header: Header,
        object: &'o Object<'o>,
    ) -> Result<Candidate<'t, 'o>, VerifyError> {
        let claims = Claims::parse(&header, object)?;
        let Some(issuer) = self.0.issuers.iter().position(|i| *i.policy.url == *claims.issuer)
        else {
            return Err(if rules::is_management_api(claims.audience) {
                reason::ADMIN_TENANT_TOKEN.into()
            } else {
                reason::UNTRUSTED_ISSUER.into()
            });
        };
        let policy = &self.0.issuers[issuer].policy;
        if !policy.algorithms.contains(&header.algorithm) {
            return Err(reason::UNSUPPORTED_ALGORITHM.into());
        }
        rules::block(policy, &claims)?;
        self.in_time(&claims)?;
        Ok(Candidate { raw, header, claims, issuer })
    }

    fn in_time(&self, claims: &Claims<'_>) -> Result<(), VerifyError> {
        let now = self.0.clock.now();
        let (iat, nbf, exp) = (claims.issued_at, claims.not_before, claims.expires_at);
        Ok(rules::in_time(iat, nbf, exp, now, self.0.leeway)?)
    }

    async fn cold(&self, token: &str, hash: TokenHash) -> Result<Identity, VerifyError> {
        // An equal token may have been verified between the caller's look and this flight.
        if let Some(known) = self.cached(&hash) {
            return known;
        }
        let (payload, raw, header) = parse(token)?;
        let object = payload_object(&payload)?;
        let candidate = self.candidate(raw, header, &object)?;
        let snapshot = self.snapshot(&candidate).await?;
        let _slot = self.0.flights.slot().await;
        self.conclude(&candidate, &snapshot, hash)
    }

    /// The set that holds the token's key; decision by decision as [`crate::keys`] says.
    async fn snapshot(&self, candidate: &Candidate<'_, '_>) -> Result<Arc<Snapshot>, VerifyError> {
        let Issuer { ring, places, .. } = &self.0.issuers[candidate.issuer];
        let holds = |s: &Arc<Snapshot>| s.keys.find(&candidate.header.kid).is_some();
        let current = ring.current(self.0.clock.now());
        if let Some(snapshot) = current.as_ref().filter(|s| holds(s)) {
            return Ok(snapshot.clone());
        }
        let newer = match places.try_acquire() {
            Ok(_place) => ring.newer(current.map(|s| s.generation)).await,
            // Enough tokens wait for these keys: this one is judged by what is known.
            Err(_) => current,
        };
        let Some(snapshot) = newer else {
            return Err(VerifyError::keys(ring.error(), ring.cool_down()));
        };
        if holds(&snapshot) {
            return Ok(snapshot);
        }
        // `iat` has whole seconds; a token of the second in which the set was fetched may be newer.
        // A set from the future says that the clock was set back: what it saw cannot be compared.
        if snapshot.fetched_at < at(candidate.claims.issued_at) + Duration::from_secs(1)
            || snapshot.fetched_at > self.0.clock.now()
        {
            return Err(VerifyError::keys(ring.error(), ring.cool_down()));
        }
        Err(reason::UNKNOWN_KEY.into())
    }

    /// The signature, the remaining claims, and the cache.
    fn conclude(
        &self,
        candidate: &Candidate<'_, '_>,
        snapshot: &Snapshot,
        hash: TokenHash,
    ) -> Result<Identity, VerifyError> {
        let (header, claims) = (&candidate.header, &candidate.claims);
        let key = snapshot.keys.find(&header.kid).ok_or(reason::UNKNOWN_KEY)?;
        if !key.can_verify(header.algorithm) {
            return Err(reason::ALGORITHM_MISMATCH.into());
        }
        let signature = raw_decode(candidate.raw.signature)?;
        let signed = candidate.raw.signing_input.as_bytes();
        self.0.signatures.fetch_add(1, Ordering::Relaxed);
        if !key.verify(header.algorithm, signed, &signature) {
            return Err(reason::BAD_SIGNATURE.into());
        }
        let policy = &self.0.issuers[candidate.issuer].policy;
        let identity = rules::identity(policy, rules::block(policy, claims)?, claims)?;
        // Waiting for keys or for a slot took time.
        self.in_time(claims)?;
        let issuer = u32::try_from(candidate.issuer).expect("a handful of issuers");
        let verified = Verified { identity: identity.clone(), issuer, key: key.fingerprint };
        self.0.cache.put(hash, verified);
        Ok(identity)
    }
}

fn parse(token: &str) -> Result<(Vec<u8>, RawToken<'_>, Header), VerifyError> {
    let raw = RawToken::parse(token)?;
    let header = Header::parse(raw.header)?;
    Ok((raw_decode(raw.payload)?, raw, header))
}

fn payload_object(payload: &[u8]) -> Result<Object<'_>, VerifyError> {
    Ok(Object::parse(payload).map_err(|_| reason::MALFORMED_TOKEN)?)
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let issuers: Vec<_> = self.0.issuers.iter().map(|i| i.policy.name()).collect();
        f.debug_struct("Verifier").field("issuers", &issuers).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
