//! Stores as an older program left them.

use std::path::Path;

use sqlx::migrate::Migrator;

/// The first migration of a kind of database, and none that came later.
pub(crate) async fn migrations(kind: &str) -> Migrator {
    let folder = tempfile::tempdir().expect("there is room");
    let first = Path::new("migrations").join(kind).join("0001_initial.sql");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join(first);
    std::fs::copy(here, folder.path().join("0001_initial.sql")).expect("it is there");
    Migrator::new(folder.path()).await.expect("it is a migration")
}
