//! Entitlements: a known tenant, a change on its way to two replicas, and how both grow.

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use entitlements::{
    Catalog, EntitlementService, SnapshotKey, TenantId, TenantRef, TenantStatus,
    store::{self, Actor, Change, Mode},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};

use crate::{cluster::Database, engine::ISSUER, paired::pair, report::Report};

/// How many changes are timed.
const CHANGES: usize = 100;
/// From a commit until two replicas enforce it, on PostgreSQL.
const PUSHED: Duration = Duration::from_millis(100);
/// From nothing to the first answer while the store is away.
const COLD_START: Duration = Duration::from_millis(200);

fn catalog() -> Catalog {
    Catalog::parse(include_str!("../../plans.toml")).expect("the shipped plans")
}

fn organization(n: usize) -> String {
    format!("org-{n}")
}

fn tenant(n: usize) -> TenantId {
    format!("tenant-{n}").parse().expect("an id")
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// The tenants 1 to `count`, each with an organization and an endless license, as one statement.
fn filling(series: &str) -> String {
    format!(
        "INSERT INTO tenants (id, name, created_at, updated_at)
             SELECT 'tenant-' || n, 'Tenant ' || n, 0, 0 FROM {series};
         INSERT INTO tenant_organizations (issuer, organization_id, tenant_id, created_at)
             SELECT '{ISSUER}', 'org-' || n, 'tenant-' || n, 0 FROM {series};
         INSERT INTO licenses (id, tenant_id, kind, plan, starts_at, source, created_at, created_by)
             SELECT 'lic-' || n, 'tenant-' || n, 'base', 'mid', 0, 'import', 0, 'bench' FROM {series};"
    )
}

async fn filled_sqlite(folder: &Path, count: usize) -> String {
    let file = folder.join(format!("{count}.db"));
    let url = format!("sqlite:{}", file.display());
    drop(store::open(&url, Mode::ReadWrite).await.expect("a new store"));
    let mut shell = SqliteConnection::connect(&url).await.expect("it is there");
    let series = format!(
        "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) SELECT n FROM s)"
    );
    let statement = format!("BEGIN; {} COMMIT;", filling(&series));
    shell.execute(AssertSqlSafe(statement)).await.expect("it is filled");
    shell.close().await.expect("it closes");
    url
}

async fn filled_postgres(count: usize) -> Database {
    let database = Database::new().await;
    drop(store::open(&database.url(), Mode::ReadWrite).await.expect("a new store"));
    let statement = filling(&format!("generate_series(1, {count}) AS s(n)"));
    database.shell().await.execute(AssertSqlSafe(statement)).await.expect("it is filled");
    database
}

/// Asks for every tenant, by the organization of each: a thousand one after the other, the rest by
/// several callers at once. What one of the thousand took is returned.
async fn ask_for_all(service: &EntitlementService, count: usize) -> Duration {
    async fn ask(service: &EntitlementService, tenants: impl Iterator<Item = usize>) {
        for n in tenants {
            let name = organization(n);
            let organization = TenantRef::Organization { issuer: ISSUER, organization: &name };
            service.entitlements(organization).await.expect("a tenant");
        }
    }
    let start = now();
    ask(service, 1..=1_000).await;
    let one = start.elapsed() / 1_000;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let service = service.clone();
        callers.spawn(async move {
            ask(&service, (1_001 + caller..=count).step_by(CALLERS)).await;
        });
    }
    callers.join_all().await;
    one
}

const CALLERS: usize = 16;

fn key() -> SnapshotKey {
    SnapshotKey::new(&[7; 32]).expect("it is long enough")
}

/// With the store away: how long from nothing to the first answer, and how large the file is. A
/// process that starts has no pages at hand; here they are, from the time before.
async fn cold_start(url: &str, folder: &Path, count: usize) -> (Duration, u64) {
    let file = folder.join(format!("{count}.snapshot"));
    let builder = EntitlementService::builder(url, catalog()).capacity(200_000);
    let service = builder.snapshot(&file, key()).connect().await.expect("it is up");
    ask_for_all(&service, count).await;
    let away = || {
        let nowhere = "postgres://nobody@127.0.0.1:9/nothing";
        let builder = EntitlementService::builder(nowhere, catalog()).capacity(200_000);
        builder.snapshot(&file, key()).start()
    };
    // It is written a while after changes; one of the next holds everybody.
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let kept = away();
        if (1..=count).all(|n| kept.cached(TenantRef::Id(&tenant(n))).is_some()) {
            break;
        }
    }
    drop(service);
    let size = std::fs::metadata(&file).expect("it was written").len();
    let mut took = Vec::new();
    for _ in 0..5 {
        // The one before takes the rest of the file into its cache, which is no part of a start.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let start = now();
        let service = away();
        let name = organization(count);
        let last = TenantRef::Organization { issuer: ISSUER, organization: &name };
        let set = service.cached(last).expect("it stands in the snapshot");
        assert!(set.usable().is_ok());
        took.push(start.elapsed());
    }
    took.sort();
    (took[took.len() / 2], size)
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

/// From the commit until both replicas, which know so many tenants, enforce it: the median and the
/// 99th percentile.
async fn propagation(url: &str, folder: &Path, count: usize) -> (Duration, Duration) {
    let admin = store::open(url, Mode::ReadWrite).await.expect("it is there");
    let replica = async |name: &str| {
        let file = folder.join(format!("{count}-{name}.snapshot"));
        std::fs::copy(folder.join(format!("{count}.snapshot")), &file).expect("there is room");
        let builder = EntitlementService::builder(url, catalog()).capacity(200_000);
        let service = builder.snapshot(file, key()).connect().await.expect("it is up");
        let known = |n| service.cached(TenantRef::Id(&tenant(n))).is_some();
        assert!((1..=count).all(known), "it knows them all");
        service
    };
    let replicas = [replica("one").await, replica("other").await];
    let mut took = Vec::with_capacity(CHANGES);
    for round in 0..CHANGES {
        let served = round % 2 == 1;
        let (status, reason) = if served {
            (TenantStatus::Active, None)
        } else {
            (TenantStatus::Suspended, Some("a benchmark".to_owned()))
        };
        let change = Change::SetTenantStatus { tenant: tenant(1), status, reason };
        let at = std::time::SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        admin.apply(&change, &Actor::person("bench"), at).await.expect("it is applied");
        let committed = now();
        let enforced = |service: &EntitlementService| {
            let set = service.cached(TenantRef::Id(&tenant(1))).expect("known");
            set.usable().is_ok() == served
        };
        while !replicas.iter().all(enforced) {
            assert!(committed.elapsed() < Duration::from_secs(5), "a change is lost");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        took.push(committed.elapsed());
        // Changes come at odd moments, not right after the last poll.
        tokio::time::sleep(Duration::from_millis(7 * (round as u64 % 11))).await;
    }
    took.sort();
    (took[CHANGES / 2], took[CHANGES * 99 / 100])
}

/// What this process has in memory.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() * 1024.0
}

/// Start, memory, look-up and propagation with so many tenants.
async fn scale(kind: &str, url: &str, folder: &Path, count: usize) {
    let before = resident();
    let start = now();
    let service = EntitlementService::builder(url, catalog())
        .capacity(200_000)
        .connect()
        .await
        .expect("it is up");
    let up = start.elapsed();
    let first = ask_for_all(&service, count).await;
    let memory =
        (resident() - before) / f64::from(u32::try_from(count).expect("a count of tenants"));
    let names: Vec<_> = (1..=count).map(organization).collect();
    let start = now();
    for name in names.iter().cycle().take(200_000) {
        let organization = TenantRef::Organization { issuer: ISSUER, organization: name };
        black_box(service.cached(organization).expect("known"));
    }
    let known = start.elapsed() / 200_000;
    drop(service);
    let (cold, size) = cold_start(url, folder, count).await;
    let (p50, p99) = propagation(url, folder, count).await;
    let cold_verdict = verdict(cold < COLD_START);
    let pushed = if kind == "SQLite" { "" } else { verdict(p99 < PUSHED) };
    Report::note(format!(
        "{kind:<10} {count:>7} tenants: start {up:>7.1?}, first question {first:>7.1?}, known {known:>7.0?}, \
         {memory:>5.0} bytes a tenant, change in force p50 {p50:.1?} p99 {p99:.1?} {pushed}\n\
         {:<26} without the store, from a snapshot of {size} bytes: {cold:.1?} {cold_verdict}",
        ""
    ));
}

/// A check of a known tenant: its cost, and what it allocates.
fn known(report: &mut Report) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let catalog = catalog();
    let need = catalog.need("payload_lineage=limited").expect("a feature");
    let service = EntitlementService::in_memory(catalog, [("acme", "mid")]);
    let acme = TenantRef::Organization { issuer: ISSUER, organization: "acme" };
    runtime.block_on(service.entitlements(acme)).expect("a tenant");
    let check = || {
        let set = service.cached(black_box(acme)).expect("known");
        black_box(set.usable().and_then(|()| set.require(&need))).expect("granted");
    };
    let map = std::collections::HashMap::from([((ISSUER.to_owned(), "acme".to_owned()), 1)]);
    let key = (ISSUER.to_owned(), "acme".to_owned());
    let measured = pair(20_000, check, || {
        black_box(map.get(black_box(&key)));
    });
    report.row("check, tenant known", "one HashMap look-up", measured.ratio, None);
    let nanos = measured.subject.as_nanos();
    Report::note(format!("    here {nanos} ns (goal: under 1,000); allocations: see the tests"));
}

pub(crate) fn run(report: &mut Report) {
    known(report);
    // Each kind has snapshots of its own: one of another store would be read again.
    let (folder, other) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        Report::note(
            "Growth, on two replicas that have every tenant at hand; goals: change in force p99 under \
             100 ms on PostgreSQL, a start without the store under 200 ms.",
        );
        for count in [1_000, 10_000, 100_000] {
            let url = filled_sqlite(folder.path(), count).await;
            scale("SQLite", &url, folder.path(), count).await;
            let database = filled_postgres(count).await;
            scale("PostgreSQL", &database.url(), other.path(), count).await;
        }
    });
}
