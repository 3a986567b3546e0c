//! From what a tenant holds to what it may do: one pure function.
//!
//! The order, as the code follows it:
//!
//! 1. A tenant that is closed or suspended has every feature at its lowest; nothing beats that.
//! 2. Each license stands active, in grace, expired, scheduled, suspended or revoked at `now`;
//!    periods are half-open.
//! 3. If no base or trial license of a known plan is active or in grace, every feature is at its
//!    lowest, and the state says which license is to blame.
//! 4. Otherwise each feature is the maximum over the usable base and trial licenses, so that one
//!    more license never takes anything away; then the usable add-ons: switches and levels by
//!    maximum, numbers by sum.
//! 5. Overrides in force: `raise` (never lowers), then `set` (exact), then `deny` (always wins).
//!
//! Nothing here reads a clock, a file or a database, and no input makes it fail: what a record
//! says that the catalog does not know grants nothing and is said in the provenance.

mod explain;
mod offers;
mod plan;
mod set;
mod state;

use std::sync::Arc;
use std::time::SystemTime;

pub use explain::Provenance;
pub use set::{EntitlementSet, Freshness, NotEntitled};
pub use state::State;

use crate::catalog::{Catalog, Feature, FeatureKind};
use crate::model::{Effect, License, LicenseKind, Standing, TenantRecord, Value};
use plan::{Plan, contribution};

/// What a tenant may do at a moment.
///
/// ```
/// use std::time::SystemTime;
/// use entitlements::{Catalog, State, TenantRecord, TenantStatus, resolve};
///
/// let catalog = Catalog::parse(entitlements::testing::PLANS)?;
/// let tenant = TenantRecord {
///     id: "acme".parse()?,
///     name: "Acme".to_owned(),
///     status: TenantStatus::Active,
///     status_reason: None,
///     revision: 1,
///     licenses: Vec::new(),
///     overrides: Vec::new(),
/// };
/// let set = resolve(&catalog, &tenant, SystemTime::UNIX_EPOCH);
/// assert_eq!(set.state(), State::NoLicense);
/// assert!(set.usable().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn resolve(catalog: &Catalog, tenant: &TenantRecord, now: SystemTime) -> EntitlementSet {
    resolve_shared(catalog, Arc::new(tenant.clone()), now)
}

/// The same for a record that is shared already, as the service has it.
pub(crate) fn resolve_shared(
    catalog: &Catalog,
    tenant: Arc<TenantRecord>,
    now: SystemTime,
) -> EntitlementSet {
    let held = held(catalog, &tenant, now);
    let (state, blamed) = state::judge(tenant.status, &held, now);
    let tier = state.is_usable().then(|| highest_tier(catalog, &held)).flatten();
    let features = catalog.features().iter().enumerate();
    let (values, origins) = features
        .map(|(position, feature)| decided(position, feature, state, &held, &tenant, now))
        .unzip();
    let (since, valid_until) = boundaries(&tenant, now);
    set::build(set::Parts {
        catalog: catalog.clone(),
        tenant,
        values,
        origins,
        tier,
        state,
        blamed,
        at: now,
        since,
        valid_until,
    })
}

/// The licenses as they stand; the order of rows decides nothing, not even which of several equal
/// ones is named.
fn held<'a>(catalog: &'a Catalog, tenant: &'a TenantRecord, now: SystemTime) -> Vec<Held<'a>> {
    let licenses = tenant.licenses.iter().enumerate();
    let mut held: Vec<_> =
        licenses.map(|(index, license)| Held::new(index, license, catalog, now)).collect();
    held.sort_by(|a, b| a.license.id.cmp(&b.license.id));
    held
}

/// A license as it stands at the moment.
struct Held<'a> {
    /// Its position in the record.
    index: usize,
    license: &'a License,
    standing: Standing,
    /// None if the catalog does not know the plan.
    plan: Option<Plan<'a>>,
}

impl<'a> Held<'a> {
    fn new(index: usize, license: &'a License, catalog: &'a Catalog, now: SystemTime) -> Self {
        Self { index, license, standing: license.standing(now), plan: plan::of(catalog, license) }
    }
}

/// What decided the value of a feature: positions in the record, turned into words on demand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    /// The tenant or its licenses are in a state in which nothing is granted.
    State,
    /// No usable license says anything about it.
    Nothing,
    /// The license that gives the most, and whether it is in grace.
    License(usize, Standing),
    /// The override in force.
    Override(usize),
}

/// The dearest usable tier.
fn highest_tier(catalog: &Catalog, held: &[Held<'_>]) -> Option<Arc<str>> {
    held.iter()
        .filter(|held| held.standing.is_usable())
        .filter(|held| held.license.kind != LicenseKind::Addon)
        .filter_map(|held| held.plan.as_ref())
        .map(Plan::name)
        // A tier that only an older catalog knows ranks below those of the current one; among
        // such, the name decides, so that the order of rows never does.
        .max_by(|a, b| (catalog.tier_rank(a), a).cmp(&(catalog.tier_rank(b), b)))
        .cloned()
}

/// The value of one feature, and what decided it.
fn decided(
    position: usize,
    feature: &Feature,
    state: State,
    held: &[Held<'_>],
    tenant: &TenantRecord,
    now: SystemTime,
) -> (Value, Origin) {
    if state.is_usable() {
        overridden(granted(position, feature, held), feature, tenant, now)
    } else {
        (feature.lowest(), Origin::State)
    }
}

/// What the licenses give, before any override.
fn granted(position: usize, feature: &Feature, held: &[Held<'_>]) -> (Value, Origin) {
    let mut best = (feature.lowest(), None);
    let usable = || held.iter().filter(|held| held.standing.is_usable());
    let addon = |held: &&Held<'_>| held.license.kind == LicenseKind::Addon;

    for held in usable().filter(|held| !addon(held)) {
        if let Some(value) = contribution(held.plan.as_ref(), position, feature) {
            better(&mut best, value, held);
        }
    }
    for held in usable().filter(addon) {
        let Some(value) = contribution(held.plan.as_ref(), position, feature) else { continue };
        match (&best.0, value) {
            (Value::Number(sum), Value::Number(more)) => {
                let times = u64::from(held.license.quantity);
                let value = sum.saturating_add(more.saturating_mul(times));
                better(&mut best, Value::Number(value), held);
            }
            (_, value) => better(&mut best, value, held),
        }
    }
    let (value, named) = best;
    let license = |held: &Held<'_>| Origin::License(held.index, held.standing);
    (value, named.map_or(Origin::Nothing, license))
}

/// Keeps the greater value; among equal ones, the license that is not in grace, then the smaller
/// id, so that the order of rows never decides.
fn better<'a>(best: &mut (Value, Option<&'a Held<'a>>), value: Value, held: &'a Held<'a>) {
    fn rank<'a>(held: &'a Held<'_>) -> (bool, &'a str) {
        (held.standing == Standing::Grace, &held.license.id)
    }
    let greater = !best.0.at_least(&value);
    let clearer = match best.1 {
        Some(named) => value.at_least(&best.0) && rank(held) < rank(named),
        None => !value.is_lowest(),
    };
    if greater || clearer {
        *best = (value, Some(held));
    }
}

fn overridden(
    mut best: (Value, Origin),
    feature: &Feature,
    tenant: &TenantRecord,
    now: SystemTime,
) -> (Value, Origin) {
    let in_force = || {
        let mut found: Vec<_> = tenant
            .overrides
            .iter()
            .enumerate()
            .filter(|(_, exception)| exception.feature == feature.key && exception.holds(now))
            .collect();
        // The order of rows never decides.
        found.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
        found
    };
    let all = in_force();
    for (index, exception) in &all {
        if let Effect::Raise(text) = &exception.effect
            && let Some(value) = feature.value(text)
            && !best.0.at_least(&value)
        {
            best = (value, Origin::Override(*index));
        }
    }
    let mut exact: Option<(Value, Origin)> = None;
    for (index, exception) in &all {
        if let Effect::Set(text) = &exception.effect {
            // A value that the catalog no longer knows may have been meant to lower: it grants
            // nothing. Of several (the store refuses them), the least counts.
            let value = feature.value(text).unwrap_or_else(|| feature.lowest());
            if exact.as_ref().is_none_or(|(least, _)| !value.at_least(least)) {
                exact = Some((value, Origin::Override(*index)));
            }
        }
    }
    best = exact.unwrap_or(best);
    match all.iter().find(|(_, exception)| exception.effect == Effect::Deny) {
        Some((index, _)) => (feature.lowest(), Origin::Override(*index)),
        None => best,
    }
}

/// The last boundary up to now and the first after it: in between, the answer does not change.
fn boundaries(tenant: &TenantRecord, now: SystemTime) -> (Option<SystemTime>, Option<SystemTime>) {
    let licenses = tenant.licenses.iter().flat_map(|license| {
        [
            Some(license.starts_at),
            license.ends_at,
            license.grace_ends_at(),
            license.suspended_at,
            license.revoked_at,
        ]
    });
    let overrides = tenant
        .overrides
        .iter()
        .flat_map(|exception| [Some(exception.starts_at), exception.ends_at, exception.revoked_at]);
    let mut since = None;
    let mut until = None;
    for boundary in licenses.chain(overrides).flatten() {
        if boundary <= now {
            since = since.max(Some(boundary));
        } else if until.is_none_or(|until| boundary < until) {
            until = Some(boundary);
        }
    }
    (since, until)
}

impl Feature {
    /// Reads a value of the same feature in another catalog; none if the two do not agree.
    pub(crate) fn translate(&self, value: &Value) -> Option<Value> {
        match (&self.kind, value) {
            (FeatureKind::Switch, Value::Switch(_))
            | (FeatureKind::Number(_), Value::Number(_)) => Some(value.clone()),
            (FeatureKind::Level(_), Value::Level { name, .. }) => self.value(name),
            _ => None,
        }
    }
}
