//! A copy verifies itself: what is in the new store is what was in the old one, or it is an error.

use std::sync::Arc;
use std::time::Duration;

use entitlements::StoreError;
use entitlements::store::{self, Mode, Store};
use entitlements::testing::Faulty;
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tokio::task::JoinSet;

use crate::everything::{lived_in, rare_columns};

/// A new store, and a connection as its owner would have it.
struct New {
    _folder: tempfile::TempDir,
    url: String,
    store: Arc<dyn Store>,
    shell: SqliteConnection,
}

impl New {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let url = format!("sqlite:{}", folder.path().join("tiergate.db").display());
        let store = store::open(&url, Mode::ReadWrite).await.expect("it is created");
        let shell = SqliteConnection::connect(&url).await.expect("it is there");
        Self { _folder: folder, url, store, shell }
    }

    /// A store with something in every column.
    async fn filled() -> Self {
        let new = Self::new().await;
        lived_in(new.store.as_ref()).await;
        rare_columns(new.store.as_ref(), &new.url).await;
        new
    }
}

#[tokio::test]
async fn every_column_arrives() {
    let (from, to) = (New::filled().await, New::new().await);
    let (old, new) = (&from.store, &to.store);
    let copied = store::copy(old.as_ref(), new.as_ref()).await.expect("it is copied");
    assert_eq!((copied.audit_entries, copied.changed_meanwhile.len()), (14, 0));
    let kept = old.contents().await.expect("it answers");
    assert_eq!(new.contents().await.expect("it answers"), kept);
    assert_eq!(copied.digest, kept.digest());
    assert_eq!(new.audit(0, 100).await, old.audit(0, 100).await);
}

/// What is lost or altered after it was written is found when it is read back. Each is done by
/// whoever owns the file, between the writing and the reading.
#[tokio::test]
async fn a_copy_that_does_not_read_back_names_the_table() {
    let old = New::filled().await;
    let mut all = JoinSet::new();
    for (done, table) in [
        ("DROP TRIGGER overrides_stay; DELETE FROM overrides WHERE id = 'ovr_a'", "overrides"),
        ("UPDATE overrides SET ticket = 'ACME-8' WHERE id = 'ovr_a'", "overrides"),
        ("UPDATE licenses SET signed_doc = x'00ff0a01' WHERE id = 'lic_file'", "licenses"),
        ("UPDATE licenses SET key_id = 'another' WHERE id = 'lic_file'", "licenses"),
        ("UPDATE tenants SET name = 'Acme' WHERE id = 'acme'", "tenants"),
        ("DELETE FROM tenant_organizations WHERE tenant_id = 'acme'", "tenant_organizations"),
        (
            "DROP TRIGGER audit_is_not_rewritten; UPDATE audit_log SET request_id = NULL WHERE seq = 14",
            "audit_log",
        ),
        ("DROP TRIGGER audit_is_not_shortened; DELETE FROM audit_log WHERE seq = 14", "audit_log"),
        ("DROP TRIGGER anchors_stay; DELETE FROM audit_anchors WHERE seq = 2", "audit_anchors"),
        (
            "DROP TRIGGER anchors_are_not_rewritten; UPDATE audit_anchors SET signature = x'02'",
            "audit_anchors",
        ),
    ] {
        all.spawn(meddled_with(Arc::clone(&old.store), done, table));
    }
    all.join_all().await;
}

async fn meddled_with(old: Arc<dyn Store>, done: &'static str, table: &str) {
    let mut new = New::new().await;
    // Otherwise a tenant's revision grows with its rows, and would be found by itself.
    let alone = "DROP TRIGGER overrides_updated; DROP TRIGGER licenses_updated;
                 DROP TRIGGER organizations_deleted; DROP TRIGGER tenants_updated;";
    // It answers late that it is filled.
    let slow = Faulty::new(Arc::clone(&new.store));
    slow.set_delay(Duration::from_secs(1));
    let meddling = async {
        while new.store.tenant_count().await != Ok(2) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        new.shell.execute(AssertSqlSafe(format!("{alone} {done}"))).await.expect(done);
    };
    let (copied, ()) = tokio::join!(store::copy(old.as_ref(), slow.as_ref()), meddling);
    let error = copied.expect_err(done);
    assert!(matches!(error, StoreError::Corrupt(_)), "{done}: {error}");
    let told = error.to_string();
    assert!(told.contains(&format!("what was written: `{table}`")), "{done}: {told}");
}

/// A store that keeps something else than it is given takes nothing.
#[tokio::test]
async fn what_a_store_alters_while_it_is_filled_is_not_kept() {
    let old = New::filled().await;
    for (altering, table) in [
        (
            "AFTER INSERT ON licenses BEGIN UPDATE licenses SET plan = 'low' WHERE id = 'lic_file'; END",
            "licenses",
        ),
        (
            "AFTER INSERT ON tenants BEGIN UPDATE tenants SET name = 'x' WHERE id = NEW.id; END",
            "tenants",
        ),
        ("BEFORE INSERT ON audit_anchors BEGIN SELECT RAISE(IGNORE); END", "audit_anchors"),
    ] {
        let mut new = New::new().await;
        let trigger = format!("CREATE TRIGGER meddling {altering}");
        new.shell.execute(AssertSqlSafe(trigger)).await.expect(altering);
        let error = store::copy(old.store.as_ref(), new.store.as_ref()).await.expect_err(altering);
        let told = error.to_string();
        assert!(
            told.contains("nothing was copied") && told.contains(&format!("`{table}`")),
            "{told}"
        );
        assert!(
            new.store.contents().await.expect("it answers").counts().all(|(_, rows)| rows == 0)
        );
    }
}
