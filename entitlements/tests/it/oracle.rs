//! The resolution against a naive oracle, and the laws it must keep.
//!
//! `PROPTEST_CASES=1000000 cargo test -p entitlements --test it oracle` asks a million questions.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entitlements::testing::{PLANS, license};
use entitlements::{
    Catalog, Effect, EntitlementSet, License, LicenseKind, OnExpiry, Override, Pin, State,
    TenantRecord, TenantStatus, Value, resolve,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const PLANS_HELD: [&str; 6] = ["low", "mid", "high", "business", "silver", "platinum"];
const FEATURES: [&str; 6] = [
    "topology_graph",
    "payload_lineage",
    "cross_service_correlation",
    "live_route_debugger",
    "exchange_replay",
    "retention_days",
];
/// The matrix as plain numbers, and the two add-ons: what the oracle knows.
const WORTH: [[u64; 4]; 6] =
    [[1, 1, 1, 1], [1, 2, 2, 2], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [7, 30, 90, 365]];
const PACK: [u64; 6] = [0, 0, 0, 0, 1, 10];
/// The same of the older catalog, to which some licenses keep.
const WORTH_THEN: [[u64; 4]; 6] =
    [[1, 1, 1, 1], [1, 2, 2, 2], [0, 1, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [14, 14, 60, 700]];
const PACK_THEN: [u64; 6] = [0, 0, 0, 0, 1, 25];

fn catalog() -> Catalog {
    static CURRENT: LazyLock<Catalog> = LazyLock::new(|| catalog_of(PLANS, 10));
    CURRENT.clone()
}

/// What was sold before: other numbers, replay for everybody, and no alias.
fn older() -> Catalog {
    static OLDER: LazyLock<Catalog> = LazyLock::new(|| {
        let text = PLANS.replace("[7,         30,     90,     365]", "[14, 14, 60, 700]").replace(
            "exchange_replay           = [\"no\",      \"no\",",
            "exchange_replay           = [\"yes\",     \"yes\",",
        );
        catalog_of(&text, 25)
    });
    OLDER.clone()
}

fn catalog_of(plans: &str, pack: u64) -> Catalog {
    let text = format!(
        "{plans}\n[addons.pack]\nexchange_replay = \"yes\"\nretention_days = {pack}\n[aliases]\nsilver = \"mid\"\n"
    );
    Catalog::parse(&text).expect("it is right")
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000 + second)
}

fn a_license() -> impl Strategy<Value = License> {
    let plan = (0..4_u8, 0..6_usize, 1..4_u32, 0..8_u8);
    let period = (0..20_u64, option::of(1..12_u64), 0..6_u64);
    let fate = (option::weighted(0.2, 0..25_u64), option::weighted(0.2, 0..25_u64));
    (plan, period, fate).prop_map(|((kind, plan, times, pin), (start, length, grace), fate)| {
        let (kind, plan, quantity) = match kind {
            0 => (LicenseKind::Trial, PLANS_HELD[plan], 1),
            1 => (LicenseKind::Addon, if plan == 5 { "no_pack" } else { "pack" }, times),
            _ => (LicenseKind::Base, PLANS_HELD[plan], 1),
        };
        License {
            kind,
            quantity,
            pin: match pin {
                0 => Some(Pin { digest: "lost".to_owned(), catalog: None }),
                1 => Some(Pin { digest: catalog().digest().to_owned(), catalog: None }),
                2 | 3 => Some(Pin { digest: older().digest().to_owned(), catalog: Some(older()) }),
                _ => None,
            },
            starts_at: at(start),
            ends_at: length.map(|length| at(start + length)),
            grace: Duration::from_secs(grace),
            revoked_at: fate.0.map(at),
            suspended_at: fate.1.map(at),
            ..license("", plan)
        }
    })
}

fn an_override() -> impl Strategy<Value = Override> {
    let effect = (0..4_u8, 0..6_usize, 0..4_u64);
    let period = (0..20_u64, option::of(1..12_u64), option::weighted(0.2, 0..25_u64));
    (effect, period).prop_map(|((effect, feature, value), (start, length, revoked))| {
        let text = match feature {
            1 => ["off", "limited", "full", "gone"][usize::try_from(value).expect("it is small")]
                .to_owned(),
            5 => (value * 40).to_string(),
            _ => ["no", "yes", "no", "maybe"][usize::try_from(value).expect("it is small")]
                .to_owned(),
        };
        Override {
            id: String::new(),
            feature: FEATURES[feature].parse().expect("it is a feature"),
            effect: match effect {
                0 => Effect::Deny,
                1 => Effect::Set(text),
                _ => Effect::Raise(text),
            },
            starts_at: at(start),
            ends_at: length.map(|length| at(start + length)),
            reason: "because of the test".to_owned(),
            ticket: None,
            created_by: "test".to_owned(),
            revoked_at: revoked.map(at),
        }
    })
}

fn a_tenant() -> impl Strategy<Value = TenantRecord> {
    let status = prop_oneof![
        8 => Just(TenantStatus::Active),
        1 => Just(TenantStatus::Suspended),
        1 => Just(TenantStatus::Closed),
    ];
    (status, vec(a_license(), 0..5), vec(an_override(), 0..4)).prop_map(
        |(status, mut licenses, mut overrides)| {
            for (index, license) in licenses.iter_mut().enumerate() {
                license.id = format!("lic_{index}");
            }
            for (index, exception) in overrides.iter_mut().enumerate() {
                exception.id = format!("ovr_{index}");
            }
            TenantRecord {
                id: "acme".parse().expect("it is a tenant id"),
                name: "Acme".to_owned(),
                status,
                status_reason: None,
                revision: 1,
                licenses,
                overrides,
            }
        },
    )
}

/// What the tenant has, as plain numbers, written down as the documentation says it.
fn oracle(tenant: &TenantRecord, now: SystemTime) -> ([u64; 6], bool, Option<usize>) {
    let usable = |license: &License| {
        let gone = |moment: Option<SystemTime>| moment.is_some_and(|moment| moment <= now);
        let grace = if license.kind == LicenseKind::Trial { Duration::ZERO } else { license.grace };
        let ended = license.ends_at.is_some_and(|end| end + grace <= now);
        !gone(license.revoked_at)
            && !gone(license.suspended_at)
            && license.starts_at <= now
            && !ended
    };
    let lost = |license: &License| license.pin.as_ref().is_some_and(|pin| pin.digest == "lost");
    let then = |license: &License| license.pin.as_ref().is_some_and(|pin| pin.catalog.is_some());
    let rank = |license: &License| match license.plan.as_str() {
        _ if lost(license) => None,
        "low" => Some(0),
        "mid" | "silver" => Some(1),
        "high" => Some(2),
        "business" => Some(3),
        _ => None,
    };
    let mut best = [0; 6];
    let mut tier = None;
    if tenant.status == TenantStatus::Active {
        for license in tenant.licenses.iter().filter(|l| l.kind != LicenseKind::Addon && usable(l))
        {
            if let Some(rank) = rank(license) {
                tier = tier.max(Some(rank));
                let worth = if then(license) { WORTH_THEN } else { WORTH };
                for feature in 0..6 {
                    best[feature] = best[feature].max(worth[feature][rank]);
                }
            }
        }
    }
    if tier.is_none() {
        return ([0; 6], false, None);
    }
    for pack in tenant.licenses.iter().filter(|l| l.kind == LicenseKind::Addon && usable(l)) {
        if pack.plan == "pack" && !lost(pack) {
            let worth = if then(pack) { PACK_THEN } else { PACK };
            best[4] = best[4].max(worth[4]);
            best[5] += worth[5] * u64::from(pack.quantity);
        }
    }
    let number = |text: &str| match text {
        "yes" | "limited" => Some(1),
        "full" => Some(2),
        "no" | "off" => Some(0),
        text => text.parse().ok(),
    };
    for (feature, best) in best.iter_mut().enumerate() {
        let holding: Vec<_> = tenant
            .overrides
            .iter()
            .filter(|o| o.feature.as_str() == FEATURES[feature])
            .filter(|o| o.starts_at <= now && o.ends_at.is_none_or(|end| now < end))
            .filter(|o| o.revoked_at.is_none_or(|moment| now < moment))
            .map(|o| &o.effect)
            .collect();
        let raised = holding.iter().filter_map(|effect| match effect {
            Effect::Raise(text) => number(text),
            _ => None,
        });
        *best = raised.max().unwrap_or(0).max(*best);
        let set = holding.iter().filter_map(|effect| match effect {
            Effect::Set(text) => Some(number(text).unwrap_or(0)),
            _ => None,
        });
        *best = set.min().unwrap_or(*best);
        if holding.contains(&&Effect::Deny) {
            *best = 0;
        }
    }
    (best, true, tier)
}

fn numbers(set: &EntitlementSet) -> Vec<u64> {
    let number = |value: &Value| match value {
        Value::Switch(on) => u64::from(*on),
        Value::Level { rank, .. } => u64::from(*rank),
        Value::Number(number) => *number,
    };
    set.features().map(|(_, value)| number(value)).collect()
}

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
        let (expected, usable, tier) = oracle(&tenant, at(now));
        prop_assert_eq!(numbers(&set), expected.to_vec());
        prop_assert_eq!(set.usable().is_ok(), usable);
        let tier = tier.map(|rank| catalog.tiers()[rank].name());
        prop_assert_eq!(set.tier(), tier);
        // What is told agrees with what is answered.
        prop_assert_eq!(set.explain().len(), 6);
        prop_assert_eq!(catalog.terms().on_expiry, OnExpiry::Lowest);
        prop_assert_eq!(set.admitted().is_ok(), tenant.status == TenantStatus::Active);
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
