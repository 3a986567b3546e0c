//! The service before a real SQLite file: what another process changes arrives by itself.

use std::time::Duration;

use entitlements::store::{self, Actor, Change, Mode, Organization};
use entitlements::testing::license;
use entitlements::{EntitlementService, TenantId, TenantRef, TenantStatus, parse_time};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::catalog;

const ISSUER: &str = "https://id.test/oidc";

/// Waits until the condition holds; a second is what is promised.
async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let started = tokio::time::Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        if holds().await {
            return started.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not within a second");
}

fn acme() -> TenantId {
    "acme".parse().expect("it is a tenant id")
}

/// The moment of every change; that it lies in the past matters to nothing.
fn now() -> std::time::SystemTime {
    parse_time("2026-11-22T12:00:00Z").expect("it is a time")
}

fn organization(id: &str) -> Organization {
    Organization { issuer: ISSUER.to_owned(), id: id.to_owned() }
}

#[tokio::test]
async fn changes_by_another_process_arrive_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tiergate.db").display());
    let service = EntitlementService::connect(&url, catalog()).await.unwrap();
    assert!(service.ready());

    // Another process: a store of its own.
    let admin = store::open(&url, Mode::ReadWrite).await.unwrap();
    let by = Actor::person("test");
    let apply = async |change: Change| {
        admin.apply(&change, &by, now()).await.unwrap();
    };
    let token = TenantRef::Organization { issuer: ISSUER, organization: "org_1" };

    // Unknown first, and remembered as unknown; the change clears that.
    assert_eq!(service.entitlements(token).await.unwrap_err().reason().code(), "unknown_tenant");
    apply(Change::AddTenant {
        id: acme(),
        name: "Acme".to_owned(),
        organizations: vec![organization("org_1")],
    })
    .await;
    soon("the new tenant", async || service.entitlements(token).await.is_ok()).await;
    let set = service.entitlements(token).await.unwrap();
    assert_eq!(set.usable().unwrap_err().reason.code(), "no_license");

    let tier = |wanted: Option<&'static str>| {
        let service = service.clone();
        async move || service.cached(token).is_some_and(|set| set.tier() == wanted)
    };
    apply(Change::GrantLicense { tenant: acme(), license: license("lic_1", "low") }).await;
    soon("the license", tier(Some("low"))).await;
    apply(Change::GrantLicense { tenant: acme(), license: license("lic_2", "high") }).await;
    let took = soon("the upgrade", tier(Some("high"))).await;
    println!("an upgrade by another process was in force after {took:?}");
    let reason = "not paid".to_owned();
    apply(Change::RevokeLicense { license: "lic_2".to_owned(), reason }).await;
    soon("the revocation", tier(Some("low"))).await;
    let suspend = Change::SetTenantStatus {
        tenant: acme(),
        status: TenantStatus::Suspended,
        reason: Some("abuse".to_owned()),
    };
    apply(suspend).await;
    soon("the suspension", async || {
        service.cached(token).is_some_and(|set| {
            set.admitted().is_err_and(|denial| denial.reason.code() == "tenant_suspended")
        })
    })
    .await;
    apply(Change::UnmapOrganization { organization: organization("org_1") }).await;
    soon("the organization that is gone", async || service.entitlements(token).await.is_err())
        .await;
}

/// One row that nobody can read costs its tenant the answers, and nobody else the news.
#[tokio::test]
async fn a_row_that_cannot_be_read_stops_only_its_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiergate.db");
    let url = format!("sqlite:{}", path.display());
    let admin = store::open(&url, Mode::ReadWrite).await.unwrap();
    let (acme, globex) = (acme(), "globex".parse().expect("it is a tenant id"));
    for id in [&acme, &globex] {
        let (name, organizations) = (id.to_string(), vec![organization(&format!("org_{id}"))]);
        let add = Change::AddTenant { id: id.clone(), name, organizations };
        admin.apply(&add, &Actor::person("test"), now()).await.unwrap();
        let license = license(&format!("lic_{id}"), "mid");
        let grant = Change::GrantLicense { tenant: id.clone(), license };
        admin.apply(&grant, &Actor::person("test"), now()).await.unwrap();
    }
    let service = EntitlementService::connect(&url, catalog()).await.unwrap();
    for id in [&acme, &globex] {
        service.entitlements(TenantRef::Id(id)).await.unwrap();
    }
    let mut shell = SqliteConnection::connect(&url).await.unwrap();
    let broken = "PRAGMA ignore_check_constraints = ON;
                  UPDATE licenses SET kind = 'gift' WHERE tenant_id = 'acme'";
    shell.execute(broken).await.unwrap();
    soon("the loss of one", async || service.status().unreadable > 0).await;
    assert!(service.cached(TenantRef::Id(&acme)).is_none());
    let error = service.entitlements(TenantRef::Id(&acme)).await.unwrap_err();
    assert_eq!(error.reason().code(), "store_unavailable");
    let seen = service.status().unreadable;
    assert!(service.entitlements(TenantRef::Id(&acme)).await.is_err());
    assert_eq!(service.status().unreadable, seen, "it is not read for each question");

    let reason = Some("unpaid".to_owned());
    let (tenant, status) = (globex.clone(), TenantStatus::Suspended);
    let suspend = Change::SetTenantStatus { tenant, status, reason };
    admin.apply(&suspend, &Actor::person("test"), now()).await.unwrap();
    soon("the news of another", async || {
        service.cached(TenantRef::Id(&globex)).is_some_and(|set| set.usable().is_err())
    })
    .await;
    assert!(service.status().up);
    shell.execute("UPDATE licenses SET kind = 'base' WHERE tenant_id = 'acme'").await.unwrap();
    soon("the repair", async || service.entitlements(TenantRef::Id(&acme)).await.is_ok()).await;
}

/// A database whose clock decides: what a writer with another clock does counts at once.
#[tokio::test]
async fn a_clock_that_is_ahead_neither_postpones_a_grant_nor_a_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tiergate.db").display());
    let admin = store::open(&url, Mode::ReadWrite).await.unwrap();
    crate::clocks::a_writer_is_ahead(admin, &url).await;
}

/// A backup that is put in the place of the file: an open file goes on living, its rows do not.
#[tokio::test]
async fn a_file_that_is_replaced_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("sqlite:{}", path(name).display());
    let fill = async |name: &str, tiers: &[&str]| {
        let store = store::open(&url(name), Mode::ReadWrite).await.unwrap();
        let by = Actor::person("test");
        let organizations = vec![organization("org_1")];
        let add = Change::AddTenant { id: acme(), name: "Acme".to_owned(), organizations };
        store.apply(&add, &by, now()).await.unwrap();
        for (number, tier) in tiers.iter().enumerate() {
            let license = license(&format!("lic_{number}"), tier);
            let change = Change::GrantLicense { tenant: acme(), license };
            store.apply(&change, &by, now()).await.unwrap();
        }
    };
    fill("tiergate.db", &["low", "mid", "high"]).await;
    fill("backup.db", &["low"]).await;
    // Its feed is longer, so that nothing but the file itself tells that it is another one.
    let backup = store::open(&url("backup.db"), Mode::ReadWrite).await.unwrap();
    for number in 0..20 {
        let id = format!("other-{number}").parse().expect("it is a tenant id");
        let add = Change::AddTenant { id, name: "x".to_owned(), organizations: Vec::new() };
        backup.apply(&add, &Actor::person("test"), now()).await.unwrap();
    }
    drop(backup);
    let service = EntitlementService::connect(&url("tiergate.db"), catalog()).await.unwrap();
    let id = acme();
    let tier = async || {
        let set = service.entitlements(TenantRef::Id(&id)).await.ok()?;
        set.tier().map(str::to_owned)
    };
    assert_eq!(tier().await.as_deref(), Some("high"));
    for suffix in ["-wal", "-shm"] {
        let _missing_is_fine = std::fs::remove_file(path(&format!("tiergate.db{suffix}")));
    }
    std::fs::rename(path("backup.db"), path("tiergate.db")).unwrap();
    // Its revisions are lower: the copy that is there now counts, not the greater number.
    soon("the backup's license", async || tier().await.as_deref() == Some("low")).await;
}

#[tokio::test]
async fn reading_only_changes_nothing_and_sees_everything() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tiergate.db").display());
    let reader = || EntitlementService::builder(&url, catalog()).read_only(true);
    assert!(reader().connect().await.is_err(), "there is nothing to read");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let admin = store::open(&url, Mode::ReadWrite).await.unwrap();
    let service = reader().connect().await.unwrap();
    assert!(admin.current_catalog().await.unwrap().is_none(), "nothing was published");
    let organizations = vec![organization("org_1")];
    let add = Change::AddTenant { id: acme(), name: "Acme".to_owned(), organizations };
    admin.apply(&add, &Actor::person("test"), now()).await.unwrap();
    let token = TenantRef::Organization { issuer: ISSUER, organization: "org_1" };
    soon("the tenant", async || service.entitlements(token).await.is_ok()).await;
}

/// A file that was removed is missing, not new: what is known goes on, and nothing is created.
#[tokio::test]
async fn a_file_that_is_removed_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiergate.db");
    let url = format!("sqlite:{}", path.display());
    let admin = store::open(&url, Mode::ReadWrite).await.unwrap();
    let add = Change::AddTenant { id: acme(), name: "Acme".to_owned(), organizations: Vec::new() };
    admin.apply(&add, &Actor::person("test"), now()).await.unwrap();
    drop(admin);
    let service = EntitlementService::connect(&url, catalog()).await.unwrap();
    let id = acme();
    service.entitlements(TenantRef::Id(&id)).await.unwrap();
    let aside = folder.path().join("aside.db");
    std::fs::rename(&path, &aside).unwrap();
    soon("the loss", async || !service.status().up).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!path.exists());
    assert!(service.cached(TenantRef::Id(&id)).is_some());
    std::fs::rename(&aside, &path).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    soon("the return", async || service.status().up).await;
}
