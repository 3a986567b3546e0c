//! Verified tokens, by the SHA-256 of their text.
//!
//! Only tokens that held enter; the token itself is never kept. The map is hidden so that it can be
//! changed by measurement: `quick_cache` was chosen over `moka`, see `benches`.

use std::hash::{BuildHasher, Hasher};

use aws_lc_rs::digest;
use quick_cache::sync::Cache;

use crate::identity::Identity;

/// The SHA-256 of a token's text. Different tokens never share one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(crate) fn of(token: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        Self(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// A verdict, and what it rests on besides the clock.
pub(crate) struct Verified {
    pub(crate) identity: Identity,
    /// Which of the verifier's issuers.
    pub(crate) issuer: u32,
    /// The fingerprint of the key: as long as it is in the issuer's set, the verdict holds.
    pub(crate) key: [u8; 32],
}

pub(crate) struct TokenCache(
    Cache<TokenHash, std::sync::Arc<Verified>, quick_cache::UnitWeighter, Prefix>,
);

impl TokenCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Cache::with(
            capacity.max(1),
            capacity.max(1) as u64,
            quick_cache::UnitWeighter,
            Prefix,
            quick_cache::sync::DefaultLifecycle::default(),
        ))
    }

    pub(crate) fn get(&self, hash: &TokenHash) -> Option<std::sync::Arc<Verified>> {
        self.0.get(hash)
    }

    pub(crate) fn put(&self, hash: TokenHash, verified: Verified) {
        self.0.insert(hash, std::sync::Arc::new(verified));
    }

    pub(crate) fn remove(&self, hash: &TokenHash) {
        self.0.remove(hash);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A SHA-256 is already evenly spread, and nobody can choose it freely enough to crowd one bucket
/// without signed tokens: eight of its bytes serve as they are.
#[derive(Clone, Copy, Default)]
struct Prefix;

impl BuildHasher for Prefix {
    type Hasher = PrefixHasher;
    fn build_hasher(&self) -> PrefixHasher {
        PrefixHasher(0)
    }
}

struct PrefixHasher(u64);

impl Hasher for PrefixHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
