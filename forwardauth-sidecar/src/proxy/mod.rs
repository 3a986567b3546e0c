//! The contract with the proxy: what it says becomes a [`ForwardedRequest`], what we decide
//! becomes its answer.

pub mod cache;
pub mod forwarded;
pub mod headers;
pub mod host;
pub mod path;
pub mod profile;
pub mod response;

pub use self::forwarded::{ForwardedError, ForwardedRequest};
pub use self::headers::IDENTITY_HEADERS;
pub use self::profile::Profile;
