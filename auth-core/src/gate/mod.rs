//! The engine: one answer to "who, for which tenant, and is it paid for?".
//!
//! The rules, in the order in which they refuse:
//! 1. A public route passes; credentials are not looked at.
//! 2. Without a credential: [`reason::NO_CREDENTIAL`]; with a bad one, the verifier's reason.
//! 3. On a tenant route the token names a tenant, by its organization or by the configuration;
//!    the tenant is known, active, and has a license that is active or in grace.
//! 4. All scopes, one of the roles, all features of the requirement are there.
//!
//! [`decide`] is the pure part. [`Gate`] brings it the identity and the tenant, [`GateLayer`] and
//! [`RequireLayer`] put it around a tower service, and [`Gate::explain`] tells each step.

mod decision;
mod denial;
mod explain;
mod layer;
mod require;
mod requirement;

use entitlements::{CheckError, EntitlementService, EntitlementSet, TenantId, TenantRef};

pub use self::{
    decision::{Allowed, Decision, Tenant, decide},
    denial::{Denial, ProblemJson, Refuse},
    explain::{Explanation, Outcome, Step},
    layer::{GateLayer, GateService, ResponseFuture},
    require::{RequireFuture, RequireLayer, RequireService},
    requirement::{Access, Requirement},
};
use crate::{
    identity::Identity,
    reason,
    verify::{Verifier, VerifyError},
};

/// A verifier and an entitlement service that answer together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate {
    verifier: Verifier,
    entitlements: EntitlementService,
}

impl Gate {
    /// A gate over both.
    pub fn new(verifier: Verifier, entitlements: EntitlementService) -> Self {
        Self { verifier, entitlements }
    }

    /// The verifier.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The entitlement service.
    pub fn entitlements(&self) -> &EntitlementService {
        &self.entitlements
    }

    /// Decides without I/O and without waiting; `None` where that is not enough, and
    /// [`Self::check`] must be asked. In the steady state it is always enough.
    pub fn check_now(&self, token: Option<&str>, need: &Requirement) -> Option<Decision> {
        if need.access() == Access::Public {
            return Some(Decision::Allow(Allowed::default()));
        }
        let Some(token) = token else { return Some(no_credential()) };
        let identity = match self.verifier.verify_cached(token)? {
            Ok(identity) => identity,
            Err(error) => return Some(refused(&error)),
        };
        let tenant = match named(&identity) {
            Named::Nobody => Tenant::Unnamed,
            Named::Organization(organization) => {
                Tenant::Known(self.entitlements.cached(organization)?)
            }
            Named::Single(tenant) => {
                if self.entitlements.counted_tenants()? > 1 {
                    Tenant::Failed(not_alone())
                } else {
                    let id: TenantId = tenant.parse().ok()?;
                    Tenant::Known(self.entitlements.cached(TenantRef::Id(&id))?)
                }
            }
        };
        Some(decide(need, &identity, tenant))
    }

    /// Decides; waits for keys and for the store where it must.
    pub async fn check(&self, token: Option<&str>, need: &Requirement) -> Decision {
        if need.access() == Access::Public {
            return Decision::Allow(Allowed::default());
        }
        let Some(token) = token else { return no_credential() };
        match self.verifier.verify(token).await {
            Ok(identity) => {
                let tenant = self.tenant(&identity).await;
                decide(need, &identity, tenant)
            }
            Err(error) => refused(&error),
        }
    }

    /// The tenant of a verified caller.
    pub async fn tenant(&self, identity: &Identity) -> Tenant {
        let found = match named(identity) {
            Named::Nobody => return Tenant::Unnamed,
            Named::Organization(organization) => self.entitlements.entitlements(organization).await,
            Named::Single(tenant) => self.single(tenant).await,
        };
        found.map_or_else(Tenant::Failed, Tenant::Known)
    }

    /// A configured tenant stands for every caller only as long as there is no other: with two,
    /// nobody said whose data the caller may see.
    async fn single(&self, tenant: &str) -> Result<EntitlementSet, CheckError> {
        let id: TenantId = tenant.parse().map_err(|_| unknown_single())?;
        let set = self.entitlements.entitlements(TenantRef::Id(&id)).await;
        let set = set.map_err(|error| match error {
            CheckError::UnknownTenant(_) => unknown_single(),
            unavailable @ CheckError::StoreUnavailable(_) => unavailable,
        })?;
        let tenants = match self.entitlements.counted_tenants() {
            Some(known) => known,
            // Nobody follows this store, or has heard of it yet.
            None => self.entitlements.tenant_count().await?,
        };
        if tenants > 1 { Err(not_alone()) } else { Ok(set) }
    }
}

/// What the configured tenant is called is not told to whom it does not serve.
fn unknown_single() -> CheckError {
    CheckError::UnknownTenant("the tenant of this installation (`single_tenant`)".to_owned())
}

/// How many tenants there are is nobody's business but the operator's.
fn not_alone() -> CheckError {
    CheckError::UnknownTenant("whose token this is, when it names no organization,".to_owned())
}

enum Named<'a> {
    Nobody,
    Organization(TenantRef<'a>),
    Single(&'a str),
}

fn named(identity: &Identity) -> Named<'_> {
    match (identity.organization(), identity.single_tenant()) {
        (Some(organization), _) => {
            Named::Organization(TenantRef::Organization { issuer: identity.issuer(), organization })
        }
        (None, Some(tenant)) => Named::Single(tenant),
        (None, None) => Named::Nobody,
    }
}

fn no_credential() -> Decision {
    Denial::new(reason::NO_CREDENTIAL, "the request has no Authorization header").into()
}

fn refused(error: &VerifyError) -> Decision {
    Denial::from(error).into()
}
