//! Key sets that outlive a process.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use super::KeyError;

/// The key set of one issuer as it was fetched last: what a verifier gives away to be kept, and what
/// a later one begins with. Whoever can change it where it is kept can sign tokens: keep it where
/// that is noticed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyDocument {
    /// The issuer, exactly as in `iss`.
    pub issuer: Arc<str>,
    /// The JWK Set document.
    pub document: Bytes,
    /// When it was fetched; how long it is good for counts from here.
    pub fetched_at: SystemTime,
}

/// Why a verifier does not begin with a key set.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// No such issuer is configured.
    #[error("no issuer `{0}` is configured")]
    UnknownIssuer(Arc<str>),
    /// It is no longer good.
    #[error("the key set was fetched {} s ago, more than the {} s for which it is good", age.as_secs(), max_stale.as_secs())]
    TooOld {
        /// The time since it was fetched.
        age: Duration,
        /// How long a set is good for.
        max_stale: Duration,
    },
    /// It was fetched later than now: the clock was set back, and how old it is nobody knows.
    #[error("the key set was fetched in the future: the clock was set back")]
    Future,
    /// It cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
}
