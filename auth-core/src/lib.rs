//! Turns a Logto access token into an [`Identity`], or says exactly why not.
#![forbid(unsafe_code)]

pub mod bearer;
pub mod clock;
mod identity;
pub mod problem;
pub mod reason;

pub use clock::{Clock, SystemClock};
pub use identity::{Identity, Kind, Path};
pub use reason::{Fault, Reason};
