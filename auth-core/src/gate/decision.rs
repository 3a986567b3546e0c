//! The decision: a pure function of the requirement, the caller and the tenant.

use entitlements::{CheckError, EntitlementSet};

use super::{Access, Denial, Requirement};
use crate::{
    identity::{Identity, Path},
    reason,
};

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It passes.
    Allow(Allowed),
    /// It does not.
    Deny(Box<Denial>),
}

/// Who passed, and what they may do.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// The caller; `None` on a public route.
    pub identity: Option<Identity>,
    /// What the caller's tenant may do; always there on a tenant route.
    pub entitlements: Option<EntitlementSet>,
}

/// What is known about the caller's tenant.
#[derive(Clone, Debug)]
pub enum Tenant {
    /// The token names none.
    Unnamed,
    /// It has one.
    Known(EntitlementSet),
    /// It names one that cannot be answered for.
    Failed(CheckError),
}

impl Decision {
    /// The refusal, if it is one.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Allow(_) => None,
            Self::Deny(denial) => Some(denial),
        }
    }
}

impl From<Denial> for Decision {
    fn from(denial: Denial) -> Self {
        Self::Deny(Box::new(denial))
    }
}

/// Decides. The order is that of the documentation: tenant, scopes, roles, features.
pub fn decide(need: &Requirement, identity: &Identity, tenant: Tenant) -> Decision {
    match judge(need, identity, &tenant) {
        Ok(()) => {
            let entitlements = match tenant {
                Tenant::Known(set) => Some(set),
                Tenant::Unnamed | Tenant::Failed(_) => None,
            };
            Decision::Allow(Allowed { identity: Some(identity.clone()), entitlements })
        }
        Err(mut denial) => {
            denial.identity = Some(identity.clone());
            if let Tenant::Known(set) = &tenant {
                denial.tenant = Some(set.tenant().clone());
            }
            Decision::Deny(denial)
        }
    }
}

fn judge(need: &Requirement, identity: &Identity, tenant: &Tenant) -> Result<(), Box<Denial>> {
    match (need.access(), tenant) {
        (Access::Public, _) => return Ok(()),
        (Access::Tenant, Tenant::Known(set)) => set.usable().map_err(not_entitled)?,
        (Access::Authenticated, Tenant::Known(set)) => set.admitted().map_err(not_entitled)?,
        (Access::Tenant, Tenant::Unnamed) => return Err(no_organization()),
        (Access::Authenticated, Tenant::Unnamed | Tenant::Failed(CheckError::UnknownTenant(_))) => {
        }
        (_, Tenant::Failed(error)) => return Err(failed(error)),
    }
    let lacking = |s: &&String| !identity.has_scope(s);
    let missing_scopes: Vec<_> = need.asked_scopes().iter().filter(lacking).cloned().collect();
    if !missing_scopes.is_empty() {
        let what = if identity.path() == Path::Roles {
            "tokens of this audience carry roles, and their scopes are ignored".to_owned()
        } else {
            format!("the token lacks `{}`", missing_scopes.join("`, `"))
        };
        let mut denial = Denial::new(reason::INSUFFICIENT_SCOPE, what);
        denial.missing_scopes = missing_scopes;
        return Err(Box::new(denial));
    }
    let roles = need.asked_roles();
    if !roles.is_empty() && !roles.iter().any(|r| identity.has_role(r)) {
        let detail = if identity.path() == Path::Organization {
            "tokens of this audience carry scopes, and their roles are ignored".to_owned()
        } else {
            format!("one of the roles `{}` is needed", roles.join("`, `"))
        };
        return Err(Box::new(Denial::new(reason::MISSING_ROLE, detail)));
    }
    for feature in need.asked_features() {
        match tenant {
            Tenant::Known(set) => set.require(feature).map_err(not_entitled)?,
            Tenant::Unnamed => return Err(no_organization()),
            Tenant::Failed(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn not_entitled(why: entitlements::NotEntitled) -> Box<Denial> {
    Box::new(Denial::not_entitled(why))
}

fn no_organization() -> Box<Denial> {
    let detail = "a tenant is needed, and the token names no organization";
    Box::new(Denial::new(reason::NO_ORGANIZATION, detail))
}

fn failed(error: &CheckError) -> Box<Denial> {
    Box::new(match error {
        CheckError::UnknownTenant(_) => Denial::new(error.reason().into(), error.to_string()),
        // What a database says when it fails names users and hosts.
        CheckError::StoreUnavailable(store) => {
            let mut denial = Denial::new(error.reason().into(), "");
            denial.cause = Some(store.to_string());
            denial
        }
    })
}
