//! From SQLite to PostgreSQL and back: nothing is lost.

use std::sync::Arc;

use entitlements::StoreError;
use entitlements::store::{self, Actor, Change, Mode, Store};

use crate::cluster::Database;
use crate::everything::{id, lived_in, rare_columns, start};

async fn opened(url: &str) -> Arc<dyn Store> {
    store::open(url, Mode::ReadWrite).await.expect("it can be opened")
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn from_sqlite_to_postgres_and_back() {
    let folder = tempfile::tempdir().expect("there is room");
    let sqlite = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let database = Database::new().await;
    let first = opened(&sqlite("first.db")).await;
    lived_in(first.as_ref()).await;
    rare_columns(first.as_ref(), &sqlite("first.db")).await;
    let second = opened(&database.url()).await;
    let third = opened(&sqlite("third.db")).await;

    let there = store::copy(first.as_ref(), second.as_ref()).await.expect("it is copied");
    assert_eq!((there.audit_entries, there.changed_meanwhile.len()), (14, 0));
    let counts: Vec<_> =
        there.counts.iter().map(|(table, rows)| format!("{table} {rows}")).collect();
    assert_eq!(
        counts,
        [
            "tenants 3",
            "tenant_organizations 2",
            "catalogs 2",
            "current_catalog 1",
            "licenses 4",
            "overrides 2",
            "audit_log 14",
            "audit_anchors 2"
        ]
    );
    let back = store::copy(second.as_ref(), third.as_ref()).await.expect("it is copied back");
    assert_eq!(back.digest, there.digest);
    // Rows and digests agree in both directions, and the database itself has what nobody else reads.
    let kept = first.contents().await.expect("it answers");
    assert_eq!(kept.digest(), there.digest);
    for copy in [&second, &third] {
        assert_eq!(copy.contents().await.expect("it answers"), kept);
    }
    let rare: (Vec<u8>, String, i64, i64, i64) = sqlx::query_as(
        "SELECT signed_doc, key_id,
                (SELECT count(*) FROM audit_log WHERE request_id = 'req — 1'),
                (SELECT count(*) FROM overrides WHERE ticket = 'ACME-7'),
                (SELECT count(*) FROM audit_anchors WHERE octet_length(signature) > 0)
         FROM licenses WHERE id = 'lic_file'",
    )
    .fetch_one(&mut database.shell().await)
    .await
    .expect("it is there");
    assert_eq!(rare, (vec![0, 0xff, 0x0a, 0], "key — 1".to_owned(), 1, 2, 2));
    for tenant in ["acme", "globex", "gone"] {
        let read = first.load(&id(tenant)).await.expect("it answers");
        assert!(read.is_some());
        assert_eq!(second.load(&id(tenant)).await.expect("it answers"), read);
        assert_eq!(third.load(&id(tenant)).await.expect("it answers"), read);
    }
    assert_eq!(third.audit(0, 100).await, first.audit(0, 100).await);

    // The new store lives on: the next audit entry follows the last one, ids stay used.
    let add = Change::AddTenant { id: id("new"), name: "x".to_owned(), organizations: Vec::new() };
    second.apply(&add, &Actor::system(), start()).await.expect("it is added");
    let again = Change::AddTenant { id: id("gone"), name: "x".to_owned(), organizations: vec![] };
    second.apply(&again, &Actor::system(), start()).await.expect_err("it was used");

    // A store that has something is not written over, and keeps what it has.
    for full in [&second, &third] {
        let before = full.contents().await.expect("it answers");
        let error = store::copy(first.as_ref(), full.as_ref()).await.expect_err("it is full");
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        assert!(error.to_string().contains("not empty"), "{error}");
        assert_eq!(full.contents().await.expect("it answers"), before);
    }
}
