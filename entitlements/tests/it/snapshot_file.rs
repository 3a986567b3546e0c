//! A snapshot beside a real SQLite file: what became of the store while nobody looked.

use std::path::PathBuf;
use std::time::Duration;

use entitlements::store::{self, Actor, Change, Mode};
use entitlements::{EntitlementService, EntitlementServiceBuilder, Freshness, SnapshotKey};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::time::sleep;

use crate::catalog;
use crate::snapshot::{ACME, GLOBEX, add, day, noon, reason};

/// A folder with a snapshot, and stores.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A place where a service has ended that followed a store with these changes, and knew acme.
    async fn left(store: &str, changes: &[Change]) -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a folder") };
        let url = place.url(store);
        let store = store::open(&url, Mode::ReadWrite).await.expect("a new store");
        for change in changes {
            store.apply(change, &Actor::person("test"), noon()).await.expect("it is done");
        }
        let service = place.start(&url).connect().await.expect("it is up");
        service.entitlements(ACME).await.expect("it is known");
        while !place.snapshot().exists() {
            sleep(Duration::from_millis(50)).await;
        }
        place
    }

    fn url(&self, store: &str) -> String {
        format!("sqlite:{}", self.folder.path().join(store).display())
    }

    fn snapshot(&self) -> PathBuf {
        self.folder.path().join("tiergate.snapshot")
    }

    fn start(&self, url: &str) -> EntitlementServiceBuilder {
        let key = SnapshotKey::new(&[7; 32]).expect("long enough");
        EntitlementService::builder(url, catalog()).clock(noon).snapshot(self.snapshot(), key)
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_not_made_anew() {
    let place = Place::left("tiergate.db", &[add("acme"), day()]).await;
    let url = place.url("tiergate.db");
    for entry in std::fs::read_dir(place.folder.path()).unwrap().map(Result::unwrap) {
        if entry.path() != place.snapshot() {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let begun = tokio::time::Instant::now();
    let service = place.start(&url).start();
    let set = service.entitlements(ACME).await.unwrap();
    println!("from the snapshot to the first answer: {:?}", begun.elapsed());
    assert!(matches!(set.freshness(), Freshness::Stale { .. }), "{:?}", set.freshness());
    sleep(Duration::from_millis(800)).await;
    assert!(service.cached(ACME).is_some_and(|set| set.usable().is_ok()));
    assert_eq!(reason(service.entitlements(GLOBEX).await), "store_unavailable");
    assert!(
        !place.folder.path().join("tiergate.db").exists(),
        "an empty store in its place would make everybody unknown"
    );
}

/// Takes out of a file what came after the first migration.
async fn as_an_older_program_left(url: &str) {
    let mut shell = SqliteConnection::connect(url).await.expect("it is there");
    shell
        .execute(
            "DROP TRIGGER tenants_begin_open; DROP TRIGGER changes_have_no_gaps;
             DROP TRIGGER licenses_have_a_short_source_ref; DROP INDEX tenants_open;
             DELETE FROM _sqlx_migrations WHERE version > 1;",
        )
        .await
        .expect("whoever owns the file can do anything");
}

/// A newer program starts with the snapshot of an older one, and brings the store up to date when it
/// reaches it.
#[tokio::test]
async fn a_store_of_an_older_program_is_brought_up_to_date_meanwhile() {
    let place = Place::left("tiergate.db", &[add("acme"), day(), add("globex")]).await;
    let url = place.url("tiergate.db");
    as_an_older_program_left(&url).await;

    let service = place.start(&url).start();
    assert!(service.entitlements(ACME).await.unwrap().usable().is_ok(), "from the snapshot");
    for _ in 0..100 {
        if service.entitlements(ACME).await.unwrap().freshness() == Freshness::Fresh {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    let set = service.entitlements(GLOBEX).await.expect("the store is asked");
    assert_eq!(set.freshness(), Freshness::Fresh);
    store::open(&url, Mode::ReadOnly).await.expect("it is up to date");
}

/// Installations may share a key by mistake; what one knows is no other's.
#[tokio::test]
async fn the_snapshot_of_another_store_is_refused() {
    let place = Place::left("there.db", &[add("acme"), day()]).await;
    let of_it = place.start(&place.url("there.db")).read_only(true).start();
    assert!(of_it.ready() && of_it.cached(ACME).is_some());
    let service = place.start(&place.url("here.db")).read_only(true).start();
    assert!(!service.ready() && service.cached(ACME).is_none());
    assert_eq!(reason(service.entitlements(ACME).await), "store_unavailable");
}
