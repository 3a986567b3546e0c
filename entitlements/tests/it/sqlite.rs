//! The embedded store: the suite that every store passes, and what only a file has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entitlements::StoreError;
use entitlements::store::{self, Mode, Store, conformance};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};

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
    assert!(matches!(error, StoreError::Schema(_)), "{error}");
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

/// What must never happen is refused by the database, also to whoever has a shell.
#[tokio::test]
async fn the_database_refuses_what_must_never_happen() {
    let file = File::new();
    file.open(Mode::ReadWrite).await.expect("it is created");
    let mut shell = file.shell().await;
    for statement in [
        "INSERT INTO tenants (id, name, created_at, updated_at) VALUES ('acme', 'Acme', 0, 0)",
        "INSERT INTO tenants (id, name, created_at, updated_at) VALUES ('globex', 'Globex', 0, 0)",
        "INSERT INTO licenses (id, tenant_id, kind, plan, starts_at, source, created_at, created_by)
         VALUES ('lic_1', 'acme', 'base', 'mid', 0, 'manual', 0, 'sue')",
        "UPDATE licenses SET revoked_at = 5, status_reason = 'x' WHERE id = 'lic_1'",
        "INSERT INTO overrides (id, tenant_id, feature, effect, starts_at, ends_at, reason, created_at, created_by)
         VALUES ('ovr_1', 'acme', 'topology_graph', 'deny', 0, 9, 'because of it', 0, 'sue')",
        "INSERT INTO audit_log (seq, at, actor, actor_kind, action, object, prev_hash, hash)
         VALUES (1, 0, 'sue', 'person', 'x', 'y', zeroblob(32), randomblob(32))",
        "UPDATE tenants SET status = 'closed', status_reason = 'x' WHERE id = 'globex'",
    ] {
        shell.execute(statement).await.expect(statement);
    }
    let tenant = "INSERT INTO tenants (created_at, updated_at, name, id) VALUES (0, 0, 'x', ";
    let license = "INSERT INTO licenses (id, source, created_at, created_by, tenant_id, kind, plan, starts_at, ends_at, grace_s, quantity) VALUES ('l', 'manual', 0, 'sue', ";
    let exception = "INSERT INTO overrides (id, tenant_id, feature, created_at, created_by, effect, value, starts_at, ends_at, permanent, reason) VALUES ('o', 'acme', 'exchange_replay', 0, 'sue', ";
    let bad = [
        format!("{tenant}'Acme')"),
        format!("{tenant}'-acme')"),
        format!("{tenant}'ac me')"),
        format!("{tenant}'')"),
        format!("{tenant}'{}')", "a".repeat(64)),
        format!("{tenant}'acme')"),
        format!("{tenant}x'61')"),
        "UPDATE tenants SET id = 'other' WHERE id = 'acme'".to_owned(),
        "DELETE FROM tenants WHERE id = 'globex'".to_owned(),
        "UPDATE tenants SET status = 'active' WHERE id = 'globex'".to_owned(),
        "UPDATE tenants SET status = 'suspended' WHERE id = 'acme'".to_owned(),
        "UPDATE tenants SET status = 'gone' WHERE id = 'acme'".to_owned(),
        "UPDATE tenants SET revision = 1 WHERE id = 'acme'".to_owned(),
        format!("{license}'nobody', 'base', 'mid', 0, 9, 0, 1)"),
        format!("{license}'acme', 'gift', 'mid', 0, 9, 0, 1)"),
        format!("{license}'acme', 'base', 'mid', 9, 9, 0, 1)"),
        format!("{license}'acme', 'base', 'mid', 0, 9, -1, 1)"),
        format!("{license}'acme', 'base', 'mid', 0, 9, 0, 2)"),
        format!("{license}'acme', 'addon', 'pack', 0, 9, 0, 0)"),
        format!("{license}'acme', 'trial', 'mid', 0, 9, 1, 1)"),
        format!("{license}'acme', 'trial', 'mid', 0, NULL, 0, 1)"),
        format!("{license}'acme', 'base', 'mid', 'soon', 9, 0, 1)"),
        "UPDATE licenses SET revoked_at = NULL WHERE id = 'lic_1'".to_owned(),
        "UPDATE licenses SET tenant_id = 'globex' WHERE id = 'lic_1'".to_owned(),
        "DELETE FROM licenses".to_owned(),
        format!("{exception}'deny', NULL, 0, NULL, 0, 'because of it')"),
        format!("{exception}'deny', NULL, 0, 9, 1, 'because of it')"),
        format!("{exception}'deny', 'yes', 0, 9, 0, 'because of it')"),
        format!("{exception}'raise', NULL, 0, 9, 0, 'because of it')"),
        format!("{exception}'raise', 'yes', 9, 9, 0, 'because of it')"),
        format!("{exception}'raise', 'yes', 0, 9, 0, '   no   ')"),
        "DELETE FROM overrides".to_owned(),
        "DELETE FROM audit_log".to_owned(),
        "UPDATE audit_log SET actor = 'mallory'".to_owned(),
        "INSERT INTO audit_log (seq, at, actor, actor_kind, action, object, prev_hash, hash)
         VALUES (2, 0, 'sue', 'person', 'x', 'y', zeroblob(32), randomblob(32))"
            .to_owned(),
        "INSERT INTO audit_log (seq, at, actor, actor_kind, action, object, prev_hash, hash)
         SELECT 3, 0, 'sue', 'person', 'x', 'y', hash, randomblob(32) FROM audit_log"
            .to_owned(),
    ];
    for statement in bad {
        let outcome = shell.execute(sqlx::AssertSqlSafe(statement.clone())).await;
        let Err(sqlx::Error::Database(error)) = outcome else {
            panic!("not refused: {statement}: {outcome:?}")
        };
        // Refused by a rule, not for a mistake in this test: 19 is SQLITE_CONSTRAINT.
        let code = error.code().and_then(|code| code.parse::<u32>().ok());
        assert_eq!(code.map(|code| code & 0xff), Some(19), "{statement}: {error}");
    }
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
        assert!(store.position().await.expect("it answers") > place, "{statement}");
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
