//! Turns a Logto access token into an [`Identity`], or says exactly why not.
#![forbid(unsafe_code)]

pub mod bearer;
pub mod clock;
mod identity;
pub mod keys;
pub mod problem;
pub mod reason;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
mod verify;

pub use clock::{Clock, SystemClock};
pub use identity::{Identity, Kind, Path};
pub use reason::{Fault, Reason};
pub use token::Algorithm;
pub use verify::{Accept, CacheStatus, Inspection, IssuerPolicy, PolicyError, Verifier, VerifierBuilder, VerifyError, inspect};
