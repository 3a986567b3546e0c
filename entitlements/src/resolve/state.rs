//! In what state a tenant is as a whole.

use std::fmt;
use std::time::SystemTime;

use super::Held;
use crate::model::{LicenseKind, Standing, TenantStatus};
use crate::reason::Reason;

/// The state of a tenant at a moment: why it is served, or why not.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// A license is active.
    Active,
    /// Licenses are in grace only: served, and to be warned.
    Grace,
    /// The last license and its grace have ended.
    Expired,
    /// The first license starts later.
    NotYetValid,
    /// The license is suspended.
    LicenseSuspended,
    /// The license was revoked.
    LicenseRevoked,
    /// There is no license.
    NoLicense,
    /// The only licenses that would count name plans that the catalog does not know.
    UnknownPlan,
    /// The tenant is suspended.
    TenantSuspended,
    /// The tenant is closed.
    TenantClosed,
}

impl State {
    /// True if the licenses count: active or in grace.
    pub fn is_usable(self) -> bool {
        self.reason().is_none()
    }

    /// Why the tenant is not served; nothing if it is.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Active | Self::Grace => None,
            Self::Expired => Some(Reason::LicenseExpired),
            Self::NotYetValid => Some(Reason::LicenseNotYetValid),
            Self::LicenseSuspended => Some(Reason::LicenseSuspended),
            Self::LicenseRevoked => Some(Reason::LicenseRevoked),
            Self::NoLicense => Some(Reason::NoLicense),
            Self::UnknownPlan => Some(Reason::UnknownPlan),
            Self::TenantSuspended => Some(Reason::TenantSuspended),
            Self::TenantClosed => Some(Reason::TenantClosed),
        }
    }

    /// The word for tables and JSON: `active`, `grace`, or the reason's code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::LicenseSuspended => "license_suspended",
            Self::LicenseRevoked => "license_revoked",
            Self::NoLicense => "no_license",
            Self::UnknownPlan => "unknown_plan",
            Self::TenantSuspended => "tenant_suspended",
            Self::TenantClosed => "tenant_closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state at a moment, and the license that made it so.
pub(super) fn judge(
    status: TenantStatus,
    held: &[Held<'_>],
    now: SystemTime,
) -> (State, Option<usize>) {
    match status {
        TenantStatus::Closed => return (State::TenantClosed, None),
        TenantStatus::Suspended => return (State::TenantSuspended, None),
        TenantStatus::Active => {}
    }
    // Add-ons stand beside a tier: alone they open nothing, so they are not asked here.
    let plans = || held.iter().filter(|held| held.license.kind != LicenseKind::Addon);
    let standing = |wanted| plans().filter(move |held| held.standing == wanted);
    // Of several, the smaller id, so that the order of rows never decides.
    let first = |found: Vec<&Held<'_>>| {
        found.into_iter().min_by_key(|held| &held.license.id).map(|held| held.index)
    };

    for (wanted, state) in [(Standing::Active, State::Active), (Standing::Grace, State::Grace)] {
        let known = standing(wanted).filter(|held| held.plan.is_some()).collect();
        if let Some(index) = first(known) {
            return (state, Some(index));
        }
    }
    if let Some(index) = first(plans().filter(|held| held.standing.is_usable()).collect()) {
        return (State::UnknownPlan, Some(index));
    }
    let suspended = |begun: bool| {
        let found = standing(Standing::Suspended);
        first(found.filter(|held| (held.license.starts_at <= now) == begun).collect())
    };
    if let Some(index) = suspended(true) {
        return (State::LicenseSuspended, Some(index));
    }
    // A license to come says more than one that is gone: it tells when service begins.
    let next =
        standing(Standing::Scheduled).min_by_key(|held| (held.license.starts_at, &held.license.id));
    if let Some(held) = next {
        return (State::NotYetValid, Some(held.index));
    }
    // One that is held before it begins withholds nothing yet.
    if let Some(index) = suspended(false) {
        return (State::LicenseSuspended, Some(index));
    }
    let last = plans()
        .filter(|held| matches!(held.standing, Standing::Expired | Standing::Revoked))
        .max_by_key(|held| {
            let license = held.license;
            let ended = match held.standing {
                Standing::Revoked => license.revoked_at,
                _ => license.grace_ends_at(),
            };
            (ended, &license.id)
        });
    match last {
        Some(held) if held.standing == Standing::Revoked => {
            (State::LicenseRevoked, Some(held.index))
        }
        Some(held) => (State::Expired, Some(held.index)),
        None => (State::NoLicense, None),
    }
}
