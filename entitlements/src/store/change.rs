//! What can be changed: one value for each, so that every store audits and feeds them alike.

use std::fmt;

use serde_json::{Value as Json, json};

use super::Refusal;
use crate::model::{License, Override, TenantId, TenantStatus, format_time};

/// One change to a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A new tenant, with the organizations that name it.
    AddTenant {
        /// Its id, never used before.
        id: TenantId,
        /// Its name for people.
        name: String,
        /// The organizations that are mapped to it.
        organizations: Vec<Organization>,
    },
    /// One more organization for a tenant.
    MapOrganization {
        /// The tenant.
        tenant: TenantId,
        /// The organization, mapped to nobody yet.
        organization: Organization,
    },
    /// An organization no longer names its tenant.
    UnmapOrganization {
        /// The organization.
        organization: Organization,
    },
    /// A tenant is served again, not for now, or never more.
    SetTenantStatus {
        /// The tenant.
        tenant: TenantId,
        /// What it becomes.
        status: TenantStatus,
        /// Why; needed unless it becomes active.
        reason: Option<String>,
    },
    /// A new license.
    GrantLicense {
        /// The tenant.
        tenant: TenantId,
        /// The license, with an id of its own.
        license: License,
    },
    /// The end of a license, for good.
    RevokeLicense {
        /// The license's id.
        license: String,
        /// Why.
        reason: String,
    },
    /// A license does not count until it is resumed.
    SuspendLicense {
        /// The license's id.
        license: String,
        /// Why.
        reason: String,
    },
    /// A suspended license counts again.
    ResumeLicense {
        /// The license's id.
        license: String,
    },
    /// An exception for a tenant.
    AddOverride {
        /// The tenant.
        tenant: TenantId,
        /// The exception, with an id of its own.
        exception: Override,
    },
    /// The end of an exception.
    RevokeOverride {
        /// The override's id.
        id: String,
        /// Why.
        reason: String,
    },
}

impl Change {
    /// The action's name in the audit log.
    pub fn action(&self) -> &'static str {
        match self {
            Self::AddTenant { .. } => "tenant.add",
            Self::MapOrganization { .. } => "tenant.map",
            Self::UnmapOrganization { .. } => "tenant.unmap",
            Self::SetTenantStatus { status: TenantStatus::Active, .. } => "tenant.activate",
            Self::SetTenantStatus { status: TenantStatus::Suspended, .. } => "tenant.suspend",
            Self::SetTenantStatus { status: TenantStatus::Closed, .. } => "tenant.close",
            Self::GrantLicense { .. } => "license.grant",
            Self::RevokeLicense { .. } => "license.revoke",
            Self::SuspendLicense { .. } => "license.suspend",
            Self::ResumeLicense { .. } => "license.resume",
            Self::AddOverride { .. } => "override.add",
            Self::RevokeOverride { .. } => "override.revoke",
        }
    }

    /// Refuses what no store takes, in the words of the change and not of a database.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match self {
            Self::AddTenant { name, organizations, .. } => {
                sized("name", name, 200)?;
                organizations.iter().try_for_each(Organization::check)?;
            }
            Self::MapOrganization { organization, .. } => organization.check()?,
            Self::GrantLicense { license, .. } => {
                if let Some(reference) = &license.source_ref {
                    sized("source_ref", reference, 256)?;
                }
            }
            Self::UnmapOrganization { .. }
            | Self::SetTenantStatus { .. }
            | Self::RevokeLicense { .. }
            | Self::SuspendLicense { .. }
            | Self::ResumeLicense { .. }
            | Self::AddOverride { .. }
            | Self::RevokeOverride { .. } => {}
        }
        match self.reason() {
            Some(reason) if reason.trim().is_empty() => {
                Err(Refusal::Forbidden("the reason is blank; say why".to_owned()))
            }
            Some(reason) => sized("reason", reason, 1000),
            None => Ok(()),
        }
    }

    /// Why it is done, where the change says so.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::SetTenantStatus { reason, .. } => reason.as_deref(),
            Self::RevokeLicense { reason, .. }
            | Self::SuspendLicense { reason, .. }
            | Self::RevokeOverride { reason, .. } => Some(reason),
            Self::AddOverride { exception, .. } => Some(&exception.reason),
            Self::AddTenant { .. }
            | Self::MapOrganization { .. }
            | Self::UnmapOrganization { .. }
            | Self::GrantLicense { .. }
            | Self::ResumeLicense { .. } => None,
        }
    }
}

/// Refuses a text that is empty, longer than so many characters, or holds what databases cut it at.
fn sized(what: &str, text: &str, most: usize) -> Result<(), Refusal> {
    let length = text.chars().count();
    if (1..=most).contains(&length) && !text.contains('\0') {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "`{what}` has {length} characters; it has 1 to {most}, none of them NUL"
    )))
}

/// An organization of an issuer.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Organization {
    /// The issuer, exactly as in `iss`.
    pub issuer: String,
    /// The organization's id at that issuer.
    pub id: String,
}

impl Organization {
    fn check(&self) -> Result<(), Refusal> {
        sized("issuer", &self.issuer, 2048)?;
        sized("organization", &self.id, 256)
    }
}

impl fmt::Display for Organization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id, self.issuer)
    }
}

/// Who makes a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    /// A name: a person's, a program's.
    pub name: String,
    /// What it is: `person`, `service`, `system`.
    pub kind: &'static str,
}

impl Actor {
    /// Somebody at a command line.
    pub fn person(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: "person" }
    }

    /// The program itself.
    pub fn system() -> Self {
        Self { name: "tiergate".to_owned(), kind: "system" }
    }
}

/// What a change has done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The tenant whose rows changed.
    pub tenant: TenantId,
    /// The revision after the change.
    pub revision: u64,
}

/// What a back end notes of a change for its audit entry.
pub(crate) struct Done {
    pub(crate) tenant: TenantId,
    pub(crate) object: String,
    pub(crate) before: Option<Json>,
    pub(crate) after: Option<Json>,
}

pub(crate) fn license_json(license: &License) -> Json {
    json!({
        "id": license.id,
        "kind": license.kind.as_str(),
        "plan": license.plan,
        "catalog": license.pin.as_ref().map(|pin| &pin.digest),
        "quantity": license.quantity,
        "starts_at": format_time(license.starts_at),
        "ends_at": license.ends_at.map(format_time),
        "grace_s": license.grace.as_secs(),
        "suspended_at": license.suspended_at.map(format_time),
        "revoked_at": license.revoked_at.map(format_time),
        "status_reason": license.status_reason,
        "source": license.source.as_str(),
        "source_ref": license.source_ref,
    })
}

pub(crate) fn override_json(exception: &Override) -> Json {
    json!({
        "id": exception.id,
        "feature": exception.feature.as_str(),
        "effect": exception.effect.as_str(),
        "value": exception.effect.value(),
        "starts_at": format_time(exception.starts_at),
        "ends_at": exception.ends_at.map(format_time),
        "reason": exception.reason,
        "ticket": exception.ticket,
        "revoked_at": exception.revoked_at.map(format_time),
    })
}

pub(crate) fn tenant_json(
    name: &str,
    status: TenantStatus,
    organizations: &[Organization],
) -> Json {
    let organizations: Vec<_> = organizations
        .iter()
        .map(|organization| json!({ "issuer": organization.issuer, "id": organization.id }))
        .collect();
    json!({ "name": name, "status": status.as_str(), "organizations": organizations })
}

pub(crate) fn organization_json(tenant: &TenantId, organization: &Organization) -> Json {
    json!({
        "issuer": organization.issuer,
        "organization": organization.id,
        "tenant": tenant.as_str(),
    })
}

pub(crate) fn status_json(status: TenantStatus, reason: Option<&str>) -> Json {
    json!({ "status": status.as_str(), "reason": reason })
}
