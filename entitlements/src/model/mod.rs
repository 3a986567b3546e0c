//! Value types: what a tenant is, what it holds, and when.
//!
//! Everything here is parsed once at its edge (the store, the plans file, the command line) and
//! trusted afterwards.

mod duration;
mod id;
mod license;
mod overrides;
mod tenant;
pub(crate) mod time;
mod value;

pub use duration::{InvalidDuration, format_duration, parse_duration};
pub(crate) use id::fits;
pub use id::{FeatureKey, InvalidName, TenantId};
pub use license::{License, LicenseKind, LicenseSource, Pin, Standing, UnknownWord};
pub use overrides::{Effect, Override};
pub use tenant::{TenantRecord, TenantRef, TenantStatus};
pub use time::{InvalidTime, format_time, parse_time};
pub use value::Value;
