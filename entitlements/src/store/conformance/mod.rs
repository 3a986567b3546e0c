//! What every store does: one suite, run against each back end.
//!
//! Each check takes an empty store; [`ALL`] lists them. A back end's test opens a fresh store for
//! each and runs it.

mod plans;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Actor, COUNTED, Change, Organization, Place, Receipt, Refusal, Store, StoreError};
use crate::model::{
    Effect, License, LicenseKind, LicenseSource, Override, Pin as CatalogPin, TenantId,
    TenantStatus, time::from_micros,
};

/// One check: it panics if the store does not do what stores do.
pub type Check = fn(Arc<dyn Store>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Every check with its name.
pub const ALL: [(&str, Check); 12] = [
    ("an empty store", |store| Box::pin(an_empty_store(store))),
    ("tenants", |store| Box::pin(tenants(store))),
    ("organizations", |store| Box::pin(organizations(store))),
    ("a tenant's status", |store| Box::pin(statuses(store))),
    ("licenses", |store| Box::pin(licenses(store))),
    ("bad licenses", |store| Box::pin(bad_licenses(store))),
    ("the history of a license", |store| Box::pin(history(store))),
    ("overrides", |store| Box::pin(overrides(store))),
    ("catalogs", |store| Box::pin(plans::catalogs(store))),
    ("plans that orphan a license", |store| Box::pin(plans::orphans(store))),
    ("the feed", |store| Box::pin(feed(store))),
    ("the audit log", |store| Box::pin(audit(store))),
];

async fn an_empty_store(store: Arc<dyn Store>) {
    assert_eq!(store.tenant_count().await, Ok(0));
    assert_eq!(store.load(&id("acme")).await, Ok(None));
    assert_eq!(store.tenant_of("https://id.test", "org_1").await, Ok(None));
    assert_eq!(store.license("lic_1").await, Ok(None));
    assert_eq!(store.position().await.expect("it answers").seq, 0);
    assert!(store.current_catalog().await.expect("it answers").is_none());
    assert_eq!(store.audit(0, 10).await, Ok(Vec::new()));
}

async fn tenants(store: Arc<dyn Store>) {
    add(&store, "globex", &[]).await;
    let receipt = add(&store, "acme", &[]).await;
    let record = store.load(&id("acme")).await.expect("it answers").expect("it is there");
    assert_eq!((record.revision, record.status), (receipt.revision, TenantStatus::Active));
    assert_eq!(record.name, "The acme");
    let again = Change::AddTenant { id: id("acme"), name: "x".to_owned(), organizations: vec![] };
    let exists = Refusal::Exists { what: "tenant", name: "acme".to_owned() };
    assert_eq!(refused(&store, again).await, exists);
    let nameless =
        Change::AddTenant { id: id("other"), name: String::new(), organizations: vec![] };
    refused(&store, nameless).await;
    let list = store.tenants().await.expect("it answers");
    let ids: Vec<_> = list.iter().map(|tenant| tenant.id.as_str()).collect();
    assert_eq!(ids, ["acme", "globex"], "in the order of ids");
    assert_eq!(list[0].created_at, moment(0));
    assert_eq!(store.tenant_count().await, Ok(2));
    for n in 0..COUNTED {
        add(&store, &format!("many-{n}"), &[]).await;
    }
    assert_eq!(store.tenant_count().await, Ok(u64::from(COUNTED)), "and no further");
}

async fn organizations(store: Arc<dyn Store>) {
    let (here, there) = (organization("https://id.test"), organization("https://other.test"));
    add(&store, "acme", std::slice::from_ref(&here)).await;
    add(&store, "globex", std::slice::from_ref(&there)).await;
    let tenant_of = async |organization: &Organization| {
        store.tenant_of(&organization.issuer, &organization.id).await.expect("it answers")
    };
    // Two issuers may use one id.
    assert_eq!(tenant_of(&here).await, Some(id("acme")));
    let mut all = store.mappings().await.expect("it answers");
    all.sort();
    assert_eq!(all, [(here.clone(), id("acme")), (there.clone(), id("globex"))]);
    assert_eq!(tenant_of(&there).await, Some(id("globex")));
    // What looks alike is not the same.
    assert_eq!(store.tenant_of("https://id.test/", "org_1").await, Ok(None));
    assert_eq!(store.tenant_of("https://id.test", "ORG_1").await, Ok(None));

    let taken = Change::MapOrganization { tenant: id("globex"), organization: here.clone() };
    assert!(matches!(refused(&store, taken.clone()).await, Refusal::Forbidden(_)));
    // A tenant whose organization is taken is not added either.
    let half = Change::AddTenant {
        id: id("half"),
        name: "half".to_owned(),
        organizations: vec![here.clone()],
    };
    refused(&store, half).await;
    assert_eq!(store.load(&id("half")).await, Ok(None));

    let before = revision(&store, "acme").await;
    apply(&store, Change::UnmapOrganization { organization: here.clone() }).await;
    assert!(revision(&store, "acme").await > before, "losing an organization is a change");
    refused(&store, Change::UnmapOrganization { organization: here.clone() }).await;
    apply(&store, taken).await;
    assert_eq!(tenant_of(&here).await, Some(id("globex")));
    let held = store.organizations(&id("globex")).await.expect("it answers");
    assert_eq!(held, [here.clone(), there]);
    let nobody = Change::MapOrganization { tenant: id("nobody"), organization: here };
    assert!(matches!(refused(&store, nobody).await, Refusal::NotFound { what: "tenant", .. }));
}

async fn statuses(store: Arc<dyn Store>) {
    add(&store, "acme", &[]).await;
    let set = |status, reason: Option<&str>| Change::SetTenantStatus {
        tenant: id("acme"),
        status,
        reason: reason.map(str::to_owned),
    };
    refused(&store, set(TenantStatus::Active, None)).await;
    refused(&store, set(TenantStatus::Suspended, None)).await;
    apply(&store, set(TenantStatus::Suspended, Some("unpaid"))).await;
    let record = store.load(&id("acme")).await.expect("it answers").expect("it is there");
    assert_eq!(record.status, TenantStatus::Suspended);
    assert_eq!(record.status_reason.as_deref(), Some("unpaid"));
    apply(&store, set(TenantStatus::Active, None)).await;
    apply(&store, set(TenantStatus::Closed, Some("gone"))).await;
    assert_eq!(store.tenant_count().await, Ok(0), "closed tenants are not counted");
    // Closed is for good, and the id is never used again.
    refused(&store, set(TenantStatus::Active, None)).await;
    let again = Change::AddTenant { id: id("acme"), name: "x".to_owned(), organizations: vec![] };
    refused(&store, again).await;
    refused(&store, grant("acme", license("lic_1"))).await;
    let organization = organization("https://id.test");
    refused(&store, Change::MapOrganization { tenant: id("acme"), organization }).await;
}

async fn licenses(store: Arc<dyn Store>) {
    add(&store, "acme", &[]).await;
    let base = License {
        ends_at: Some(moment(100)),
        grace: Duration::from_secs(7),
        source: LicenseSource::Billing,
        source_ref: Some("sub_1".to_owned()),
        ..license("lic_1")
    };
    let trial = License { kind: LicenseKind::Trial, ends_at: Some(moment(5)), ..license("lic_2") };
    let addon = License { kind: LicenseKind::Addon, quantity: 3, ..license("lic_3") };
    for license in [&base, &trial, &addon] {
        let before = revision(&store, "acme").await;
        let receipt = apply(&store, grant("acme", license.clone())).await;
        assert!(receipt.revision > before);
        let (tenant, read) =
            store.license(&license.id).await.expect("it answers").expect("it is there");
        assert_eq!((tenant.as_str(), &read), ("acme", license), "it reads as it was written");
    }
    let from = async |source, name| store.license_from(source, name).await.expect("it answers");
    let found = from(LicenseSource::Billing, "sub_1").await.expect("it is there");
    assert_eq!((found.0.as_str(), &found.1), ("acme", &base), "a source finds its own");
    assert_eq!(from(LicenseSource::Import, "sub_1").await, None);
    assert_eq!(from(LicenseSource::Billing, "sub_2").await, None);
    let record = store.load(&id("acme")).await.expect("it answers").expect("it is there");
    assert_eq!(record.licenses, [base, trial, addon]);
}

async fn bad_licenses(store: Arc<dyn Store>) {
    add(&store, "acme", &[]).await;
    let billed = License {
        source: LicenseSource::Billing,
        source_ref: Some("sub_1".to_owned()),
        ..license("lic_1")
    };
    apply(&store, grant("acme", billed.clone())).await;
    let before = (revision(&store, "acme").await, store.position().await);
    let bad = [
        license("lic_1"),
        License { id: "lic_2".to_owned(), ..billed },
        License { ends_at: Some(moment(0)), ..license("lic_3") },
        License { kind: LicenseKind::Trial, ..license("lic_4") },
        License { quantity: 2, ..license("lic_5") },
        License { kind: LicenseKind::Addon, quantity: 0, ..license("lic_6") },
        License {
            pin: Some(CatalogPin { digest: "0".repeat(64), catalog: None }),
            ..license("lic_7")
        },
    ];
    for license in bad {
        refused(&store, grant("acme", license)).await;
    }
    assert!(matches!(
        refused(&store, grant("nobody", license("lic_8"))).await,
        Refusal::NotFound { what: "tenant", .. }
    ));
    // What is refused leaves no trace.
    assert_eq!((revision(&store, "acme").await, store.position().await), before);
    let record = store.load(&id("acme")).await.expect("it answers").expect("it is there");
    assert_eq!(record.licenses.len(), 1);
    assert_eq!(store.audit(0, 100).await.expect("it answers").len(), 2);
}

async fn history(store: Arc<dyn Store>) {
    add(&store, "acme", &[]).await;
    apply(&store, grant("acme", license("lic_1"))).await;
    let read = async || store.license("lic_1").await.expect("it answers").expect("it is there").1;
    let name = || "lic_1".to_owned();
    let why = || "because".to_owned();

    refused(&store, Change::ResumeLicense { license: name() }).await;
    apply(&store, Change::SuspendLicense { license: name(), reason: why() }).await;
    let suspended = read().await;
    assert!(suspended.suspended_at.is_some());
    assert_eq!(suspended.status_reason.as_deref(), Some("because"));
    refused(&store, Change::SuspendLicense { license: name(), reason: why() }).await;
    apply(&store, Change::ResumeLicense { license: name() }).await;
    assert_eq!(read().await, license("lic_1"));
    apply(&store, Change::RevokeLicense { license: name(), reason: why() }).await;
    assert!(read().await.revoked_at.is_some());
    for change in [
        Change::RevokeLicense { license: name(), reason: why() },
        Change::SuspendLicense { license: name(), reason: why() },
        Change::ResumeLicense { license: name() },
    ] {
        refused(&store, change).await;
    }
    let nothing = Change::RevokeLicense { license: "lic_9".to_owned(), reason: why() };
    assert!(matches!(refused(&store, nothing).await, Refusal::NotFound { what: "license", .. }));
}

async fn overrides(store: Arc<dyn Store>) {
    add(&store, "acme", &[]).await;
    let exception = |name: &str, effect: Effect, start: i64, end: Option<i64>| Override {
        id: name.to_owned(),
        feature: "exchange_replay".parse().expect("it is a feature"),
        effect,
        starts_at: moment(start),
        ends_at: end.map(moment),
        reason: "a promise".to_owned(),
        ticket: None,
        created_by: "sue".to_owned(),
        revoked_at: None,
    };
    let change = |exception: &Override| Change::AddOverride {
        tenant: id("acme"),
        exception: exception.clone(),
    };
    let yes = || Effect::Raise("yes".to_owned());
    let first = exception("ovr_1", yes(), 0, Some(10));
    apply(&store, change(&first)).await;
    // Back to back is fine, overlap of one effect is not; another effect may overlap.
    refused(&store, change(&exception("ovr_2", yes(), 9, Some(20)))).await;
    refused(&store, change(&exception("ovr_2", yes(), 0, None))).await;
    let next =
        Override { ticket: Some("ACME-7".to_owned()), ..exception("ovr_2", yes(), 10, None) };
    apply(&store, change(&next)).await;
    let denial = exception("ovr_3", Effect::Deny, 5, Some(6));
    apply(&store, change(&denial)).await;
    refused(&store, change(&exception("ovr_4", Effect::Deny, 8, Some(8)))).await;
    let no_reason =
        Override { reason: "  x  ".to_owned(), ..exception("ovr_5", yes(), -9, Some(-8)) };
    refused(&store, change(&no_reason)).await;
    let blanks = Override { reason: "no\t\t\n go".to_owned(), ..no_reason };
    refused(&store, change(&blanks)).await;

    let record = store.load(&id("acme")).await.expect("it answers").expect("it is there");
    assert_eq!(record.overrides, [first, next, denial]);
    let end = |id: &str| Change::RevokeOverride { id: id.to_owned(), reason: "over".to_owned() };
    apply(&store, end("ovr_1")).await;
    refused(&store, end("ovr_1")).await;
    refused(&store, end("ovr_9")).await;
    let record = store.load(&id("acme")).await.expect("it answers").expect("it is there");
    assert_eq!(record.overrides[0].revoked_at, Some(moment(1)));
    // A revoked one makes room.
    apply(&store, change(&exception("ovr_6", yes(), 0, Some(10)))).await;
}

async fn feed(store: Arc<dyn Store>) {
    add(&store, "acme", &[]).await;
    add(&store, "globex", &[]).await;
    let start = store.position().await.expect("it answers");
    apply(&store, grant("acme", license("lic_1"))).await;
    let news = store.news(&start).await.expect("it answers");
    assert!(news.position.seq > start.seq && !news.restarted);
    assert!(news.tenants.iter().all(|tenant| tenant.as_str() == "acme"), "{news:?}");
    assert!(!news.tenants.is_empty());
    // The same question has the same answer: nothing is told only once.
    assert_eq!(store.news(&start).await, Ok(news.clone()));
    let all = store.news(&start.beginning()).await.expect("it answers");
    assert!(all.tenants.contains(&id("globex")));
    // Without news it waits a while and gives up.
    let quiet = store.news(&news.position).await.expect("it answers");
    assert_eq!((&quiet.position, quiet.tenants.len()), (&news.position, 0));
    // With news it does not wait until it would give up; the promise is a second.
    let waiting = async {
        loop {
            let feed = store.news(&news.position).await.expect("it answers");
            if !feed.tenants.is_empty() {
                return feed;
            }
        }
    };
    let change = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        apply(&store, grant("globex", license("lic_2"))).await;
    };
    let both = async { tokio::join!(waiting, change).0 };
    let woken = tokio::time::timeout(Duration::from_secs(1), both).await;
    assert!(woken.expect("within a second").tenants.contains(&id("globex")));
    // Another copy was restored: a place that was never reached, one that was reached by another
    // history, and one of another store.
    let place = all.position;
    assert!(store.holds(&place).await.expect("it answers"));
    assert!(store.holds(&place.beginning()).await.expect("it answers"));
    for lost in [
        Place { seq: place.seq + 1_000, ..place.clone() },
        Place { mark: start.mark.clone(), ..place.clone() },
        Place { seq: start.seq, ..place.clone() },
        Place { store: "another".to_owned(), ..place.clone() },
        Place { store: "another".to_owned(), ..place.beginning() },
    ] {
        assert!(store.news(&lost).await.expect("it answers").restarted, "{lost:?}");
        assert!(!store.holds(&lost).await.expect("it answers"), "{lost:?}");
    }

    let revisions = store.revisions().await.expect("it answers");
    assert_eq!(revisions.len(), 2);
    for (tenant, told) in revisions {
        assert_eq!(revision(&store, tenant.as_str()).await, told);
    }
}

async fn audit(store: Arc<dyn Store>) {
    add(&store, "acme", &[organization("https://id.test")]).await;
    apply(&store, grant("acme", license("lic_1"))).await;
    let reason = "not paid".to_owned();
    apply(&store, Change::RevokeLicense { license: "lic_1".to_owned(), reason }).await;
    let log = store.audit(0, 100).await.expect("it answers");
    let told: Vec<_> = log.iter().map(|entry| (entry.seq, entry.action.as_str())).collect();
    assert_eq!(told, [(1, "tenant.add"), (2, "license.grant"), (3, "license.revoke")]);
    assert_eq!(log[2].reason.as_deref(), Some("not paid"));
    assert_eq!((log[2].actor.as_str(), log[2].actor_kind.as_str()), ("test", "person"));
    assert!(log[2].before.as_ref().is_some_and(|json| json.contains("\"revoked_at\":null")));
    let mut before = None;
    for entry in &log {
        assert!(entry.follows(before), "the chain holds");
        let mut forged = entry.clone();
        forged.actor.push('x');
        assert!(!forged.follows(before), "what was changed is seen");
        before = Some(entry);
    }
    assert!(!log[2].follows(Some(&log[0])), "what is missing is seen");
    assert_eq!(store.audit(1, 1).await.expect("it answers"), log[1..2]);
}

async fn add(store: &Arc<dyn Store>, tenant: &str, organizations: &[Organization]) -> Receipt {
    let change = Change::AddTenant {
        id: id(tenant),
        name: format!("The {tenant}"),
        organizations: organizations.to_vec(),
    };
    store.apply(&change, &Actor::person("test"), moment(0)).await.expect("it is added")
}

#[track_caller]
fn apply(store: &Arc<dyn Store>, change: Change) -> impl Future<Output = Receipt> {
    let place = std::panic::Location::caller();
    async move {
        match store.apply(&change, &Actor::person("test"), moment(1)).await {
            Ok(receipt) => receipt,
            Err(error) => panic!("{place}: {} is refused: {error}", change.action()),
        }
    }
}

#[track_caller]
fn refused(store: &Arc<dyn Store>, change: Change) -> impl Future<Output = Refusal> {
    let place = std::panic::Location::caller();
    async move {
        match store.apply(&change, &Actor::person("test"), moment(1)).await {
            Err(StoreError::Refused(refusal)) => refusal,
            other => panic!("{place}: {} is not refused but {other:?}", change.action()),
        }
    }
}

async fn revision(store: &Arc<dyn Store>, tenant: &str) -> u64 {
    let record = store.load(&id(tenant)).await.expect("it answers");
    record.expect("the tenant is there").revision
}

fn grant(tenant: &str, license: License) -> Change {
    Change::GrantLicense { tenant: id(tenant), license }
}

fn license(name: &str) -> License {
    let license = License::endless(name, LicenseKind::Base, "mid", moment(0));
    License { created_by: "test".to_owned(), ..license }
}

fn organization(issuer: &str) -> Organization {
    Organization { issuer: issuer.to_owned(), id: "org_1".to_owned() }
}

fn id(text: &str) -> TenantId {
    text.parse().expect("it is a tenant id")
}

fn moment(second: i64) -> SystemTime {
    from_micros(1_600_000_000_000_000 + second * 1_000_000)
}
