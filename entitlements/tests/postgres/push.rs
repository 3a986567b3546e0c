//! A committed change is enforced by every replica, whatever happens in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use entitlements::store::{self, Actor, Change, Mode, Store};
use entitlements::testing::{PLANS, license};
use entitlements::{
    Catalog, EntitlementService, Freshness, SnapshotKey, StoreError, TenantId, TenantRef,
    TenantStatus, parse_time,
};
use sqlx::{Executor, PgConnection};
use tokio::time::Instant;

use crate::changes;
use crate::cluster::Database;

fn catalog() -> Catalog {
    Catalog::parse(PLANS).expect("the shipped plans are right")
}

fn acme() -> TenantId {
    "acme".parse().expect("it is a tenant id")
}

async fn apply(store: &Arc<dyn Store>, change: Change) {
    let at = parse_time("2026-11-22T12:00:00Z").expect("it is a time");
    store.apply(&change, &Actor::person("test"), at).await.expect("it is applied");
}

/// A store with one tenant.
async fn filled(database: &Database) -> Arc<dyn Store> {
    let store = store::open(&database.url(), Mode::ReadWrite).await.expect("it is there");
    let add = Change::AddTenant { id: acme(), name: "Acme".to_owned(), organizations: Vec::new() };
    apply(&store, add).await;
    apply(&store, Change::GrantLicense { tenant: acme(), license: license("lic_1", "mid") }).await;
    store
}

async fn replica(database: &Database) -> EntitlementService {
    let service = EntitlementService::connect(&database.url(), catalog()).await.expect("it is up");
    service.entitlements(TenantRef::Id(&acme())).await.expect("the tenant is there");
    service
}

fn is_served(service: &EntitlementService) -> bool {
    let set = service.cached(TenantRef::Id(&acme())).expect("it was asked before");
    set.usable().is_ok()
}

/// Waits until the service enforces it.
async fn enforced(service: &EntitlementService, served: bool, within: Duration) -> Duration {
    let started = Instant::now();
    while is_served(service) != served {
        assert!(started.elapsed() < within, "not within {within:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    started.elapsed()
}

async fn set_served(shell: &mut PgConnection, served: bool) {
    let statement = if served {
        "UPDATE tenants SET status = 'active', status_reason = NULL WHERE id = 'acme'"
    } else {
        "UPDATE tenants SET status = 'suspended', status_reason = 'unpaid' WHERE id = 'acme'"
    };
    shell.execute(statement).await.expect("it is changed");
}

/// How long it takes from the commit until both replicas enforce it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_change_is_enforced_by_two_replicas_within_milliseconds() {
    let database = Database::new().await;
    let admin = filled(&database).await;
    let replicas = [replica(&database).await, replica(&database).await];
    let mut after_commit = Vec::new();
    for round in 0..100 {
        let served = round % 2 == 1;
        let (status, reason) = if served {
            (TenantStatus::Active, None)
        } else {
            (TenantStatus::Suspended, Some("unpaid".to_owned()))
        };
        apply(&admin, Change::SetTenantStatus { tenant: acme(), status, reason }).await;
        let limit = Duration::from_secs(2);
        let both = tokio::join!(
            enforced(&replicas[0], served, limit),
            enforced(&replicas[1], served, limit)
        );
        after_commit.push(both.0.max(both.1));
    }
    after_commit.sort_unstable();
    let (p50, p99) = (after_commit[49], after_commit[98]);
    println!("from commit to enforced on two replicas: p50 {p50:?}, p99 {p99:?}");
    // The goal is a p99 under 100 ms; this machine may be busy with other tests. Without
    // notifications the median would be a quarter of a second.
    assert!(p50 < Duration::from_millis(150), "p50 {p50:?}: notifications do not arrive");
}

/// The feed tells what no notification told.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_lost_notification_loses_no_change() {
    let database = Database::new().await;
    filled(&database).await;
    let service = replica(&database).await;
    let mut shell = database.shell().await;
    shell
        .execute(
            "CREATE OR REPLACE FUNCTION feed() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 INSERT INTO changes (tenant_id, revision) VALUES (NEW.id, NEW.revision);
                 RETURN NULL;
             END $$",
        )
        .await
        .expect("notifications are off");
    changes::prepare(&mut shell, &service).await;
    for (number, (statement, expected)) in changes::ROUND.iter().enumerate() {
        changes::make(&mut shell, statement, number).await;
        let limit = Duration::from_secs(3);
        let took = changes::enforced(&service, "org_1", expected, limit).await;
        println!("enforced without a notification after {took:?}: {expected}");
    }
}

/// Whoever listens is thrown out again and again, just when something changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_killed_connection_loses_no_change() {
    let database = Database::new().await;
    filled(&database).await;
    let service = replica(&database).await;
    let mut shell = database.shell().await;
    changes::prepare(&mut shell, &service).await;
    // Nothing older is ever put in the place of something newer.
    let over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn({
        let (service, over) = (service.clone(), Arc::clone(&over));
        async move {
            let mut newest = 0;
            while !over.load(Ordering::Relaxed) {
                let set = service.cached(TenantRef::Id(&acme())).expect("it stays at hand");
                assert!(set.revision() >= newest, "{} after {newest}", set.revision());
                newest = set.revision();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    // Each change twice, at different moments beside the loss of the connection.
    let twice = changes::ROUND.iter().chain(&changes::ROUND);
    for (round, (statement, expected)) in twice.enumerate() {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name = 'tiergate' AND datname = current_database()";
        let pause = match (round + round / changes::ROUND.len()) % 3 {
            0 => None,
            1 => Some(Duration::ZERO),
            _ => Some(Duration::from_millis(15 * (round as u64 % 12))),
        };
        if let Some(pause) = pause {
            // It may still be on its way back from the round before.
            while shell.execute(kill).await.expect("they are thrown out").rows_affected() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(pause).await;
            changes::make(&mut shell, statement, round).await;
        } else {
            changes::make(&mut shell, statement, round).await;
            shell.execute(kill).await.expect("they are thrown out");
        }
        changes::enforced(&service, "org_1", expected, Duration::from_secs(5)).await;
    }
    over.store(true, Ordering::Relaxed);
    watcher.await.expect("revisions only grew");
    let revision: i64 = sqlx::query_scalar("SELECT revision FROM tenants WHERE id = 'acme'")
        .fetch_one(&mut shell)
        .await
        .expect("it is there");
    // Whom an organization names is asked for again at once, the rows arrive with the news.
    let started = Instant::now();
    let newest = || service.cached(TenantRef::Id(&acme())).expect("it is at hand").revision();
    while newest() != revision.unsigned_abs() {
        assert!(started.elapsed() < Duration::from_secs(5), "{} of {revision}", newest());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_restarted_server_loses_no_change() {
    let database = Database::alone().await;
    filled(&database).await;
    let service = replica(&database).await;
    let mut shell = database.shell().await;
    changes::prepare(&mut shell, &service).await;
    drop(shell);
    database.cluster.stop();

    // What is known goes on, and is soon said to be stale; who was never seen is no "no".
    let set = service.entitlements(TenantRef::Id(&acme())).await.expect("it is at hand");
    assert!(set.usable().is_ok());
    let nobody = "never-seen".parse().expect("it is a tenant id");
    let error = service.entitlements(TenantRef::Id(&nobody)).await.expect_err("nobody knows");
    assert_eq!(error.reason().code(), "store_unavailable");
    // A replica that starts now waits for the server by itself.
    let late = EntitlementService::builder(database.url(), catalog()).start();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let set = service.cached(TenantRef::Id(&acme())).expect("it is at hand");
    assert!(matches!(set.freshness(), Freshness::Stale { .. }), "{:?}", set.freshness());
    assert!(!service.status().up);
    assert!(!late.ready());

    database.cluster.run();
    let mut shell = database.shell().await;
    changes::make_all(&mut shell).await;
    let took = enforced(&service, false, Duration::from_secs(8)).await;
    println!("enforced {took:?} after the server was back");
    let started = Instant::now();
    while !late.ready() {
        assert!(started.elapsed() < Duration::from_secs(8), "it becomes ready by itself");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let set = late.entitlements(TenantRef::Id(&acme())).await.expect("it is there");
    assert_eq!(set.usable().expect_err("it is suspended").reason.code(), "tenant_suspended");
    assert_eq!(
        service
            .entitlements(TenantRef::Id(&nobody))
            .await
            .expect_err("now it is known")
            .reason()
            .code(),
        "unknown_tenant"
    );
    changes::all_enforced(&mut shell, &service, Duration::from_secs(3)).await;
    // And notifications arrive again, of changes of every kind.
    for (number, (statement, expected)) in changes::ROUND.iter().enumerate() {
        changes::make(&mut shell, statement, number).await;
        changes::enforced(&service, "org_1", expected, Duration::from_secs(3)).await;
    }
}

/// A backup that is played back: the store went back, and what is there now counts. Also if its feed
/// has become as long as before in the meantime: then only the marks tell.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn an_older_copy_counts_when_it_is_restored() {
    for caught_up in [false, true] {
        let database = Database::new().await;
        filled(&database).await;
        let service = replica(&database).await;
        let mut shell = database.shell().await;
        shell
            .execute(
                "CREATE TABLE backup AS TABLE tenants;
                 CREATE TABLE backup_feed AS TABLE changes",
            )
            .await
            .expect("there is a backup");
        set_served(&mut shell, false).await;
        enforced(&service, false, Duration::from_secs(3)).await;
        let mut restore = sqlx::Connection::begin(&mut shell).await.expect("it begins");
        for statement in [
            "SET LOCAL session_replication_role = replica",
            "DELETE FROM tenants",
            "INSERT INTO tenants TABLE backup",
            "DELETE FROM changes",
            "INSERT INTO changes OVERRIDING SYSTEM VALUE TABLE backup_feed",
            "SELECT setval('changes_seq_seq', (SELECT max(seq) FROM changes))",
            "SET LOCAL session_replication_role = origin",
        ] {
            restore.execute(statement).await.expect(statement);
        }
        if caught_up {
            let others = "INSERT INTO tenants (id, name, created_at, updated_at)
                          SELECT 'other-' || n, 'x', 0, 0 FROM generate_series(1, 20) AS s(n)";
            restore.execute(others).await.expect("others are added");
        }
        restore.commit().await.expect("it is restored");
        enforced(&service, true, Duration::from_secs(3)).await;
    }
}

/// Many notifications at once, none of which says anything: they cost one reading, and neither the
/// sign of life nor the news wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_storm_of_notifications_is_read_at_once() {
    let database = Database::new().await;
    filled(&database).await;
    let service = replica(&database).await;
    let mut shell = database.shell().await;
    let storm = "DO $$ BEGIN FOR n IN 1..100000 LOOP
                     PERFORM pg_notify('entitlements', n::TEXT);
                 END LOOP; END $$";
    shell.execute(storm).await.expect("they are sent");
    set_served(&mut shell, false).await;
    enforced(&service, false, Duration::from_secs(2)).await;
    // Reading once for each would take longer than the store may be silent.
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let set = service.cached(TenantRef::Id(&acme())).expect("it is at hand");
        assert_eq!(set.freshness(), Freshness::Fresh);
    }
    set_served(&mut shell, true).await;
    enforced(&service, true, Duration::from_secs(2)).await;
}

/// With a snapshot that knows tenants, an empty database is one that was lost, not a new one.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn an_empty_database_in_the_place_of_a_known_one_stays_empty() {
    let database = Database::new().await;
    filled(&database).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tiergate.snapshot");
    let start = || {
        let key = SnapshotKey::new(&[7; 32]).expect("long enough");
        EntitlementService::builder(database.url(), catalog()).snapshot(&file, key).start()
    };
    let service = start();
    while !service.ready() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    service.entitlements(TenantRef::Id(&acme())).await.expect("it is known");
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(service);
    database.make_anew().await;
    let service = start();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let set = service.cached(TenantRef::Id(&acme())).expect("it stands in the snapshot");
    assert!(set.usable().is_ok() && matches!(set.freshness(), Freshness::Stale { .. }));
    let Err(error) = store::open(&database.url(), Mode::ReadOnly).await else {
        panic!("a new store")
    };
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}
