//! Why no entitlements can be told.

use crate::reason::Reason;
use crate::store::StoreError;

/// There is no answer about a tenant. It never stands for "not in your plan": that is an answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckError {
    /// The store knows no such tenant, or maps no such organization.
    #[error("{0} is unknown")]
    UnknownTenant(String),
    /// The store cannot be asked, and nothing recent enough is known.
    #[error(transparent)]
    StoreUnavailable(#[from] StoreError),
}

impl CheckError {
    /// The reason's code, and with it title and remedy.
    pub fn reason(&self) -> Reason {
        match self {
            Self::UnknownTenant(_) => Reason::UnknownTenant,
            Self::StoreUnavailable(_) => Reason::StoreUnavailable,
        }
    }
}
