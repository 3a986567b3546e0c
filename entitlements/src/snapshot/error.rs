//! Why a snapshot is not used, or not written.

use std::io;
use std::time::Duration;

use crate::model::format_duration;

/// Why a snapshot is not used, or not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("there is none yet")]
    Missing,
    #[error("the file cannot be read: {0}")]
    Read(io::Error),
    #[error("the file cannot be written: {0}")]
    Write(io::Error),
    #[error("it has {0} bytes, more than {max}", max = super::file::MAX_BYTES)]
    TooLarge(u64),
    #[error("it is not a snapshot")]
    Foreign,
    #[error("it has version {0}; this program reads version {known}", known = super::seal::VERSION)]
    Version(u32),
    #[error("it is cut off, or something was added to it")]
    Length,
    #[error("it was written with another key; if the key was changed, a new one follows by itself")]
    OtherKey,
    #[error("it is damaged or forged: its authentication code is not that of its bytes")]
    Forged,
    #[error("it is of the store at `{of}`, and this one is at `{here}`")]
    Elsewhere { of: String, here: String },
    #[error("it cannot be understood: {0}")]
    Malformed(String),
    #[error(
        "it is too old: the store was heard {} ago, `max_stale` is {}",
        format_duration(*age), format_duration(*max_stale)
    )]
    TooOld { age: Duration, max_stale: Duration },
    #[error(
        "it was written {} from now: the clock was set back, and how old it is cannot be known",
        format_duration(*.0)
    )]
    Future(Duration),
}
