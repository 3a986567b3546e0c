//! Clocks that differ: one check for each database that has a clock of its own.

use std::sync::Arc;

use entitlements::store::{Actor, Change, Store};
use entitlements::testing::{PLANS, license};
use entitlements::{
    Catalog, Effect, EntitlementService, License, Override, State, TenantRef, Value, parse_time,
};

/// A writer far ahead: what it does now counts now, for whoever has the right time.
pub(crate) async fn a_writer_is_ahead(store: Arc<dyn Store>, url: &str) {
    let ahead = parse_time("2100-01-01T00:00:00Z").expect("it is a time");
    let acme: entitlements::TenantId = "acme".parse().expect("it is a tenant id");
    let apply = async |change: Change| {
        store.apply(&change, &Actor::person("test"), ahead).await.expect("it is done");
    };
    let organizations = Vec::new();
    apply(Change::AddTenant { id: acme.clone(), name: "Acme".to_owned(), organizations }).await;
    let first = License { starts_at: ahead, created_at: ahead, ..license("lic_1", "low") };
    apply(Change::GrantLicense { tenant: acme.clone(), license: first }).await;
    // What is meant for later stays for later.
    let later = ahead + std::time::Duration::from_secs(1);
    let second = License { starts_at: later, created_at: ahead, ..license("lic_2", "high") };
    apply(Change::GrantLicense { tenant: acme.clone(), license: second }).await;
    let replay: entitlements::FeatureKey = "exchange_replay".parse().expect("it is a feature");
    let exception = Override {
        id: "ovr_1".to_owned(),
        feature: replay.clone(),
        effect: Effect::Raise("yes".to_owned()),
        starts_at: ahead,
        ends_at: None,
        reason: "a promise".to_owned(),
        ticket: None,
        created_by: "test".to_owned(),
        revoked_at: None,
    };
    apply(Change::AddOverride { tenant: acme.clone(), exception }).await;

    let catalog = Catalog::parse(PLANS).expect("the shipped plans are right");
    let ask = async || {
        let service = EntitlementService::connect(url, catalog.clone()).await.expect("it is up");
        service.entitlements(TenantRef::Id(&acme)).await.expect("it is known")
    };
    let set = ask().await;
    assert_eq!((set.state(), set.tier()), (State::Active, Some("low")));
    assert_eq!(set.value(&replay), Some(&Value::Switch(true)));
    apply(Change::RevokeOverride { id: "ovr_1".to_owned(), reason: "over".to_owned() }).await;
    let reason = "refund".to_owned();
    apply(Change::RevokeLicense { license: "lic_1".to_owned(), reason }).await;
    let (_, first) = store.license("lic_1").await.expect("it answers").expect("it is there");
    assert!(first.revoked_at.is_some_and(|at| at < ahead), "{:?}", first.revoked_at);
    let set = ask().await;
    assert!(set.usable().is_err());
    let log = store.audit(0, 100).await.expect("it answers");
    assert!(log.iter().all(|entry| entry.at < ahead));
}
