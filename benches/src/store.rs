//! Entitlements: a known tenant, a change on its way to two replicas, and how both grow.

use std::{
    hint::black_box,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use entitlements::{
    Catalog, EntitlementService, SnapshotKey, TenantId, TenantRef, TenantStatus,
    store::{self, Actor, Change, Mode},
    testing::Faulty,
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};

use crate::{
    cluster::Database,
    engine::ISSUER,
    memory::{measured, resident},
    paired::pair,
    report::Report,
};

/// How many changes are timed.
const CHANGES: usize = 100;
/// How many tenants there are, one after the other.
pub(crate) const COUNTS: [usize; 3] = [1_000, 10_000, 100_000];
/// One check of a known tenant.
const CHECK: Duration = Duration::from_micros(1);
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
    let alone = count.min(1_000);
    ask(service, 1..=alone).await;
    let one = start.elapsed() / u32::try_from(alone.max(1)).expect("it is small");
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let service = service.clone();
        callers.spawn(async move {
            ask(&service, (alone + 1 + caller..=count).step_by(CALLERS)).await;
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
    let store = store::open(url, Mode::ReadOnly).await.expect("it is there");
    let away = || {
        let store = Faulty::new(Arc::clone(&store));
        store.set_down(true);
        let builder = EntitlementService::with_store(store, catalog()).capacity(200_000);
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

/// Asks for all tenants of a store and prints how many bytes each took. The process does nothing else,
/// so that no memory is there that somebody before has left.
pub(crate) fn serve_memory(url: &str, count: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let builder = EntitlementService::builder(url, catalog()).capacity(200_000);
        let service = builder.read_only(true).connect().await.expect("it is up");
        // What is made once is made before the first look: connections, and the callers' stacks.
        let once = count / 10;
        ask_for_all(&service, once).await;
        let before = resident();
        ask_for_all(&service, count).await;
        Report::note((resident().saturating_sub(before) / (count - once)).to_string());
    });
}

/// Bytes a tenant, measured by a process of its own.
fn memory(url: &str, count: usize) -> usize {
    let count = count.to_string();
    measured(&["serve", "store-memory", url, &count])
}

/// Start, memory, look-up and propagation with so many tenants.
async fn scale(report: &mut Report, kind: &str, url: &str, folder: &Path, count: usize) {
    let memory = memory(url, count);
    let start = now();
    let service = EntitlementService::builder(url, catalog())
        .capacity(200_000)
        .connect()
        .await
        .expect("it is up");
    let up = start.elapsed();
    let first = ask_for_all(&service, count).await;
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
    Report::note(format!(
        "{kind:<10} {count:>7} tenants: start {up:>7.1?}, first question {first:>7.1?}, known {known:>7.0?}, \
         {memory} bytes a tenant, change in force p50 {p50:.1?} p99 {p99:.1?}\n\
         {:<26} without the store, from a snapshot of {size} bytes: {cold:.1?}",
        ""
    ));
    let with = format!("{kind}, {count} tenants");
    report.goal(&format!("known, {with}"), &format!("{known:.0?}"), "< 1 us", known < CHECK);
    if kind != "SQLite" {
        let reached = p99 < PUSHED;
        report.goal(
            &format!("change in force, {with}"),
            &format!("p99 {p99:.1?}"),
            "< 100 ms",
            reached,
        );
    }
    let reached = cold < COLD_START;
    report.goal(&format!("start without it, {with}"), &format!("{cold:.1?}"), "< 200 ms", reached);
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
    let pair = pair(20_000, check, || {
        black_box(map.get(black_box(&key)));
    });
    report.row("check, tenant known", "one HashMap look-up", pair.ratio, None);
    let cost = pair.subject;
    report.goal("check, tenant known: time", &format!("{cost:.0?}"), "< 1 us", cost < CHECK);
    allocations(report);
}

/// What a check allocates behind each kind of service, counted by a program of its own.
fn allocations(report: &mut Report) {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let output = Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--package",
            "benches",
            "--bin",
            "allocations",
            "--profile",
            profile,
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let Ok(output) = output else {
        Report::note(
            "    allocations are not counted: cargo, which builds who counts, is not there",
        );
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !text.is_empty(), "nothing was counted");
    let mut most: f64 = 0.0;
    for line in text.lines() {
        let mut fields = line.split('\t');
        let mut field = || fields.next().expect("a line has three fields");
        let (kind, checks, counted) = (field(), field(), field());
        let (checks, counted): (f64, f64) =
            (checks.parse().expect("a count"), counted.parse().expect("a count"));
        Report::note(format!("    {kind}: {counted} allocations in {checks} checks"));
        most = most.max(counted / checks);
    }
    let each = format!("{most:.4} a check");
    report.goal("check, tenant known: allocations", &each, "none", most == 0.0);
}

pub(crate) fn run(report: &mut Report, counts: &[usize]) {
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
        for &count in counts {
            let url = filled_sqlite(folder.path(), count).await;
            scale(report, "SQLite", &url, folder.path(), count).await;
            let database = filled_postgres(count).await;
            scale(report, "PostgreSQL", &database.url(), other.path(), count).await;
        }
    });
}
