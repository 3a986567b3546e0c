//! Stores as an older program left them.

use std::path::Path;
use std::time::UNIX_EPOCH;

use entitlements::store::{self, Actor, Change, Mode};
use sqlx::migrate::Migrator;

/// The first migration of a kind of database, and none that came later.
pub(crate) async fn migrations(kind: &str) -> Migrator {
    let folder = tempfile::tempdir().expect("there is room");
    let first = Path::new("migrations").join(kind).join("0001_initial.sql");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join(first);
    std::fs::copy(here, folder.path().join("0001_initial.sql")).expect("it is there");
    Migrator::new(folder.path()).await.expect("it is a migration")
}

/// A license of a name that was allowed then.
pub(crate) fn license_of_a_long_name() -> String {
    format!(
        "INSERT INTO licenses (source, source_ref, created_at, created_by, id, tenant_id, kind, plan, starts_at)
         VALUES ('billing', '{}', 0, 'sue', 'lic_long', 'acme', 'base', 'mid', 0)",
        "x".repeat(300)
    )
}

/// A store that was filled as [`crate::forbidden::allowed`] says, and with such a license, is brought
/// up to date by the first who may write; who only reads says what is to be done.
pub(crate) async fn is_brought_up_to_date(url: &str) {
    let Err(error) = store::open(url, Mode::ReadOnly).await else { panic!("it was opened") };
    assert!(error.to_string().contains("open it once for writing"), "{error}");
    // Several processes may be the first.
    let opened = || store::open(url, Mode::ReadWrite);
    let (one, other) = tokio::join!(opened(), opened());
    let (one, other) = (one.expect("it is up to date"), other.expect("so it is for the other"));
    for store in [&one, &other] {
        assert_eq!(store.tenant_count().await, Ok(2));
    }
    // What was allowed then can still be ended.
    let revoke = Change::RevokeLicense { license: "lic_long".into(), reason: "over".into() };
    one.apply(&revoke, &Actor::person("test"), UNIX_EPOCH).await.expect("it is revoked");
    let acme = "acme".parse().expect("it is a tenant id");
    let store = store::open(url, Mode::ReadOnly).await.expect("now it can be read");
    let record = store.load(&acme).await.expect("it answers").expect("it is there");
    assert_eq!((record.licenses.len(), record.overrides.len()), (4, 4));
}
