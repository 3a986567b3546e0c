//! A backup that is played back under running replicas, with the tools that operators use.

use std::time::Duration;

use entitlements::store::{self, Actor, Change, Mode};
use entitlements::testing::{PLANS, license};
use entitlements::{
    Catalog, Effect, EntitlementService, Freshness, Need, Override, TenantId, TenantRef, parse_time,
};
use sqlx::Executor;
use tokio::time::{Instant, sleep};

use crate::cluster::Database;

fn id(tenant: &str) -> TenantId {
    tenant.parse().expect("it is a tenant id")
}

fn catalog() -> Catalog {
    Catalog::parse(PLANS).expect("the shipped plans")
}

fn need() -> Need {
    catalog().need("payload_lineage").expect("a feature")
}

/// Two tenants with a license; one of them is denied a feature that it gives.
async fn filled() -> Database {
    let database = Database::new().await;
    let store = store::open(&database.url(), Mode::ReadWrite).await.expect("it is there");
    let at = parse_time("2026-11-22T12:00:00Z").expect("it is a time");
    let denied = Override {
        id: "ovr_1".to_owned(),
        feature: "payload_lineage".parse().expect("a feature"),
        effect: Effect::Deny,
        starts_at: at,
        ends_at: None,
        reason: "legal hold".to_owned(),
        ticket: None,
        created_by: "test".to_owned(),
        revoked_at: None,
    };
    let add = |tenant: &str| Change::AddTenant {
        id: id(tenant),
        name: tenant.to_owned(),
        organizations: Vec::new(),
    };
    let grant = |tenant: &str, name: &str| Change::GrantLicense {
        tenant: id(tenant),
        license: license(name, "high"),
    };
    for change in [
        add("acme"),
        grant("acme", "lic_1"),
        Change::AddOverride { tenant: id("acme"), exception: denied },
        add("globex"),
        grant("globex", "lic_2"),
    ] {
        store.apply(&change, &Actor::person("test"), at).await.expect("it is applied");
    }
    database
}

async fn replica(database: &Database) -> EntitlementService {
    let service = EntitlementService::connect(&database.url(), catalog()).await.expect("it is up");
    service.entitlements(TenantRef::Id(&id("acme"))).await.expect("the tenant is there");
    service
}

/// What acme may do, and how current that is.
fn of_acme(service: &EntitlementService) -> (bool, Freshness) {
    let set = service.cached(TenantRef::Id(&id("acme"))).expect("it was asked before");
    assert!(set.usable().is_ok(), "its license is there, or was: {:?}", set.state());
    (set.require(&need()).is_ok(), set.freshness())
}

async fn until(service: &EntitlementService, expected: (bool, Freshness)) {
    let started = Instant::now();
    while of_acme(service) != expected {
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", of_acme(service));
        sleep(Duration::from_millis(20)).await;
    }
}

/// The rows come table by table. As long as some are missing, what was known goes on, marked stale;
/// nobody is answered from the part that is there.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_database_that_is_there_in_part_is_not_believed() {
    let database = filled().await;
    let service = replica(&database).await;
    let backup = database.backup();
    database.make_anew().await;
    database.restore(&backup, &["--section=pre-data"]);
    let folder = tempfile::tempdir().expect("there is room");
    for (part, late) in [("first", false), ("second", true)] {
        let is_late = |line: &str| line.contains(" overrides ") || line.contains(" licenses ");
        let items = database.items(&backup);
        let lines = items.lines().filter(|line| {
            (line.contains("TABLE DATA") || line.contains("SEQUENCE SET")) && is_late(line) == late
        });
        let list = folder.path().join(part);
        std::fs::write(&list, lines.collect::<Vec<_>>().join("\n")).expect("there is room");
        let list = list.to_str().expect("a plain path");
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .expect("it is ours");
        database.restore(&backup, &["-L", list]);
        // Long enough to be stale, and for several attempts.
        sleep(Duration::from_secs(4)).await;
        let (allowed, freshness) = of_acme(&service);
        assert!(!allowed && matches!(freshness, Freshness::Stale { .. }), "{part}: {freshness:?}");
        let unseen = service.entitlements(TenantRef::Id(&id("globex"))).await;
        let unseen = unseen.map(|set| set.state()).expect_err("nobody can know");
        assert_eq!(unseen.reason().code(), "store_unavailable", "{part}");
        for mode in [Mode::ReadOnly, Mode::ReadWrite] {
            let Err(error) = store::open(&database.url(), mode).await else { panic!("opened") };
            assert!(error.to_string().contains("rules of its schema are in force"), "{error}");
        }
    }
    database.restore(&backup, &["--section=post-data"]);
    until(&service, (false, Freshness::Fresh)).await;
    let set = service.entitlements(TenantRef::Id(&id("globex"))).await.expect("it is there");
    assert!(set.require(&need()).is_ok());
}

/// A restored database is another one, even if its revisions and its feed say that nothing happened.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn after_a_restore_everything_is_read_again() {
    let database = filled().await;
    let service = replica(&database).await;
    assert_eq!(of_acme(&service), (false, Freshness::Fresh));
    let mut shell = database.shell().await;
    shell
        .execute(
            "SET session_replication_role = replica; DELETE FROM overrides;
             SET session_replication_role = origin",
        )
        .await
        .expect("the owner can do anything");
    drop(shell);
    let backup = database.backup();
    database.make_anew().await;
    database.restore(&backup, &[]);
    until(&service, (true, Freshness::Fresh)).await;
}
