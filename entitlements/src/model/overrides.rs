//! Exceptions for one tenant: raised, set or denied, with a reason and an end.

use std::fmt;
use std::time::SystemTime;

use super::FeatureKey;

/// An exception from what the licenses give, for one feature of one tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Override {
    /// The override's own name, as in `ovr_0198...`.
    pub id: String,
    /// The feature it is about.
    pub feature: FeatureKey,
    /// What it does.
    pub effect: Effect,
    /// The first moment it holds.
    pub starts_at: SystemTime,
    /// The first moment it no longer holds; none: it was declared permanent.
    pub ends_at: Option<SystemTime>,
    /// Why it exists.
    pub reason: String,
    /// Where it was agreed, as a ticket or a contract names it.
    pub ticket: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was taken back, if it was.
    pub revoked_at: Option<SystemTime>,
}

impl Override {
    /// True if the override holds at the moment.
    pub fn holds(&self, at: SystemTime) -> bool {
        self.starts_at <= at
            && self.ends_at.is_none_or(|end| at < end)
            && self.revoked_at.is_none_or(|moment| at < moment)
    }
}

/// What an override does. Values are kept as text, because a later catalog may read them
/// differently or not at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// At least this value; it never takes anything away.
    Raise(String),
    /// Exactly this value; it may take something away.
    Set(String),
    /// The lowest value, whatever else holds.
    Deny,
}

impl Effect {
    /// The word in the store.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Raise(_) => "raise",
            Self::Set(_) => "set",
            Self::Deny => "deny",
        }
    }

    /// The value as it was written; a denial has none.
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Raise(value) | Self::Set(value) => Some(value),
            Self::Deny => None,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(value) => write!(f, "{} to {value}", self.as_str()),
            None => f.write_str(self.as_str()),
        }
    }
}
