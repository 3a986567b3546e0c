//! From text to claims, one type a step: [`RawToken`] -> [`Header`] -> [`Claims`].
//!
//! The rules, in the order of the code; each refuses, none accepts:
//! 1. Compact serialization with exactly two dots, canonical unpadded base64url (RFC 7515, 7.1).
//! 2. Header and payload are JSON objects in which no member name stands twice, at any depth.
//! 3. No `crit`, one of the accepted asymmetric `alg`s, a `kid`.
//! 4. Claims have the types of RFC 7519 and RFC 9068; times are within the years 1970 to 9999.
//! 5. The token is an access token by `typ`; ID tokens and logout tokens are told apart.

mod claims;
mod header;
pub(crate) mod json;
mod raw;

pub(crate) use claims::{Claims, is_identifier};
pub use header::Algorithm;
pub(crate) use header::Header;
pub(crate) use raw::{RawToken, decode as raw_decode};
