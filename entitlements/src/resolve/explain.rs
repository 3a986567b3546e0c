//! Which row decided, and what would unlock more.

use super::set::{EntitlementSet, NotEntitled, Parts};
use super::{Origin, State, offers};
use crate::catalog::{Catalog, Need};
use crate::model::{
    Effect, FeatureKey, License, LicenseKind, Standing, TenantRecord, Value, format_time,
};
use crate::reason::Reason;

/// Where the value of one feature comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provenance {
    /// The feature.
    pub feature: FeatureKey,
    /// Its value.
    pub value: Value,
    /// What decided: a license, an override, or the tenant's state.
    pub from: String,
    /// Tiers, the cheapest first, and add-ons (`addon:NAME`) of which one more, without end, would
    /// give the tenant more as of now; empty at the highest, and where none would help.
    pub unlocked_by: Vec<String>,
}

pub(super) fn provenance(set: &EntitlementSet) -> Vec<Provenance> {
    let parts = set.parts();
    let offers = offers::taken(parts, 0..parts.values.len());
    let features = parts.catalog.features().iter();
    features
        .zip(&parts.values)
        .zip(&parts.origins)
        .enumerate()
        .map(|(position, ((feature, value), origin))| Provenance {
            feature: feature.key.clone(),
            value: value.clone(),
            from: origin_in_words(parts, position, *origin),
            unlocked_by: offers
                .iter()
                .filter(|offer| !value.at_least(&offer.values[position]))
                .map(|offer| offer.name.clone())
                .collect(),
        })
        .collect()
}

/// The answer to a need that is not met.
pub(super) fn denial(set: &EntitlementSet, need: &Need) -> NotEntitled {
    let parts = set.parts();
    let key = need.feature();
    let current = &parts.values[need.position];
    let origin = parts.origins[need.position];
    let offers = offers::taken(parts, need.position..need.position + 1).into_iter();
    let enough = offers.filter(|offer| offer.values.iter().any(|value| need.satisfied_by(value)));
    let unlocked_by: Vec<_> = enough.map(|offer| offer.name).collect();
    let tenant = &parts.tenant.id;
    let (reason, mut detail, cause) = match (parts.state.reason(), origin) {
        (Some(reason), _) => (reason, state_in_words(parts), state_cause(parts)),
        (None, Origin::Override(index)) if takes_away(&parts.tenant, index) => {
            let detail = format!("`{key}` is `{current}` for tenant `{tenant}` by an exception");
            let cause = origin_in_words(parts, need.position, origin);
            (Reason::OverrideDeny, detail, Some(cause))
        }
        (None, _) => {
            let tier = parts.tier.as_deref().unwrap_or("none");
            if current.is_lowest() {
                let detail = format!("tier `{tier}` of tenant `{tenant}` does not include `{key}`");
                (Reason::NotInPlan, detail, None)
            } else {
                let least = need.minimum();
                let detail = format!(
                    "`{key}` is `{current}` in tier `{tier}` of tenant `{tenant}`, `{least}` is needed"
                );
                (Reason::LevelTooLow, detail, None)
            }
        }
    };
    if parts.state.is_usable() && !unlocked_by.is_empty() {
        detail.push_str("; it comes with ");
        detail.push_str(&in_words(&unlocked_by));
    }
    NotEntitled {
        reason,
        feature: Some(key.clone()),
        required: Some(need.minimum().to_string().into()),
        current: Some(current.to_string().into()),
        unlocked_by,
        detail,
        cause: cause.map(Into::into),
    }
}

/// The answer of a tenant that is not served.
pub(super) fn unusable(set: &EntitlementSet, reason: Reason) -> NotEntitled {
    NotEntitled {
        reason,
        feature: None,
        required: None,
        current: None,
        unlocked_by: Vec::new(),
        detail: state_in_words(set.parts()),
        cause: state_cause(set.parts()).map(Into::into),
    }
}

/// What an operator wrote about the state. The tenant is told that it is so, not this.
fn state_cause(parts: &Parts) -> Option<String> {
    match (parts.state, parts.blamed.map(|index| &parts.tenant.licenses[index])) {
        (State::TenantSuspended | State::TenantClosed, _) => parts.tenant.status_reason.clone(),
        (State::LicenseSuspended | State::LicenseRevoked, Some(license)) => {
            license.status_reason.clone()
        }
        _ => None,
    }
}

fn state_in_words(parts: &Parts) -> String {
    let tenant = &parts.tenant;
    let id = &tenant.id;
    let license = parts.blamed.map(|index| &tenant.licenses[index]);
    match (parts.state, license) {
        (State::TenantSuspended, _) => format!("tenant `{id}` is suspended"),
        (State::TenantClosed, _) => format!("tenant `{id}` is closed"),
        (State::Active | State::Grace, Some(license)) => {
            format!("tenant `{id}` has {}", license_in_words(license, Standing::Active))
        }
        (State::Expired, Some(license)) => {
            let end = license.ends_at.map(format_time).unwrap_or_default();
            let grace =
                match license.grace_ends_at().filter(|_| !license.effective_grace().is_zero()) {
                    Some(end) => format!(", its grace at {}", format_time(end)),
                    None => String::new(),
                };
            format!("license `{}` of tenant `{id}` ended at {end}{grace}", license.id)
        }
        (State::NotYetValid, Some(license)) => format!(
            "license `{}` of tenant `{id}` starts at {}",
            license.id,
            format_time(license.starts_at)
        ),
        (State::LicenseSuspended, Some(license)) => {
            format!("license `{}` of tenant `{id}` is suspended", license.id)
        }
        (State::LicenseRevoked, Some(license)) => {
            let at = license.revoked_at.map(format_time).unwrap_or_default();
            format!("license `{}` of tenant `{id}` was revoked at {at}", license.id)
        }
        (State::UnknownPlan, Some(license)) => format!(
            "license `{}` of tenant `{id}` names the plan `{}`, which {} does not know",
            license.id,
            license.plan,
            catalog_in_words(license, &parts.catalog)
        ),
        (_, _) => format!("tenant `{id}` has no license"),
    }
}

fn origin_in_words(parts: &Parts, position: usize, origin: Origin) -> String {
    let tenant = &parts.tenant;
    match origin {
        Origin::State => match state_cause(parts) {
            Some(cause) => format!("{} ({cause})", state_in_words(parts)),
            None => state_in_words(parts),
        },
        Origin::Nothing => "no license gives it".to_owned(),
        Origin::License(index, standing) => {
            let license = &tenant.licenses[index];
            let words = license_in_words(license, standing);
            match (license.kind, &parts.values[position]) {
                (LicenseKind::Addon, Value::Number(_)) => {
                    format!("{words}, on top of what else there is")
                }
                _ => words,
            }
        }
        Origin::Override(index) => {
            let exception = &tenant.overrides[index];
            let unread = match exception.effect.value() {
                Some(text) if parts.catalog.features()[position].value(text).is_none() => {
                    " (a value that the catalog does not know)"
                }
                _ => "",
            };
            let end = match exception.ends_at {
                Some(end) => format!(" until {}", format_time(end)),
                None => String::new(),
            };
            format!(
                "override {} ({}{unread}) by {}{end} because {}",
                exception.id, exception.effect, exception.created_by, exception.reason
            )
        }
    }
}

/// Everything that the resolution looked at, whether or not it counted.
pub(super) fn rows_in_words(parts: &Parts) -> Vec<String> {
    let period = |start, end: Option<_>| match end {
        Some(end) => format!("{} to {}", format_time(start), format_time(end)),
        None => format!("from {}", format_time(start)),
    };
    let licenses = parts.tenant.licenses.iter().map(|license| {
        let standing = license.standing(parts.at);
        let when = period(license.starts_at, license.ends_at);
        format!("{}: {standing}, {when}", license_in_words(license, standing))
    });
    let overrides = parts.tenant.overrides.iter().map(|it| {
        let standing = if it.holds(parts.at) { "in force" } else { "not in force" };
        let (key, when) = (&it.feature, period(it.starts_at, it.ends_at));
        format!("override {} ({} for {key}): {standing}, {when}", it.id, it.effect)
    });
    licenses.chain(overrides).collect()
}

fn license_in_words(license: &License, standing: Standing) -> String {
    let plan = &license.plan;
    let what = match license.kind {
        LicenseKind::Base => format!("tier {plan}"),
        LicenseKind::Trial => format!("trial of tier {plan}"),
        LicenseKind::Addon if license.quantity > 1 => {
            format!("add-on {plan}, {} times", license.quantity)
        }
        LicenseKind::Addon => format!("add-on {plan}"),
    };
    let grace = match (standing, license.grace_ends_at()) {
        (Standing::Grace, Some(end)) => format!(", in grace until {}", format_time(end)),
        _ => String::new(),
    };
    format!("license {} ({what}{grace})", license.id)
}

fn catalog_in_words(license: &License, current: &Catalog) -> String {
    match &license.pin {
        Some(pin) if pin.catalog.is_none() && pin.digest != current.digest() => {
            format!(
                "nobody can look up: its catalog {} is not stored, and the current one",
                pin.digest
            )
        }
        Some(pin) => format!("its catalog {}", pin.digest),
        None => format!("catalog `{}`", current.name()),
    }
}

fn takes_away(tenant: &TenantRecord, index: usize) -> bool {
    match tenant.overrides[index].effect {
        Effect::Set(_) | Effect::Deny => true,
        Effect::Raise(_) => false,
    }
}

/// `a`, `b` or `c`.
fn in_words(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}
