//! A tenant and everything that is known about it at one revision.

use std::fmt;
use std::str::FromStr;

use super::TenantId;
use super::license::{License, UnknownWord, words};
use super::overrides::Override;

/// One tenant as the store has it: the input of [`resolve`](crate::resolve).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TenantRecord {
    /// The tenant's id.
    pub id: TenantId,
    /// The name for people.
    pub name: String,
    /// Whether the tenant may be served at all.
    pub status: TenantStatus,
    /// Why it is suspended or closed.
    pub status_reason: Option<String>,
    /// Grows with every change to the tenant, its organizations, licenses or overrides.
    pub revision: u64,
    /// All licenses, the past and the future ones too.
    pub licenses: Vec<License>,
    /// All overrides, the past and the future ones too.
    pub overrides: Vec<Override>,
}

words!(
    /// Whether a tenant may be served at all. It is known as of now only, without history.
    TenantStatus, "tenant status", "`active`, `suspended` and `closed`", {
        /// Served as its licenses say.
        Active = "active",
        /// Not served until it is activated again.
        Suspended = "suspended",
        /// Gone; the id is never used again.
        Closed = "closed",
    }
);

/// How a caller names a tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TenantRef<'a> {
    /// By its id.
    Id(&'a TenantId),
    /// By an organization of an issuer, as a token names it.
    Organization {
        /// The token's issuer, exactly as in `iss`.
        issuer: &'a str,
        /// The organization's id at that issuer.
        organization: &'a str,
    },
}

impl<'a> From<&'a TenantId> for TenantRef<'a> {
    fn from(id: &'a TenantId) -> Self {
        Self::Id(id)
    }
}

impl fmt::Display for TenantRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "tenant `{id}`"),
            Self::Organization { issuer, organization } => {
                write!(
                    f,
                    "organization `{}` of issuer `{}`",
                    organization.escape_debug(),
                    issuer.escape_debug()
                )
            }
        }
    }
}
