//! Why a tenant does not get what it asked for: a closed set of codes.
//!
//! A code is the metric label, the log field, the problem type and the documentation row, so it
//! never changes its meaning.

use std::fmt;

/// Why something is not granted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// The feature is at its lowest in what the tenant holds.
    NotInPlan,
    /// The feature is there, but below the level or number asked for.
    LevelTooLow,
    /// An override takes the feature away.
    OverrideDeny,
    /// The license and its grace have ended.
    LicenseExpired,
    /// The license starts later.
    LicenseNotYetValid,
    /// The license is suspended.
    LicenseSuspended,
    /// The license was revoked.
    LicenseRevoked,
    /// The tenant has no license at all.
    NoLicense,
    /// The license names a plan that the catalog does not know.
    UnknownPlan,
    /// The tenant is suspended.
    TenantSuspended,
    /// The tenant is closed.
    TenantClosed,
    /// Nobody knows this tenant or organization.
    UnknownTenant,
    /// The store cannot be asked, and nothing recent enough is known.
    StoreUnavailable,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::NotInPlan,
        Self::LevelTooLow,
        Self::OverrideDeny,
        Self::LicenseExpired,
        Self::LicenseNotYetValid,
        Self::LicenseSuspended,
        Self::LicenseRevoked,
        Self::NoLicense,
        Self::UnknownPlan,
        Self::TenantSuspended,
        Self::TenantClosed,
        Self::UnknownTenant,
        Self::StoreUnavailable,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotInPlan => "not_in_plan",
            Self::LevelTooLow => "level_too_low",
            Self::OverrideDeny => "override_deny",
            Self::LicenseExpired => "license_expired",
            Self::LicenseNotYetValid => "license_not_yet_valid",
            Self::LicenseSuspended => "license_suspended",
            Self::LicenseRevoked => "license_revoked",
            Self::NoLicense => "no_license",
            Self::UnknownPlan => "unknown_plan",
            Self::TenantSuspended => "tenant_suspended",
            Self::TenantClosed => "tenant_closed",
            Self::UnknownTenant => "unknown_tenant",
            Self::StoreUnavailable => "store_unavailable",
        }
    }

    /// A short sentence for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::NotInPlan => "Not included in the plan",
            Self::LevelTooLow => "The plan includes less than this",
            Self::OverrideDeny => "Denied by an exception for this tenant",
            Self::LicenseExpired => "The license has expired",
            Self::LicenseNotYetValid => "The license is not valid yet",
            Self::LicenseSuspended => "The license is suspended",
            Self::LicenseRevoked => "The license was revoked",
            Self::NoLicense => "The tenant has no license",
            Self::UnknownPlan => "The license names an unknown plan",
            Self::TenantSuspended => "The tenant is suspended",
            Self::TenantClosed => "The tenant is closed",
            Self::UnknownTenant => "The tenant is unknown",
            Self::StoreUnavailable => "Entitlements cannot be read at the moment",
        }
    }

    /// What would help, and who can do it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NotInPlan | Self::LevelTooLow => {
                "change to one of the plans in `unlocked_by`, or add an override"
            }
            Self::OverrideDeny => "ask the operator to revoke the override",
            Self::LicenseExpired => "renew: `tiergate license grant`",
            Self::LicenseNotYetValid => "wait for the start, or grant a license that starts now",
            Self::LicenseSuspended => "ask the operator to resume the license",
            Self::LicenseRevoked | Self::NoLicense => {
                "ask the operator for a license: `tiergate license grant`"
            }
            Self::UnknownPlan => "add the plan or an alias for it to the plans file",
            Self::TenantSuspended => "ask the operator: `tiergate tenant activate`",
            Self::TenantClosed => "ask the operator for a new tenant; closed ids do not come back",
            Self::UnknownTenant => {
                "map the organization to a tenant: `tiergate tenant add ID --issuer I --organization O`"
            }
            Self::StoreUnavailable => "try again; the operator looks at the store's connection",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_codes_are_stable_and_unique() {
        let codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(
            codes,
            [
                "not_in_plan",
                "level_too_low",
                "override_deny",
                "license_expired",
                "license_not_yet_valid",
                "license_suspended",
                "license_revoked",
                "no_license",
                "unknown_plan",
                "tenant_suspended",
                "tenant_closed",
                "unknown_tenant",
                "store_unavailable",
            ]
        );
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        for reason in Reason::ALL {
            assert!(!reason.title().is_empty() && !reason.remedy().is_empty());
        }
    }
}
