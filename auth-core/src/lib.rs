#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod bearer;
pub mod clock;
#[cfg(feature = "gate")]
pub mod gate;
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
pub use verify::{
    Accept, CacheStatus, Inspection, IssuerPolicy, PolicyError, Verifier, VerifierBuilder,
    VerifyError, inspect,
};
