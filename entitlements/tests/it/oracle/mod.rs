//! The resolution against a naive oracle, and the laws it must keep.
//!
//! `PROPTEST_CASES=1000000 cargo test -p entitlements --test it oracle` asks a million questions.

mod naive;
mod rows;

use std::time::{Duration, SystemTime};

use entitlements::testing::license;
use entitlements::{
    Effect, EntitlementSet, License, LicenseKind, OnExpiry, State, TenantRecord, TenantStatus,
    Value, resolve,
};
use proptest::prelude::*;

use naive::{counting, in_force, oracle, word, worth};
use rows::{FEATURES, a_license, a_tenant, at, catalog};

fn numbers(set: &EntitlementSet) -> Vec<u64> {
    set.features().map(|(_, value)| number(value)).collect()
}

fn number(value: &Value) -> u64 {
    match value {
        Value::Switch(on) => u64::from(*on),
        Value::Level { rank, .. } => u64::from(*rank),
        Value::Number(number) => *number,
    }
}

/// The id in a sentence that begins with these words.
fn named<'a>(sentence: &'a str, words: &str) -> Option<&'a str> {
    sentence.strip_prefix(words)?.split([' ', '`']).next()
}

/// A license that is in the way, or on its way: what the state is told to be for.
fn fits(state: State, license: &License, now: SystemTime) -> bool {
    let word = word(license, now);
    let expected: &[&str] = match state {
        State::Active | State::Grace | State::UnknownPlan => &["active", "grace"],
        State::Expired => &["over"],
        State::NotYetValid => &["to come"],
        State::LicenseSuspended => &["suspended", "suspended before it begins"],
        State::LicenseRevoked => &["revoked"],
        State::NoLicense | State::TenantSuspended | State::TenantClosed => &[],
    };
    license.kind != LicenseKind::Addon && expected.contains(&word)
}

/// The tenant with one more license, which has neither beginning nor end.
fn with_one_more(tenant: &TenantRecord, kind: LicenseKind, plan: &str) -> TenantRecord {
    let mut richer = tenant.clone();
    richer.licenses.push(License { kind, ..license("lic_more", plan) });
    richer
}

/// What can be bought, the cheapest tier first and add-ons last, and how it is named.
const OFFERS: [(&str, LicenseKind, &str); 6] = [
    ("low", LicenseKind::Base, "low"),
    ("mid", LicenseKind::Base, "mid"),
    ("high", LicenseKind::Base, "high"),
    ("business", LicenseKind::Base, "business"),
    ("pack", LicenseKind::Addon, "addon:pack"),
    ("vault", LicenseKind::Addon, "addon:vault"),
];

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(2_000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_oracle_agrees(tenant in a_tenant(), now in 0..30_u64) {
        let catalog = catalog();
        let set = resolve(&catalog, &tenant, at(now));
        let expected = oracle(&tenant, at(now));
        prop_assert_eq!(set.state(), expected.state);
        prop_assert_eq!(numbers(&set), expected.values.to_vec());
        let tier = expected.tier.map(|rank| catalog.tiers()[rank].name());
        prop_assert_eq!(set.tier(), tier);
        let usable = matches!(expected.state, State::Active | State::Grace);
        prop_assert_eq!(set.usable().is_ok(), usable);
        prop_assert_eq!(catalog.terms().on_expiry, OnExpiry::Lowest);
        prop_assert_eq!(set.admitted().is_ok(), tenant.status == TenantStatus::Active);
    }

    #[test]
    fn every_value_comes_from_the_row_that_is_named(tenant in a_tenant(), now in 0..30_u64) {
        let now = at(now);
        let set = resolve(&catalog(), &tenant, now);
        let explained = set.explain();
        prop_assert_eq!(explained.len(), 6);
        for (feature, row) in explained.iter().enumerate() {
            prop_assert_eq!(row.feature.as_str(), FEATURES[feature]);
            prop_assert_eq!(number(&row.value), numbers(&set)[feature]);
            let value = u128::from(number(&row.value));
            let (from, telling) = (row.from.as_str(), format!("{row:?}"));
            if !set.state().is_usable() {
                prop_assert_eq!(value, 0);
                match named(from, "license `") {
                    Some(id) => {
                        let license = tenant.licenses.iter().find(|it| it.id == id);
                        let right = license.is_some_and(|it| fits(set.state(), it, now));
                        prop_assert!(right, "{telling}");
                    }
                    None => prop_assert!(from.starts_with("tenant `acme`"), "{telling}"),
                }
            } else if let Some(id) = named(from, "license ") {
                let license = counting(&tenant, now).find(|it| it.id == id);
                let worth = license.and_then(worth).map(|worth| worth[feature]);
                match license.map(|it| it.kind) {
                    // It adds to what the others give.
                    Some(LicenseKind::Addon) if feature == 5 => {
                        prop_assert!(worth.is_some_and(|it| 0 < it), "{telling}");
                    }
                    _ => prop_assert_eq!(worth, Some(value), "{}", telling),
                }
            } else if let Some(id) = named(from, "override ") {
                let found = in_force(&tenant, feature, now).find(|it| it.id == id);
                let given = found.map(|it| match &it.effect {
                    Effect::Deny => 0,
                    Effect::Raise(text) | Effect::Set(text) => naive::number(text).unwrap_or(0),
                });
                prop_assert_eq!(given, Some(value), "{}", telling);
            } else {
                prop_assert_eq!((from, value), ("no license gives it", 0));
                let mut worth = counting(&tenant, now).filter_map(worth);
                prop_assert!(worth.all(|it| it[feature] == 0), "{telling}");
            }
        }
    }

    #[test]
    fn what_is_said_to_unlock_more_does_so_and_nothing_else(
        tenant in a_tenant(),
        now in 0..30_u64,
    ) {
        let (catalog, now) = (catalog(), at(now));
        let set = resolve(&catalog, &tenant, now);
        for (plan, kind, name) in OFFERS {
            let richer = oracle(&with_one_more(&tenant, kind, plan), now);
            for (feature, row) in set.explain().iter().enumerate() {
                let (less, more) = (numbers(&set)[feature], richer.values[feature]);
                let said = row.unlocked_by.iter().any(|it| it == name);
                prop_assert_eq!(said, less < more, "{} of {:?}: {} to {}", name, row, less, more);
            }
        }
    }

    #[test]
    fn a_refusal_names_the_offers_with_which_it_would_be_granted(
        tenant in a_tenant(),
        now in 0..30_u64,
    ) {
        let (catalog, now) = (catalog(), at(now));
        let set = resolve(&catalog, &tenant, now);
        let richer = OFFERS.map(|(plan, kind, name)| {
            (name, resolve(&catalog, &with_one_more(&tenant, kind, plan), now))
        });
        let days = [1, 15, 40, 100, 1_000, u64::MAX].map(|it| format!("retention_days={it}"));
        let levels = ["payload_lineage=limited", "payload_lineage=full"].map(str::to_owned);
        for need in FEATURES.map(str::to_owned).into_iter().chain(levels).chain(days) {
            let need = catalog.need(&need).expect("it is known");
            let Err(refusal) = set.require(&need) else { continue };
            let would_do = richer.iter().filter(|(_, set)| set.require(&need).is_ok());
            let would_do: Vec<_> = would_do.map(|(name, _)| *name).collect();
            prop_assert_eq!(&refusal.unlocked_by, &would_do, "{} of {:?}", need, set);
        }
    }

    #[test]
    fn the_next_boundary_stands_in_a_row(tenant in a_tenant(), now in 0..30_u64) {
        let Some(until) = resolve(&catalog(), &tenant, at(now)).valid_until() else { return Ok(()) };
        prop_assert!(at(now) < until);
        let of_licenses = tenant.licenses.iter().flat_map(|it| {
            let grace = if it.kind == LicenseKind::Trial { Duration::ZERO } else { it.grace };
            let over = it.ends_at.and_then(|end| end.checked_add(grace));
            [Some(it.starts_at), it.ends_at, over, it.suspended_at, it.revoked_at]
        });
        let of_overrides =
            tenant.overrides.iter().flat_map(|it| [Some(it.starts_at), it.ends_at, it.revoked_at]);
        prop_assert!(of_licenses.chain(of_overrides).any(|moment| moment == Some(until)));
    }

    #[test]
    fn nothing_changes_before_the_boundary(tenant in a_tenant(), now in 0..30_u64) {
        let catalog = catalog();
        let told = |second: u64| {
            let set = resolve(&catalog, &tenant, at(second));
            let from: Vec<_> = set.explain().iter().map(|row| row.from.clone()).collect();
            (set.state(), set.tier().map(str::to_owned), numbers(&set), from, set.valid_until())
        };
        let first = told(now);
        let until = first.4;
        for later in (now..40).take_while(|second| until.is_none_or(|until| at(*second) < until)) {
            prop_assert_eq!(told(later), first.clone());
        }
    }

    #[test]
    fn the_order_of_rows_decides_nothing(
        (tenant, turned) in a_tenant().prop_flat_map(|tenant| {
            let rows = (
                Just(tenant.licenses.clone()).prop_shuffle(),
                Just(tenant.overrides.clone()).prop_shuffle(),
            );
            rows.prop_map(move |(licenses, overrides)| {
                (tenant.clone(), TenantRecord { licenses, overrides, ..tenant.clone() })
            })
        }),
        now in 0..30_u64,
    ) {
        let catalog = catalog();
        let set = resolve(&catalog, &tenant, at(now));
        let other = resolve(&catalog, &turned, at(now));
        prop_assert_eq!(set.explain(), other.explain());
        prop_assert_eq!((set.state(), set.tier()), (other.state(), other.tier()));
        prop_assert_eq!(set.usable(), other.usable());
        prop_assert_eq!(set.valid_until(), other.valid_until());
    }

    #[test]
    fn one_more_offer_takes_nothing_away(
        tenant in a_tenant(),
        more in a_license(),
        now in 0..30_u64,
    ) {
        let catalog = catalog();
        let before = resolve(&catalog, &tenant, at(now));
        let mut richer = tenant;
        richer.licenses.push(License { id: "lic_more".to_owned(), ..more });
        let after = resolve(&catalog, &richer, at(now));
        prop_assert!(before.usable().is_err() || after.usable().is_ok());
        // An exact override holds only for whom a license serves, so that it may take away what
        // was never there; without one, nothing shrinks.
        if before.state().is_usable() || after.state() == before.state() {
            for (less, more) in numbers(&before).iter().zip(numbers(&after)) {
                prop_assert!(*less <= more, "{:?} {:?}", numbers(&before), numbers(&after));
            }
        }
    }

    #[test]
    fn a_tenant_that_is_not_served_has_nothing(tenant in a_tenant(), now in 0..30_u64) {
        let set = resolve(&catalog(), &tenant, at(now));
        if !set.state().is_usable() {
            prop_assert!(set.features().all(|(_, value)| value.is_lowest()));
            prop_assert_eq!(set.tier(), None);
            prop_assert!(set.state() != State::Active);
        }
    }
}
