//! From policies, keys and limits to a [`Verifier`].

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{
    Inner, Issuer, IssuerPolicy, PolicyError, Verifier, cache::TokenCache, flight::Flights, policy,
};
use crate::{
    clock::{Clock, SystemClock},
    keys::{KeyOptions, KeyRing, KeySource},
};

/// Makes a [`Verifier`].
pub struct VerifierBuilder {
    issuers: Vec<(IssuerPolicy, Arc<dyn KeySource>)>,
    clock: Arc<dyn Clock>,
    leeway: Duration,
    max_bytes: usize,
    cache_capacity: usize,
    max_waiting: usize,
    keys: KeyOptions,
}

impl Verifier {
    /// Starts with the standard limits and the machine's clock.
    pub fn builder() -> VerifierBuilder {
        VerifierBuilder {
            issuers: Vec::new(),
            clock: Arc::new(SystemClock),
            leeway: Duration::from_secs(15),
            max_bytes: 16 * 1024,
            cache_capacity: 100_000,
            max_waiting: 1024,
            keys: KeyOptions::STANDARD,
        }
    }
}

impl VerifierBuilder {
    /// Accepts tokens of this issuer, with keys from this source.
    #[must_use]
    pub fn issuer(mut self, policy: IssuerPolicy, keys: impl KeySource) -> Self {
        self.issuers.push((policy, Arc::new(keys)));
        self
    }

    /// The clock that judges `exp`, `nbf`, `iat` and the age of keys.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How far the clocks of issuer and verifier may differ; 15 s unless said.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The largest token, in bytes; 16 KiB unless said.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many verified tokens are remembered; 100,000 unless said.
    #[must_use]
    pub fn cache_capacity(mut self, entries: usize) -> Self {
        self.cache_capacity = entries;
        self
    }

    /// How many different tokens may wait to be verified; 1,024 unless said. More get
    /// [`OVERLOADED`](crate::reason::OVERLOADED).
    #[must_use]
    pub fn max_waiting(mut self, tokens: usize) -> Self {
        self.max_waiting = tokens;
        self
    }

    /// When keys are fetched and how long they are good for.
    #[must_use]
    pub fn key_options(mut self, options: KeyOptions) -> Self {
        self.keys = options;
        self
    }

    /// The verifier. Does no I/O and never waits: keys are fetched when the first token needs
    /// them, or by [`Verifier::ready`] or [`Verifier::keep_fresh`].
    ///
    /// # Errors
    ///
    /// [`PolicyError`], if a token could fit two policies or none.
    pub fn build(self) -> Result<Verifier, PolicyError> {
        policy::check(&self.issuers.iter().map(|(policy, _)| policy).collect::<Vec<_>>())?;
        let places = (self.max_waiting / 2 / self.issuers.len()).clamp(1, Semaphore::MAX_PERMITS);
        let issuers = self.issuers.into_iter().map(|(policy, source)| {
            let ring = KeyRing::new(policy.name.clone(), source, self.clock.clone(), self.keys);
            Issuer { policy, ring, places: Semaphore::new(places) }
        });
        Ok(Verifier(Arc::new(Inner {
            issuers: issuers.collect(),
            clock: self.clock.clone(),
            leeway: self.leeway,
            max_bytes: self.max_bytes,
            cache: TokenCache::new(self.cache_capacity),
            flights: Flights::new(self.max_waiting),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            signatures: AtomicU64::new(0),
        })))
    }
}
