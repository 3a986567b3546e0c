//! From SQLite to PostgreSQL and back: nothing is lost.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use entitlements::store::{self, Actor, Change, Mode, Organization, Store};
use entitlements::testing::{PLANS, license};
use entitlements::{
    Catalog, Effect, License, LicenseKind, LicenseSource, Override, Pin, StoreError, TenantId,
    TenantStatus, parse_time,
};

use crate::cluster::Database;

fn id(text: &str) -> TenantId {
    text.parse().expect("it is a tenant id")
}

fn start() -> SystemTime {
    parse_time("2026-11-22T12:00:00.123456Z").expect("it is a time")
}

async fn opened(url: &str) -> Arc<dyn Store> {
    store::open(url, Mode::ReadWrite).await.expect("it can be opened")
}

/// Something of everything, with a history.
async fn lived_in(store: &dyn Store) {
    let plans = Catalog::parse(PLANS).expect("the shipped plans are right");
    let old = Catalog::parse(&PLANS.replacen("7d", "8d", 1)).expect("it is right, too");
    let by = Actor::person("süe");
    for catalog in [&old, &plans] {
        store.publish(catalog, &by, start()).await.expect("it is published");
    }
    let organization = |name: &str| Organization {
        issuer: "https://id.test/oidc".to_owned(),
        id: name.to_owned(),
    };
    let add = |name: &str| Change::AddTenant {
        id: id(name),
        name: format!("{name} — Größe 'n' \"Co\""),
        organizations: vec![organization(&format!("org_{name}"))],
    };
    let exception = |name: &str, end: Option<u64>| Override {
        id: name.to_owned(),
        feature: "exchange_replay".parse().expect("it is a feature"),
        effect: Effect::Raise("yes".to_owned()),
        starts_at: start(),
        ends_at: end.map(|seconds| start() + Duration::from_secs(seconds)),
        reason: "a promise".to_owned(),
        ticket: None,
        created_by: "süe".to_owned(),
        revoked_at: None,
    };
    let why = || "unpaid".to_owned();
    let pin = Some(Pin { digest: old.digest().to_owned(), catalog: None });
    let changes = [
        add("acme"),
        add("globex"),
        add("gone"),
        Change::GrantLicense {
            tenant: id("acme"),
            license: License {
                pin,
                source: LicenseSource::Billing,
                source_ref: Some("sub_1".to_owned()),
                ends_at: Some(start() + Duration::from_hours(1000)),
                grace: Duration::from_hours(24),
                ..license("lic_1", "mid")
            },
        },
        Change::GrantLicense {
            tenant: id("acme"),
            license: License {
                kind: LicenseKind::Trial,
                ends_at: Some(start() + Duration::from_hours(1)),
                ..license("lic_2", "high")
            },
        },
        Change::GrantLicense { tenant: id("globex"), license: license("lic_3", "business") },
        Change::SuspendLicense { license: "lic_3".to_owned(), reason: why() },
        Change::RevokeLicense { license: "lic_2".to_owned(), reason: why() },
        // The revoked one overlaps with the one that took its place, and comes after it by id.
        Change::AddOverride { tenant: id("acme"), exception: exception("ovr_b", Some(10)) },
        Change::RevokeOverride { id: "ovr_b".to_owned(), reason: "over".to_owned() },
        Change::AddOverride { tenant: id("acme"), exception: exception("ovr_a", None) },
        Change::UnmapOrganization { organization: organization("org_gone") },
        Change::SetTenantStatus {
            tenant: id("gone"),
            status: TenantStatus::Closed,
            reason: Some(why()),
        },
    ];
    for (second, change) in (0..).zip(&changes) {
        let at = start() + Duration::from_secs(second);
        store.apply(change, &by, at).await.expect("it is applied");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn from_sqlite_to_postgres_and_back() {
    let folder = tempfile::tempdir().expect("there is room");
    let sqlite = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let database = Database::new().await;
    let first = opened(&sqlite("first.db")).await;
    lived_in(first.as_ref()).await;
    let second = opened(&database.url()).await;
    let third = opened(&sqlite("third.db")).await;

    let there = store::copy(first.as_ref(), second.as_ref()).await.expect("it is copied");
    assert_eq!((there.audit_entries, there.changed_meanwhile.len()), (13, 0));
    let counts: Vec<_> =
        there.counts.iter().map(|(table, rows)| format!("{table} {rows}")).collect();
    assert_eq!(
        counts,
        [
            "tenants 3",
            "tenant_organizations 2",
            "catalogs 2",
            "current_catalog 1",
            "licenses 3",
            "overrides 2",
            "audit_log 13",
            "audit_anchors 0"
        ]
    );
    let back = store::copy(second.as_ref(), third.as_ref()).await.expect("it is copied back");
    assert_eq!(back.digest, there.digest);
    for tenant in ["acme", "globex", "gone"] {
        let read = first.load(&id(tenant)).await.expect("it answers");
        assert!(read.is_some());
        assert_eq!(second.load(&id(tenant)).await.expect("it answers"), read);
        assert_eq!(third.load(&id(tenant)).await.expect("it answers"), read);
    }
    assert_eq!(third.audit(0, 100).await, first.audit(0, 100).await);

    // The new store lives on: the next audit entry follows the last one, ids stay used.
    let add = Change::AddTenant { id: id("new"), name: "x".to_owned(), organizations: Vec::new() };
    second.apply(&add, &Actor::system(), start()).await.expect("it is added");
    let again = Change::AddTenant { id: id("gone"), name: "x".to_owned(), organizations: vec![] };
    second.apply(&again, &Actor::system(), start()).await.expect_err("it was used");

    // A store that has something is not written over, and keeps what it has.
    for full in [&second, &third] {
        let before = full.contents().await.expect("it answers");
        let error = store::copy(first.as_ref(), full.as_ref()).await.expect_err("it is full");
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        assert!(error.to_string().contains("not empty"), "{error}");
        assert_eq!(full.contents().await.expect("it answers"), before);
    }
}
