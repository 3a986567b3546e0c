//! Each step of a decision, with what went into it and what would make it pass.

use entitlements::{CheckError, Freshness};

use super::{Access, Decision, Gate, Requirement, Tenant, decide};
use crate::{
    keys::KeyStatus,
    reason::{self, Reason},
    verify::{Inspection, IssuerPolicy},
};

/// How a step ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not; the decision is a refusal.
    Fail,
    /// It was not reached or is not asked for.
    Skip,
}

impl Outcome {
    /// `pass`, `fail` or `skip`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is looked at: `credential`, `token`, `tenant`, `scopes`, `roles`, `features`.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What went into it, in order: a name and a value, never a token or a secret.
    pub inputs: Vec<(String, String)>,
    /// What would make it pass, where it did not.
    pub remedy: Option<String>,
}

/// A decision and how it came about.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// The answer that [`Gate::check`] gives.
    pub decision: Decision,
    /// What the token says, whether or not it is true.
    pub inspection: Option<Inspection>,
    /// What is known about the tenant, also where that did not suffice.
    pub tenant: Option<Tenant>,
}

impl Step {
    /// A step without inputs.
    pub fn new(name: &'static str, outcome: Outcome) -> Self {
        Self { name, outcome, inputs: Vec::new(), remedy: None }
    }

    /// Adds an input.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.inputs.push((name.into(), value.into()));
        self
    }

    /// Adds what only the operator may see, if there is something.
    fn cause(self, cause: Option<String>) -> Self {
        match cause {
            Some(cause) => self.input("cause", cause),
            None => self,
        }
    }

    /// Says what would make it pass.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl Gate {
    /// Decides as [`Self::check`] does and tells how.
    pub async fn explain(&self, token: Option<&str>, need: &Requirement) -> Explanation {
        self.explain_with(token, need, async |identity| self.tenant(identity).await).await
    }

    /// As [`Self::explain`], with the tenant from elsewhere: as it was at another time, for one.
    pub async fn explain_with(
        &self,
        token: Option<&str>,
        need: &Requirement,
        tenant: impl AsyncFnOnce(&crate::Identity) -> Tenant,
    ) -> Explanation {
        let inspection = token.and_then(crate::verify::inspect);
        let mut story = Explanation {
            steps: Vec::new(),
            decision: Decision::Allow(super::Allowed::default()),
            inspection,
            tenant: None,
        };
        if need.access() == Access::Public {
            let step = Step::new("credential", Outcome::Skip);
            story.steps.push(step.input("route", "public: credentials are not looked at"));
            return story;
        }
        let Some(token) = token else {
            return story.refuse("credential", super::no_credential());
        };
        story.steps.push(Step::new("credential", Outcome::Pass).input("scheme", "Bearer"));
        let identity = match self.verifier().verify(token).await {
            Ok(identity) => identity,
            Err(error) => {
                let mut story = story.refuse("token", super::refused(&error));
                // The refusal shows none of it; whoever asks for the explanation runs the gateway.
                let issuer = story.inspection.as_ref().and_then(|facts| facts.get("iss"));
                let configured = self.configured(error.reason(), issuer);
                if let Some(step) = story.steps.last_mut() {
                    step.inputs.extend(configured);
                }
                return story;
            }
        };
        let mut step = Step::new("token", Outcome::Pass)
            .input("issuer", identity.issuer())
            .input("audience", identity.audience())
            .input("path", identity.path().as_str())
            .input("subject", format!("{} ({})", identity.subject(), identity.kind().as_str()))
            .input("client_id", identity.client_id());
        if let Some(actor) = identity.actor() {
            step = step.input("actor", actor);
        }
        let keys = self.verifier().key_status();
        if let Some(keys) = keys.iter().find(|k| *k.issuer == *identity.issuer_name()) {
            step = step.input("keys", self.keys_in_words(keys));
        }
        story.steps.push(step);
        let tenant = tenant(&identity).await;
        story.decision = decide(need, &identity, tenant.clone());
        let refused = story.decision.denial().map(|d| (d.reason.code(), d.reason.remedy()));
        for step in requirement_steps(need, &identity, &tenant) {
            story.steps.push(step);
        }
        if let (Some((_, remedy)), Some(last)) =
            (refused, story.steps.iter_mut().find(|s| s.outcome == Outcome::Fail))
        {
            last.remedy = Some(remedy.to_owned());
        }
        story.tenant = Some(tenant);
        story
    }
}

impl Gate {
    /// What a refused token is compared with.
    fn configured(&self, refusal: Reason, issuer: Option<&str>) -> Vec<(String, String)> {
        let policies = self.verifier().policies();
        match refusal {
            reason::KEYS_UNAVAILABLE | reason::UNKNOWN_KEY => {
                let keys = self.verifier().key_status();
                let row = |keys: &KeyStatus| {
                    (format!("keys of {}", keys.issuer), self.keys_in_words(keys))
                };
                keys.iter().map(row).collect()
            }
            reason::UNTRUSTED_ISSUER => {
                let row = |policy: &IssuerPolicy| {
                    (format!("url of {}", policy.name()), policy.url().to_owned())
                };
                policies.map(row).collect()
            }
            reason::WRONG_AUDIENCE => policies
                .filter(|policy| Some(policy.url()) == issuer)
                .flat_map(|policy| {
                    let row = |audience: &str| {
                        (format!("audience of {}", policy.name()), audience.to_owned())
                    };
                    policy.audiences().map(row)
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn keys_in_words(&self, keys: &KeyStatus) -> String {
        let age = |at| self.verifier().now().duration_since(at).unwrap_or_default().as_secs();
        let words = match keys.fetched_at {
            Some(at) => format!("{} in use, fetched {} s ago", keys.keys, age(at)),
            None => "never fetched".to_owned(),
        };
        match &keys.last_error {
            Some(error) => format!("{words}; the last fetch failed: {error}"),
            None => words,
        }
    }
}

impl Explanation {
    fn refuse(mut self, step: &'static str, decision: Decision) -> Self {
        if let Some(denial) = decision.denial() {
            let mut failed = Step::new(step, Outcome::Fail)
                .input("reason", denial.reason.code())
                .input("detail", denial.detail.clone())
                .cause(denial.cause.clone())
                .remedy(denial.reason.remedy());
            if let Some(inspection) = self.inspection.as_ref().filter(|_| step == "token") {
                for (name, value) in inspection.facts() {
                    failed = failed.input(format!("{name} (not verified)"), value);
                }
            }
            self.steps.push(failed);
        }
        self.decision = decision;
        self
    }
}

/// The tenant and each part of the requirement. The first that fails decides; later ones are
/// judged all the same, so that everything that has to change is seen at once.
fn requirement_steps(need: &Requirement, identity: &crate::Identity, tenant: &Tenant) -> Vec<Step> {
    let mut steps = vec![tenant_step(need, identity, tenant)];
    let verdict = |good: bool| if good { Outcome::Pass } else { Outcome::Fail };
    let join = |items: Vec<&str>| {
        if items.is_empty() { "none".to_owned() } else { items.join(" ") }
    };
    let scopes = need.asked_scopes();
    let good = scopes.iter().all(|s| identity.has_scope(s));
    let outcome = if scopes.is_empty() { Outcome::Skip } else { verdict(good) };
    let mut step = Step::new("scopes", outcome).input("granted", join(identity.scopes().collect()));
    if !scopes.is_empty() {
        step = step.input("needed", scopes.join(" "));
    }
    steps.push(step);
    let roles = need.asked_roles();
    let good = roles.iter().any(|r| identity.has_role(r));
    let outcome = if roles.is_empty() { Outcome::Skip } else { verdict(good) };
    let mut step = Step::new("roles", outcome).input("held", join(identity.roles().collect()));
    if !roles.is_empty() {
        step = step.input("needed", format!("any of {}", roles.join(" ")));
    }
    steps.push(step);
    if need.asked_features().is_empty() {
        steps.push(Step::new("features", Outcome::Skip).input("needed", "none"));
    }
    for feature in need.asked_features() {
        let (good, mut step) = match tenant {
            Tenant::Known(set) => {
                let provenance = set.explain().iter().find(|p| p.feature == *feature.feature());
                let mut step = Step::new("features", Outcome::Pass);
                if let Some(p) = provenance {
                    step = step.input(p.feature.to_string(), p.value.to_string());
                    step = step.input("from", p.from.clone());
                }
                match set.require(feature) {
                    Ok(()) => (true, step),
                    Err(why) => {
                        step = step.input("reason", why.reason.code());
                        if !why.unlocked_by.is_empty() {
                            step = step.input("unlocked by", why.unlocked_by.join(", "));
                        }
                        (false, step)
                    }
                }
            }
            Tenant::Unnamed | Tenant::Failed(_) => (false, Step::new("features", Outcome::Fail)),
        };
        step.outcome = verdict(good);
        steps.push(step.input("needed", feature.to_string()));
    }
    steps
}

fn tenant_step(need: &Requirement, identity: &crate::Identity, tenant: &Tenant) -> Step {
    let step = Step::new("tenant", Outcome::Pass);
    let step = match (identity.organization(), identity.single_tenant()) {
        (Some(organization), _) => step.input("organization", organization),
        (None, Some(single)) => step.input("single_tenant", single),
        (None, None) => step.input("organization", "none in the token"),
    };
    let mut step = match tenant {
        Tenant::Unnamed => step,
        Tenant::Failed(error) => {
            step.input("reason", error.reason().code()).input("detail", error.to_string())
        }
        Tenant::Known(set) => {
            let mut step = step
                .input("tenant", set.tenant().to_string())
                .input("tier", set.tier().unwrap_or("none"))
                .input("state", set.state().as_str())
                .input("revision", set.revision().to_string());
            for row in set.rows_in_words() {
                step = step.input("row", row);
            }
            if let Err(why) = set.usable() {
                step = step.input("detail", why.detail).cause(why.cause.map(String::from));
            }
            if let Freshness::Stale { age } = set.freshness() {
                step = step.input("source", format!("stale by {} s", age.as_secs()));
            }
            step
        }
    };
    let good = match (need.access(), tenant) {
        (Access::Tenant, Tenant::Known(set)) => set.usable().is_ok(),
        (Access::Authenticated, Tenant::Known(set)) => set.admitted().is_ok(),
        (Access::Public, _)
        | (Access::Authenticated, Tenant::Unnamed | Tenant::Failed(CheckError::UnknownTenant(_))) => {
            true
        }
        (_, Tenant::Unnamed | Tenant::Failed(_)) => false,
    };
    if !good {
        step.outcome = Outcome::Fail;
    }
    step
}
