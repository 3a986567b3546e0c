//! The suite that every store passes, and what the database itself refuses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use entitlements::StoreError;
use entitlements::store::{self, Actor, Change, Mode, Store, conformance};
use sqlx::{Connection, Executor};

use crate::cluster::Database;
use crate::{forbidden, older};

async fn opened(database: &Database) -> Arc<dyn Store> {
    store::open(&database.url(), Mode::ReadWrite).await.expect("it is brought to the schema")
}

/// How PostgreSQL writes 32 equal bytes.
fn bytes(byte: u8) -> String {
    format!("decode(repeat('{byte:02x}', 32), 'hex')")
}

fn add(tenant: &str) -> Change {
    Change::AddTenant {
        id: tenant.parse().expect("it is a tenant id"),
        name: format!("The {tenant}"),
        organizations: Vec::new(),
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn it_does_what_every_store_does() {
    for (name, check) in conformance::ALL {
        println!("{name}");
        let database = Database::new().await;
        check(opened(&database).await).await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn an_empty_database_is_no_store_until_it_is_opened_for_writing() {
    let database = Database::new().await;
    let Err(error) = store::open(&database.url(), Mode::ReadOnly).await else { panic!("opened") };
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    // Several replicas start at once.
    let (one, other) = tokio::join!(opened(&database), opened(&database));
    assert_eq!(one.tenant_count().await, Ok(0));
    assert_eq!(other.tenant_count().await, Ok(0));
    let url = database.url().replacen("postgres:", "postgresql:", 1);
    let store = store::open(&url, Mode::ReadOnly).await.expect("now it can be read");
    let error = store
        .apply(&add("acme"), &Actor::person("test"), UNIX_EPOCH)
        .await
        .expect_err("it is only read");
    assert!(error.to_string().contains("for reading only"), "{error}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_newer_schema_is_not_touched() {
    let database = Database::new().await;
    opened(&database).await;
    let mut shell = database.shell().await;
    shell
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', TRUE, '\\x00', 0)",
        )
        .await
        .expect("it is written");
    for mode in [Mode::ReadOnly, Mode::ReadWrite] {
        let Err(error) = store::open(&database.url(), mode).await else { panic!("it was opened") };
        assert!(matches!(error, StoreError::Schema(_)), "{error}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn an_older_schema_is_brought_up_to_date() {
    let database = Database::new().await;
    let mut shell = database.shell().await;
    older::migrations("postgres").await.run(&mut shell).await.expect("it is an older store");
    let long = older::license_of_a_long_name();
    for statement in forbidden::allowed(bytes).into_iter().chain([long]) {
        shell.execute(sqlx::AssertSqlSafe(statement.clone())).await.expect(&statement);
    }
    older::is_brought_up_to_date(&database.url()).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn errors_name_the_place_and_never_the_password() {
    let database = Database::new().await;
    for (url, expected) in [
        (
            "postgres://me:hunter2@localhost/plans?host=/nowhere".to_owned(),
            "`plans` at `/nowhere`: error communicating with database: No such file",
        ),
        ("postgres://me:hunter2@127.0.0.1:1/plans".to_owned(), "`plans` at `127.0.0.1:1`"),
        (database.url().replace("test_", "none_"), "does not exist"),
        ("postgres://me:hunter2@host:port/plans".to_owned(), "postgres://USER@HOST/DATABASE"),
        ("postgres://me@db/plans?sslmode=hunter2".to_owned(), "postgres://USER@HOST/DATABASE"),
        ("postgres://db/plans?password=hunter2&port=x".to_owned(), "postgres://USER@HOST/DATABASE"),
    ] {
        let Err(error) = store::open(&url, Mode::ReadWrite).await else { panic!("{url}") };
        let told = error.to_string();
        assert!(told.contains(expected), "{url}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

/// A service that only reads needs no more rights than to read, one that writes none to the
/// schema; and whoever is not the owner cannot rewrite the audit log, whatever the triggers say.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn every_role_needs_few_rights() {
    let database = Database::new().await;
    let admin = opened(&database).await;
    let mut shell = database.shell().await;
    shell
        .execute(
            "CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
             CREATE ROLE writer LOGIN; GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO writer;
             GRANT UPDATE ON tenants, licenses, overrides, \"current_catalog\" TO writer;
             GRANT DELETE ON tenant_organizations TO writer",
        )
        .await
        .expect("there are roles");
    let url = database.url().replacen("postgres@", "reader@", 1);
    let store = store::open(&url, Mode::ReadOnly).await.expect("it may read");
    let place = store.position().await.expect("it may read");
    admin.apply(&add("acme"), &Actor::person("test"), UNIX_EPOCH).await.expect("it is added");
    assert_eq!(store.news(&place).await.expect("it may listen").tenants.len(), 1);
    assert!(store.load(&"acme".parse().expect("an id")).await.expect("it may read").is_some());

    let url = database.url().replacen("postgres@", "writer@", 1);
    let store = store::open(&url, Mode::ReadWrite).await.expect("it may write rows");
    store.apply(&add("globex"), &Actor::person("test"), UNIX_EPOCH).await.expect("it is added");
    shell.execute("SET ROLE writer").await.expect("it may");
    for statement in
        ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
    {
        let error = shell.execute(statement).await.expect_err(statement);
        let sqlx::Error::Database(error) = error else { panic!("{statement}: {error}") };
        assert_eq!(error.code().as_deref(), Some("42501"), "{statement}: {error}");
    }
}

/// What must never happen is refused by the database, also to whoever has a shell.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn the_database_refuses_what_must_never_happen() {
    let database = Database::new().await;
    let store = opened(&database).await;
    let mut shell = database.shell().await;
    for statement in forbidden::allowed(bytes) {
        shell.execute(sqlx::AssertSqlSafe(statement.clone())).await.expect(&statement);
    }
    let before = store.contents().await.expect("it answers").digest();
    // All of what was there at once, which only PostgreSQL can do.
    let truncated = [
        "tenants",
        "tenant_organizations",
        "licenses",
        "overrides",
        "catalogs",
        "\"current_catalog\"",
        "changes",
        "audit_log",
        "audit_anchors",
        "store_identity",
    ];
    let truncated = truncated.map(|table| format!("TRUNCATE {table} CASCADE"));
    let feed = [
        "UPDATE changes SET seq = DEFAULT",
        "INSERT INTO changes (seq, tenant_id, revision) OVERRIDING SYSTEM VALUE VALUES (999, 'acme', 9)",
        "INSERT INTO changes (tenant_id, revision) VALUES ('acme', 9)",
    ];
    let feed = feed.map(str::to_owned);
    for statement in forbidden::refused(bytes).into_iter().chain(truncated).chain(feed) {
        let outcome = shell.execute(sqlx::AssertSqlSafe(statement.clone())).await;
        let Err(sqlx::Error::Database(error)) = outcome else {
            panic!("not refused: {statement}: {outcome:?}")
        };
        // Refused by a rule, not for a mistake in this test: class 23 is "integrity constraint".
        let code = error.code().expect("the server says why");
        assert!(code.starts_with("23"), "{statement}: {code}: {error}");
    }
    assert_eq!(store.contents().await.expect("it answers").digest(), before);
}

/// A database whose clock decides: what a writer with another clock does counts at once.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_clock_that_is_ahead_neither_postpones_a_grant_nor_a_revocation() {
    let database = Database::new().await;
    crate::clocks::a_writer_is_ahead(opened(&database).await, &database.url()).await;
}

/// Both databases have the same tables with the same columns, so that what a copy knows of one it
/// knows of the other.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn both_databases_have_the_same_columns() {
    let database = Database::new().await;
    opened(&database).await;
    let there: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::TEXT, column_name::TEXT FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'
         ORDER BY table_name COLLATE \"C\", column_name COLLATE \"C\"",
    )
    .fetch_all(&mut database.shell().await)
    .await
    .expect("it answers");
    let folder = tempfile::tempdir().expect("there is room");
    let url = format!("sqlite:{}", folder.path().join("tiergate.db").display());
    store::open(&url, Mode::ReadWrite).await.expect("it is created");
    let here: Vec<(String, String)> = sqlx::query_as(
        "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_xinfo(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '_sqlx_migrations'
         ORDER BY 1, 2",
    )
    .fetch_all(&mut sqlx::SqliteConnection::connect(&url).await.expect("it is there"))
    .await
    .expect("it answers");
    assert_eq!(there, here);
}

/// A change by hand reaches running services too: the triggers feed it.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_change_by_hand_grows_the_revision_and_is_in_the_feed() {
    let database = Database::new().await;
    let store = opened(&database).await;
    let mut shell = database.shell().await;
    // Whatever the operator's search path is, the triggers find their tables.
    shell.execute("SET search_path = pg_catalog").await.expect("it is set");
    shell
        .execute(
            "INSERT INTO public.tenants (id, name, created_at, updated_at) VALUES ('acme', 'Acme', 0, 0)",
        )
        .await
        .expect("it is added");
    let acme = "acme".parse().expect("it is a tenant id");
    for statement in [
        "UPDATE public.tenants SET name = 'ACME' WHERE id = 'acme'",
        "INSERT INTO public.tenant_organizations VALUES ('https://id.test', 'org_1', 'acme', 0)",
        "DELETE FROM public.tenant_organizations",
        "INSERT INTO public.licenses (id, tenant_id, kind, plan, starts_at, source, created_at, created_by)
         VALUES ('lic_1', 'acme', 'base', 'mid', 0, 'manual', 0, 'sue')",
        "UPDATE public.licenses SET ends_at = 7 WHERE id = 'lic_1'",
        "INSERT INTO public.overrides (id, tenant_id, feature, effect, starts_at, ends_at, reason, created_at, created_by)
         VALUES ('ovr_1', 'acme', 'topology_graph', 'deny', 0, 9, 'because of it', 0, 'sue')",
        "UPDATE public.overrides SET revoked_at = 1, revoked_by = 'sue'",
    ] {
        let before = store.load(&acme).await.expect("it answers").expect("it is there").revision;
        let place = store.position().await.expect("it answers");
        shell.execute(statement).await.expect(statement);
        let after = store.load(&acme).await.expect("it answers").expect("it is there").revision;
        assert!(after > before, "{statement}");
        assert!(store.position().await.expect("it answers").seq > place.seq, "{statement}");
    }
}

/// A writer that has its place in the feed and does not commit yet makes the next one wait: the
/// feed never shows a place before a smaller one.
#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn the_order_of_the_feed_is_the_order_of_commits() {
    let database = Database::new().await;
    let store = opened(&database).await;
    for tenant in ["acme", "globex"] {
        store.apply(&add(tenant), &Actor::person("test"), UNIX_EPOCH).await.expect("added");
    }
    let start = store.position().await.expect("it answers");
    let mut shell = database.shell().await;
    let mut slow = shell.begin().await.expect("it begins");
    slow.execute("UPDATE tenants SET name = 'slow' WHERE id = 'acme'").await.expect("changed");
    let quick = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.apply(&add("quick"), &Actor::person("test"), UNIX_EPOCH).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!quick.is_finished(), "it waits for the writer before it");
    assert_eq!(store.position().await.as_ref(), Ok(&start));
    slow.commit().await.expect("it is committed");
    quick.await.expect("it ends").expect("it is added");
    let feed = store.news(&start).await.expect("it answers");
    let order: Vec<_> = feed.tenants.iter().map(entitlements::TenantId::as_str).collect();
    assert_eq!(order, ["acme", "quick"]);
}

/// Many writers, by two programs and by hand: a reader of the feed misses none of their changes,
/// the audit log is one chain, and nobody is left waiting for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn many_writers_at_once() {
    let database = Database::new().await;
    let stores = [opened(&database).await, opened(&database).await];
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6 {
        let store = Arc::clone(&stores[writer % 2]);
        writers.spawn(async move {
            for number in 0..15 {
                let change = add(&format!("t-{writer}-{number}"));
                store.apply(&change, &Actor::person("test"), UNIX_EPOCH).await.expect("added");
            }
        });
    }
    for hand in 0..2 {
        let mut shell = database.shell().await;
        writers.spawn(async move {
            for number in 0..15 {
                let statement = format!(
                    "INSERT INTO tenants (id, name, created_at, updated_at) VALUES ('h-{hand}-{number}', 'x', 0, 0);
                     UPDATE tenants SET name = 'y' WHERE id LIKE 'h-%'"
                );
                shell.execute(sqlx::AssertSqlSafe(statement)).await.expect("changed");
            }
        });
    }
    let mut heard = HashMap::new();
    let mut position = stores[0].position().await.expect("it answers").beginning();
    let mut done = false;
    while !done || stores[0].position().await.expect("it answers") != position {
        let feed = stores[0].news(&position).await.expect("it answers");
        position = feed.position;
        for tenant in feed.tenants {
            *heard.entry(tenant).or_insert(0_u64) += 1;
        }
        done = done || writers.try_join_next().is_none() && writers.is_empty();
    }
    let revisions = stores[1].revisions().await.expect("it answers");
    assert_eq!(revisions.len(), 6 * 15 + 2 * 15);
    for (tenant, revision) in revisions {
        assert_eq!(heard.get(&tenant), Some(&revision), "each revision of {tenant} is told once");
    }
    let log = stores[0].audit(0, 1000).await.expect("it answers");
    assert_eq!(log.len(), 6 * 15);
    let mut before = None;
    for entry in &log {
        assert!(entry.follows(before), "the chain holds");
        before = Some(entry);
    }
}
