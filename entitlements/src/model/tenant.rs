//! A tenant and everything that is known about it at one revision.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

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

impl TenantRecord {
    /// The record as it counts at `now`, where nothing that the store tells is still to happen.
    ///
    /// Suspensions and revocations have happened, even if this host's clock is behind the one they
    /// were noted by, or was set back since: a revocation must not wait for a clock. Those that are
    /// noted for later count from `now` on. Starts and ends are agreed ahead, and stay.
    #[must_use]
    pub fn happened_by(mut self, now: SystemTime) -> Self {
        let of_licenses =
            self.licenses.iter_mut().flat_map(|it| [&mut it.suspended_at, &mut it.revoked_at]);
        let of_overrides = self.overrides.iter_mut().map(|it| &mut it.revoked_at);
        for moment in of_licenses.chain(of_overrides).flatten() {
            *moment = (*moment).min(now);
        }
        self
    }

    /// True if [`Self::happened_by`] changes anything.
    pub(crate) fn is_ahead_of(&self, now: SystemTime) -> bool {
        let of_licenses = self.licenses.iter().flat_map(|it| [it.suspended_at, it.revoked_at]);
        let of_overrides = self.overrides.iter().map(|it| it.revoked_at);
        of_licenses.chain(of_overrides).flatten().any(|moment| moment > now)
    }
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
