//! The resolution once more, as naive as can be: plain numbers, and the rules as one would say them.

use std::time::{SystemTime, UNIX_EPOCH};

use entitlements::{Effect, License, LicenseKind, Override, State, TenantRecord, TenantStatus};

use super::rows::{FEATURES, VAULT};

/// The matrix as plain numbers, and the first add-on: what the oracle knows.
const WORTH: [[u128; 4]; 6] =
    [[1, 1, 1, 1], [1, 2, 2, 2], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [7, 30, 90, 365]];
const PACK: [u128; 6] = [0, 0, 0, 0, 1, 10];
/// The same of the older catalog, to which some licenses keep.
const WORTH_THEN: [[u128; 4]; 6] =
    [[1, 1, 1, 1], [1, 2, 2, 2], [0, 1, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [14, 14, 60, 700]];
const PACK_THEN: [u128; 6] = [0, 0, 0, 0, 1, 25];

/// What a tenant has: values as plain numbers, and the tier by its rank.
pub(super) struct Told {
    pub(super) state: State,
    pub(super) tier: Option<usize>,
    pub(super) values: [u64; 6],
}

pub(super) fn oracle(tenant: &TenantRecord, now: SystemTime) -> Told {
    let state = state(tenant, now);
    if !matches!(state, State::Active | State::Grace) {
        return Told { state, tier: None, values: [0; 6] };
    }
    let mut tier = None;
    let mut best = [0; 6];
    for license in counting(tenant, now).filter(|it| it.kind != LicenseKind::Addon) {
        tier = tier.max(rank(license));
        let worth = worth(license).unwrap_or_default();
        for feature in 0..6 {
            best[feature] = best[feature].max(worth[feature]);
        }
    }
    for license in counting(tenant, now).filter(|it| it.kind == LicenseKind::Addon) {
        let worth = worth(license).unwrap_or_default();
        best[4] = best[4].max(worth[4]);
        best[5] += worth[5];
    }
    for (feature, best) in best.iter_mut().enumerate() {
        // Sums stop where numbers stop; overrides come after that.
        *best = (*best).min(u64::MAX.into());
        let effects = || in_force(tenant, feature, now).map(|it| &it.effect);
        for effect in effects() {
            if let Effect::Raise(text) = effect {
                *best = number(text).unwrap_or(0).max(*best);
            }
        }
        let set = effects().filter_map(|effect| match effect {
            Effect::Set(text) => Some(number(text).unwrap_or(0)),
            _ => None,
        });
        *best = set.min().unwrap_or(*best);
        if effects().any(|effect| *effect == Effect::Deny) {
            *best = 0;
        }
    }
    let values = best.map(|value| u64::try_from(value).expect("it was cut"));
    Told { state, tier, values }
}

/// The licenses that count at the moment, of whatever plan.
pub(super) fn counting(tenant: &TenantRecord, now: SystemTime) -> impl Iterator<Item = &License> {
    tenant.licenses.iter().filter(move |it| matches!(word(it, now), "active" | "grace"))
}

/// The overrides that hold at the moment.
pub(super) fn in_force(
    tenant: &TenantRecord,
    feature: usize,
    now: SystemTime,
) -> impl Iterator<Item = &Override> {
    let overrides = tenant.overrides.iter();
    overrides.filter(move |it| {
        it.feature.as_str() == FEATURES[feature]
            && it.starts_at <= now
            && !has_come(it.ends_at, now)
            && !has_come(it.revoked_at, now)
    })
}

/// How a license stands, in a word.
pub(super) fn word(license: &License, now: SystemTime) -> &'static str {
    let begun = license.starts_at <= now;
    if has_come(license.revoked_at, now) {
        "revoked"
    } else if over(license).is_some_and(|over| over <= seconds(now)) {
        "over"
    } else if has_come(license.suspended_at, now) {
        if begun { "suspended" } else { "suspended before it begins" }
    } else if !begun {
        "to come"
    } else if has_come(license.ends_at, now) {
        "grace"
    } else {
        "active"
    }
}

fn state(tenant: &TenantRecord, now: SystemTime) -> State {
    match tenant.status {
        TenantStatus::Closed => return State::TenantClosed,
        TenantStatus::Suspended => return State::TenantSuspended,
        TenantStatus::Active => {}
    }
    // Add-ons alone say nothing about a tenant.
    let plans = || tenant.licenses.iter().filter(|it| it.kind != LicenseKind::Addon);
    let any = |wanted: &str| plans().any(|it| word(it, now) == wanted);
    let known = |wanted: &str| plans().any(|it| word(it, now) == wanted && worth(it).is_some());
    if known("active") {
        return State::Active;
    }
    if known("grace") {
        return State::Grace;
    }
    if any("active") || any("grace") {
        return State::UnknownPlan;
    }
    if any("suspended") {
        return State::LicenseSuspended;
    }
    if any("to come") {
        return State::NotYetValid;
    }
    if any("suspended before it begins") {
        return State::LicenseSuspended;
    }
    // What is left is over or revoked: what happened last is told.
    let last = plans().max_by_key(|it| (gone(it, now), &it.id));
    match last {
        Some(license) if word(license, now) == "revoked" => State::LicenseRevoked,
        Some(_) => State::Expired,
        None => State::NoLicense,
    }
}

/// When a license that is gone went.
fn gone(license: &License, now: SystemTime) -> Option<u128> {
    match word(license, now) {
        "revoked" => license.revoked_at.map(seconds),
        _ => over(license),
    }
}

/// The second at which the license and its grace are over.
fn over(license: &License) -> Option<u128> {
    let grace = if license.kind == LicenseKind::Trial { 0 } else { license.grace.as_secs() };
    license.ends_at.map(|end| seconds(end) + u128::from(grace))
}

/// What one license is worth; nothing if nobody knows its plan.
pub(super) fn worth(license: &License) -> Option<[u128; 6]> {
    let then = license.pin.as_ref().is_some_and(|pin| pin.catalog.is_some());
    if license.kind != LicenseKind::Addon {
        let matrix = if then { WORTH_THEN } else { WORTH };
        return rank(license).map(|rank| matrix.map(|row| row[rank]));
    }
    let mut worth = match license.plan.as_str() {
        _ if is_lost(license) => return None,
        "pack" => {
            if then {
                PACK_THEN
            } else {
                PACK
            }
        }
        "vault" => [0, 0, 0, 0, 0, VAULT.into()],
        _ => return None,
    };
    worth[5] *= u128::from(license.quantity);
    Some(worth)
}

fn rank(license: &License) -> Option<usize> {
    match license.plan.as_str() {
        _ if is_lost(license) => None,
        "low" => Some(0),
        "mid" | "silver" => Some(1),
        "high" => Some(2),
        "business" => Some(3),
        _ => None,
    }
}

/// Sold under a catalog that nobody has any more.
fn is_lost(license: &License) -> bool {
    license.pin.as_ref().is_some_and(|pin| pin.digest == "lost")
}

pub(super) fn number(text: &str) -> Option<u128> {
    match text {
        "yes" | "limited" => Some(1),
        "full" => Some(2),
        "no" | "off" => Some(0),
        text => text.parse().ok(),
    }
}

fn has_come(moment: Option<SystemTime>, now: SystemTime) -> bool {
    moment.is_some_and(|moment| moment <= now)
}

fn seconds(moment: SystemTime) -> u128 {
    moment.duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs().into()
}
