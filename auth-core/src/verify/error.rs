//! Why a token was refused.

use std::{fmt, time::Duration};

use crate::{
    keys::KeyError,
    reason::{Fault, Reason},
};

/// Why a token is not accepted. It never holds the token or a part of it.
#[derive(Clone, Debug)]
pub struct VerifyError {
    reason: Reason,
    keys: Option<KeyError>,
    retry_after: Option<Duration>,
}

impl VerifyError {
    pub(crate) fn new(reason: Reason) -> Self {
        Self { reason, keys: None, retry_after: None }
    }

    pub(crate) fn keys(error: KeyError, retry_after: Duration) -> Self {
        let reason = crate::reason::KEYS_UNAVAILABLE;
        Self { reason, keys: Some(error), retry_after: Some(retry_after) }
    }

    pub(crate) fn overloaded() -> Self {
        let retry_after = Some(Duration::from_secs(1));
        Self { retry_after, ..Self::new(crate::reason::OVERLOADED) }
    }

    /// The stable reason.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.reason.fault()
    }

    /// When asking again makes sense, for faults of ours.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl From<Reason> for VerifyError {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Callers are told this text. What went wrong inside, with addresses, is the source.
        f.write_str(self.reason.title())
    }
}

impl std::error::Error for VerifyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.keys.as_ref().map(|e| e as _)
    }
}
