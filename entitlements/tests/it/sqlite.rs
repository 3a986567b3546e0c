//! The embedded store: the suite that every store passes, and what only a file has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entitlements::StoreError;
use entitlements::store::{self, Mode, Store, conformance};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};

use crate::{forbidden, older};

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("tiergate.db");
        Self { _folder: folder, path }
    }

    fn url(&self) -> String {
        url(&self.path)
    }

    async fn open(&self, mode: Mode) -> Result<Arc<dyn Store>, StoreError> {
        store::open(&self.url(), mode).await
    }

    /// A connection as an operator with a shell would have it.
    async fn shell(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(&self.path).foreign_keys(true);
        SqliteConnection::connect_with(&options).await.expect("the file can be opened")
    }
}

/// How SQLite writes 32 equal bytes.
fn bytes(byte: u8) -> String {
    format!("x'{}'", format!("{byte:02x}").repeat(32))
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

#[tokio::test]
async fn it_does_what_every_store_does() {
    for (name, check) in conformance::ALL {
        println!("{name}");
        let file = File::new();
        check(file.open(Mode::ReadWrite).await.expect("it is created")).await;
    }
}

#[tokio::test]
async fn a_new_file_is_its_owners_alone_and_reading_creates_none() {
    let file = File::new();
    let Err(missing) = file.open(Mode::ReadOnly).await else { panic!("it was opened") };
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    assert!(!file.path.exists());
    let _store = file.open(Mode::ReadWrite).await.expect("it is created");
    #[cfg(unix)]
    for name in ["tiergate.db", "tiergate.db-wal"] {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(file.path.with_file_name(name)).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    file.open(Mode::ReadOnly).await.expect("now it can be read");
}

#[tokio::test]
async fn a_store_that_is_only_read_is_not_written() {
    let file = File::new();
    file.open(Mode::ReadWrite).await.expect("it is created");
    let store = file.open(Mode::ReadOnly).await.expect("it is there");
    let change = store::Change::AddTenant {
        id: "acme".parse().expect("it is a tenant id"),
        name: "Acme".to_owned(),
        organizations: Vec::new(),
    };
    let by = store::Actor::person("test");
    let error = store.apply(&change, &by, std::time::UNIX_EPOCH).await.expect_err("refused");
    assert!(error.to_string().contains("for reading only"), "{error}");
}

#[tokio::test]
async fn other_files_are_no_stores() {
    let file = File::new();
    std::fs::write(&file.path, "this is not a database, but it is long enough to be looked at")
        .expect("there is room");
    for mode in [Mode::ReadOnly, Mode::ReadWrite] {
        let Err(error) = file.open(mode).await else { panic!("it was opened") };
        assert!(matches!(error, StoreError::Schema(_)), "{error}");
    }
    let empty = File::new();
    std::fs::write(&empty.path, "").expect("there is room");
    let Err(error) = empty.open(Mode::ReadOnly).await else { panic!("it was opened") };
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_not_touched() {
    let file = File::new();
    file.open(Mode::ReadWrite).await.expect("it is created");
    let mut shell = file.shell().await;
    shell
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', TRUE, x'00', 0)",
        )
        .await
        .expect("it is written");
    for mode in [Mode::ReadOnly, Mode::ReadWrite] {
        let Err(error) = file.open(mode).await else { panic!("it was opened") };
        assert!(matches!(error, StoreError::Schema(_)), "{error}");
    }
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let file = File::new();
    let options = SqliteConnectOptions::new().filename(&file.path).create_if_missing(true);
    let mut shell = SqliteConnection::connect_with(&options).await.expect("it is created");
    older::migrations("sqlite").await.run(&mut shell).await.expect("it is an older store");
    let long = older::license_of_a_long_name();
    for statement in forbidden::allowed(bytes).into_iter().chain([long]) {
        shell.execute(sqlx::AssertSqlSafe(statement.clone())).await.expect(&statement);
    }
    older::is_brought_up_to_date(&file.url()).await;
}

#[tokio::test]
async fn many_may_open_a_new_file_at_once() {
    let file = File::new();
    let url = file.url();
    let opened = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { store::open(&url, Mode::ReadWrite).await.map(drop) })
    });
    for opened in opened.collect::<Vec<_>>() {
        opened.await.expect("no panic").expect("it is a store for each");
    }
}

#[tokio::test]
async fn urls_that_name_no_file_are_refused_with_a_remedy() {
    for (url, remedy) in [
        ("sqlite:", "name a file"),
        ("sqlite::memory:", "name a file"),
        ("sqlite:a.db?mode=ro", "no parameters"),
        ("mysql://root:secret@db/x", "sqlite:FILE"),
        ("tiergate.db", "sqlite:FILE"),
    ] {
        let Err(error) = store::open(url, Mode::ReadWrite).await else { panic!("{url}") };
        let told = error.to_string();
        assert!(told.contains(remedy), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}

/// What only SQLite could let happen: rows that are replaced instead of refused, texts that go on
/// behind a NUL, numbers that are none.
#[rustfmt::skip]
fn refused_here(bytes: forbidden::Bytes) -> Vec<String> {
    let (ones, twos, threes) = (bytes(0x11), bytes(0x22), bytes(0x33));
    let replaced = forbidden::allowed(bytes).into_iter().filter(|it| it.starts_with("INSERT"));
    let replaced = replaced.map(|it| it.replacen("INSERT", "INSERT OR REPLACE", 1));
    // Of these, one may be written again, because it may change.
    let mut all: Vec<_> = replaced.filter(|it| !it.contains("current_catalog")).collect();
    all.extend([
        format!("INSERT OR REPLACE INTO audit_log (at, actor, actor_kind, action, object, seq, prev_hash, hash)
                 VALUES (0, 'sue', 'person', 'x', 'y', 3, {twos}, {ones})"),
        "INSERT OR REPLACE INTO changes (seq, tenant_id, revision) VALUES (1, 'globex', 9)".into(),
        "INSERT OR REPLACE INTO licenses (source, source_ref, created_at, created_by, id, tenant_id, kind, plan, starts_at)
         VALUES ('billing', 'sub_1', 0, 'sue', 'lic_9', 'acme', 'base', 'mid', 0)".into(),
        "UPDATE OR REPLACE licenses SET source = 'billing', source_ref = 'sub_1' WHERE id = 'lic_2'".into(),
        "UPDATE OR REPLACE licenses SET id = 'lic_1' WHERE id = 'lic_2'".into(),
        "UPDATE OR REPLACE overrides SET id = 'ovr_3' WHERE id = 'ovr_1'".into(),
        "UPDATE OR REPLACE tenants SET id = 'gone' WHERE id = 'acme'".into(),
        "UPDATE OR REPLACE tenant_organizations SET organization_id = 'org_1' WHERE organization_id = 'org_2'".into(),
        "INSERT INTO tenants (created_at, updated_at, name, id) VALUES (0, 0, 'x', x'61')".into(),
        "INSERT INTO tenants (created_at, updated_at, name, id) VALUES (0, 0, 'x', 'acme' || char(0))".into(),
        "INSERT INTO tenants (created_at, updated_at, name, id) VALUES (0, 0, 'x', 'other' || char(0) || 'x')".into(),
        "INSERT INTO tenants (created_at, updated_at, name, id) VALUES (0, 0, 'x' || char(0), 'other')".into(),
        "UPDATE tenants SET status_reason = 'x' || char(0) || 'y'".into(),
        "INSERT INTO tenant_organizations VALUES ('https://id.test', 'org_1' || char(0), 'acme', 0)".into(),
        "INSERT INTO tenant_organizations VALUES ('https://id.test' || char(0), 'org_1', 'acme', 0)".into(),
        "UPDATE licenses SET plan = 'mid' || char(0) || 'x' WHERE id = 'lic_2'".into(),
        "UPDATE overrides SET value = 'yes' || char(0) WHERE id = 'ovr_4'".into(),
        "UPDATE overrides SET reason = 'because' || char(0) WHERE id = 'ovr_4'".into(),
        "UPDATE licenses SET starts_at = 'soon' WHERE id = 'lic_2'".into(),
        format!("INSERT INTO audit_log (at, actor, actor_kind, action, object, seq, prev_hash, hash)
                 VALUES (0, 'sue' || char(0), 'person', 'x', 'y', 3, {twos}, {threes})"),
        "INSERT INTO changes (seq, tenant_id, revision) VALUES (999, 'acme', 9)".into(),
    ]);
    all
}

/// What must never happen is refused by the database, also to whoever has a shell, which does not
/// even keep to foreign keys.
#[tokio::test]
async fn the_database_refuses_what_must_never_happen() {
    let file = File::new();
    let store = file.open(Mode::ReadWrite).await.expect("it is created");
    let mut shell = file.shell().await;
    for statement in forbidden::allowed(bytes) {
        shell.execute(sqlx::AssertSqlSafe(statement.clone())).await.expect(&statement);
    }
    let before = store.contents().await.expect("it answers").digest();
    for keys in ["ON", "OFF"] {
        let pragma = format!("PRAGMA foreign_keys = {keys}");
        shell.execute(sqlx::AssertSqlSafe(pragma)).await.expect("it is set");
        for statement in forbidden::refused(bytes).into_iter().chain(refused_here(bytes)) {
            let outcome = shell.execute(sqlx::AssertSqlSafe(statement.clone())).await;
            let Err(sqlx::Error::Database(error)) = outcome else {
                panic!("not refused with foreign keys {keys}: {statement}: {outcome:?}")
            };
            // Refused by a rule, not for a mistake in this test: 19 is SQLITE_CONSTRAINT.
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            assert_eq!(code.map(|code| code & 0xff), Some(19), "{statement}: {error}");
        }
    }
    assert_eq!(store.contents().await.expect("it answers").digest(), before);
}

/// A copy carries every column: one that was added to the schema and not to the copy would be lost
/// without a word.
#[tokio::test]
async fn a_copy_knows_every_column_of_the_schema() {
    let file = File::new();
    let store = file.open(Mode::ReadWrite).await.expect("it is created");
    let contents = store.contents().await.expect("it answers");
    let copied: BTreeMap<_, BTreeSet<_>> = contents
        .columns()
        .map(|(table, columns)| {
            (table.to_owned(), columns.iter().map(|it| (*it).to_owned()).collect())
        })
        .collect();
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '_sqlx_migrations'",
    )
    .fetch_all(&mut file.shell().await)
    .await
    .expect("it answers");
    let mut there: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (table, column) in rows {
        there.entry(table).or_default().insert(column);
    }
    // What happened in one store, and which one it is, belongs to that one.
    for own in ["changes", "store_identity"] {
        there.remove(own).expect("it is there");
    }
    assert_eq!(copied, there);
}

/// The shell of Debian 12 is older than the library here; what it can do is enough for a change by
/// hand.
#[tokio::test]
#[ignore = "needs `sqlite3`; run cargo xtask test"]
async fn an_older_shell_can_change_the_store() {
    let file = File::new();
    let store = file.open(Mode::ReadWrite).await.expect("it is created");
    let statement =
        "INSERT INTO tenants (id, name, created_at, updated_at) VALUES ('acme', 'Acme', 0, 0)";
    let shell = std::process::Command::new("sqlite3").arg(&file.path).arg(statement).output();
    let done = shell.expect("`sqlite3` is on PATH");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(store.tenant_count().await, Ok(1));
}

/// A change by hand reaches running services too: the triggers feed it.
#[tokio::test]
async fn a_change_by_hand_grows_the_revision_and_is_in_the_feed() {
    let file = File::new();
    let store = file.open(Mode::ReadWrite).await.expect("it is created");
    let mut shell = file.shell().await;
    shell
        .execute(
            "INSERT INTO tenants (id, name, created_at, updated_at) VALUES ('acme', 'Acme', 0, 0)",
        )
        .await
        .expect("it is added");
    let acme = "acme".parse().expect("it is a tenant id");
    for statement in [
        "UPDATE tenants SET name = 'ACME' WHERE id = 'acme'",
        "INSERT INTO tenant_organizations VALUES ('https://id.test', 'org_1', 'acme', 0)",
        "DELETE FROM tenant_organizations",
        "INSERT INTO licenses (id, tenant_id, kind, plan, starts_at, source, created_at, created_by)
         VALUES ('lic_1', 'acme', 'base', 'mid', 0, 'manual', 0, 'sue')",
        "UPDATE licenses SET ends_at = 7 WHERE id = 'lic_1'",
        "INSERT INTO overrides (id, tenant_id, feature, effect, starts_at, ends_at, reason, created_at, created_by)
         VALUES ('ovr_1', 'acme', 'topology_graph', 'deny', 0, 9, 'because of it', 0, 'sue')",
        "UPDATE overrides SET revoked_at = 1, revoked_by = 'sue'",
    ] {
        let before = store.load(&acme).await.expect("it answers").expect("it is there").revision;
        let place = store.position().await.expect("it answers");
        shell.execute(statement).await.expect(statement);
        let after = store.load(&acme).await.expect("it answers").expect("it is there").revision;
        assert!(after > before, "{statement}");
        assert!(store.position().await.expect("it answers").seq > place.seq, "{statement}");
    }
}

fn add(tenant: &str) -> store::Change {
    store::Change::AddTenant {
        id: tenant.parse().expect("it is a tenant id"),
        name: tenant.to_owned(),
        organizations: Vec::new(),
    }
}

/// A copy says so if the old store went on changing: the new one has what was there at first.
#[tokio::test]
async fn a_copy_of_a_store_that_changes_is_told_to_be_old() {
    let (old, new) = (File::new(), File::new());
    let old = old.open(Mode::ReadWrite).await.expect("it is created");
    let new = new.open(Mode::ReadWrite).await.expect("it is created");
    let by = store::Actor::person("test");
    old.apply(&add("acme"), &by, std::time::UNIX_EPOCH).await.expect("it is added");
    let slow = entitlements::testing::Faulty::new(Arc::clone(&new));
    slow.set_delay(std::time::Duration::from_millis(500));
    let change = async {
        while new.tenant_count().await != Ok(1) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        old.apply(&add("globex"), &by, std::time::UNIX_EPOCH).await.expect("it is added");
    };
    let (copied, ()) = tokio::join!(store::copy(old.as_ref(), slow.as_ref()), change);
    let copied = copied.expect("it is copied");
    assert_eq!(copied.changed_meanwhile, ["tenants", "audit_log"]);
    assert_eq!(new.tenant_count().await, Ok(1));
    assert_eq!(copied.audit_entries, 1);
}

/// The feed is told in pages, and each says whether there is more: only the last one is all there is.
#[tokio::test]
async fn a_long_feed_is_told_in_pages() {
    let file = File::new();
    let store = file.open(Mode::ReadWrite).await.expect("it is created");
    let by = store::Actor::person("test");
    store.apply(&add("acme"), &by, std::time::UNIX_EPOCH).await.expect("it is added");
    let mut place = store.position().await.expect("it answers");
    let mut renames = String::new();
    for n in 0..2_500 {
        writeln!(renames, "UPDATE tenants SET name = 'n{n}' WHERE id = 'acme';")
            .expect("it is text");
    }
    let script = format!("BEGIN;{renames}COMMIT;");
    file.shell().await.execute(sqlx::AssertSqlSafe(script)).await.expect("they are made");
    let mut pages = Vec::new();
    loop {
        let feed = store.news(&place).await.expect("it answers");
        assert!(!feed.restarted);
        pages.push((feed.tenants.len(), feed.more));
        place = feed.position;
        if !feed.more {
            break;
        }
    }
    assert_eq!(pages, [(1000, true), (1000, true), (500, false)]);
    assert_eq!(place, store.position().await.expect("it answers"));
}

/// A log that was rewritten is not carried on as if it were the true one.
#[tokio::test]
async fn a_store_whose_audit_log_was_rewritten_is_not_copied() {
    let (old, new) = (File::new(), File::new());
    let store = old.open(Mode::ReadWrite).await.expect("it is created");
    let target = new.open(Mode::ReadWrite).await.expect("it is created");
    for tenant in ["acme", "globex"] {
        let by = store::Actor::person("test");
        store.apply(&add(tenant), &by, std::time::UNIX_EPOCH).await.expect("it is added");
    }
    let mut shell = old.shell().await;
    shell
        .execute(
            "DROP TRIGGER audit_is_not_rewritten;
             UPDATE audit_log SET actor = 'somebody else' WHERE seq = 2",
        )
        .await
        .expect("whoever owns the file can do anything");
    let error = store::copy(store.as_ref(), target.as_ref()).await.expect_err("it is seen");
    assert!(error.to_string().contains("entry 2"), "{error}");
    assert_eq!(target.tenant_count().await, Ok(0), "nothing was copied");
}
