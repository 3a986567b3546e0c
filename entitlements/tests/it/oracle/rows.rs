//! Random tenants, and the plans that they hold.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entitlements::testing::{PLANS, license};
use entitlements::{
    Catalog, Effect, License, LicenseKind, Override, Pin, TenantRecord, TenantStatus,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const PLANS_HELD: [&str; 6] = ["low", "mid", "high", "business", "silver", "platinum"];
pub(super) const FEATURES: [&str; 6] = [
    "topology_graph",
    "payload_lineage",
    "cross_service_correlation",
    "live_route_debugger",
    "exchange_replay",
    "retention_days",
];

pub(super) fn catalog() -> Catalog {
    static CURRENT: LazyLock<Catalog> = LazyLock::new(|| catalog_of(PLANS, 10));
    CURRENT.clone()
}

/// Half of what a number can be: two of them are all of it, and a third must not turn it over.
pub(super) const VAULT: u64 = u64::MAX / 2 + 1;

/// What was sold before: other numbers, and replay for everybody.
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
        "{plans}\n[addons.pack]\nexchange_replay = \"yes\"\nretention_days = {pack}\n\
         [addons.vault]\nretention_days = {VAULT}\n[aliases]\nsilver = \"mid\"\n"
    );
    Catalog::parse(&text).expect("it is right")
}

pub(super) fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000 + second)
}

pub(super) fn a_license() -> impl Strategy<Value = License> {
    let times = prop_oneof![9 => 1..4_u32, 1 => Just(u32::MAX)];
    let plan = (0..4_u8, 0..6_usize, times, 0..8_u8);
    // The greatest are past all that a clock can say.
    let grace = prop_oneof![
        8 => 0..6_u64,
        1 => prop::sample::select(vec![1 << 40, i64::MAX as u64, u64::MAX]),
    ];
    let period = (0..20_u64, option::of(1..12_u64), grace);
    let fate = (option::weighted(0.2, 0..25_u64), option::weighted(0.2, 0..25_u64));
    (plan, period, fate).prop_map(|((kind, plan, times, pin), (start, length, grace), fate)| {
        let (kind, plan, quantity) = match kind {
            0 => (LicenseKind::Trial, PLANS_HELD[plan], 1),
            1 => {
                let plan = ["pack", "pack", "pack", "pack", "vault", "no_pack"][plan];
                (LicenseKind::Addon, plan, times)
            }
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
            5 => if value == 3 { u64::MAX } else { value * 40 }.to_string(),
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

pub(super) fn a_tenant() -> impl Strategy<Value = TenantRecord> {
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
