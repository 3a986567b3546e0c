//! The issuer's keys: where they come from, which are usable, when they are fetched again.
//!
//! 1. The last good set is kept and used for at most `max_stale` (12 h) after it was fetched.
//! 2. A set older than `refresh_after` (10 min, at most half of `max_stale`) is fetched again in the
//!    background; requests never wait.
//! 3. Only one fetch runs at a time; all who need it wait for the same one.
//! 4. An unknown `kid` causes a fetch, at most one per `cool_down` (10 s), however many ask. As long as
//!    there is no usable set at all, fetches that fail are repeated sooner: after 0.5 s, 1 s, 2 s, ...
//!    up to the cool-down.
//! 5. A set that cannot be fetched, read, or that has no usable key never replaces a good one.
//! 6. A set may be brought along from an earlier process (`Verifier::seed_keys`); it is good for as
//!    long as it would have been there, and fetched again at once.
//! 7. One bad key does not lose the others; symmetric, private and weak keys are refused.
//! 8. A cached verdict holds as long as the set has its key under the same `kid`, for the same
//!    algorithms, with the same numbers.

#[cfg(feature = "http-keys")]
mod http;
mod key;
mod ring;
mod seed;
mod set;
mod source;

#[cfg(feature = "http-keys")]
pub use self::http::{HttpClient, HttpKeys};
pub(crate) use key::Key;
pub use key::KeyRejection;
pub use ring::{KeyOptions, KeyStatus};
pub(crate) use ring::{KeyRing, Snapshot};
pub use seed::{KeyDocument, SeedError};
pub use set::KeySet;
pub use source::{FetchError, KeyError, KeySource, StaticKeys};
