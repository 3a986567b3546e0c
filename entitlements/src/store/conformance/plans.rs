//! Catalogs: which are kept, and which one is current.

use std::sync::Arc;
use std::time::Duration;

use super::{add, apply, grant, id, license, moment};
use crate::catalog::Catalog;
use crate::model::{License, LicenseKind, Pin, TenantStatus};
use crate::store::{Actor, Change, HeldPlan, Refusal, Store, StoreError};

pub(super) async fn catalogs(store: Arc<dyn Store>) {
    let plans = |days: u64| plans("\"one\"", &days.to_string(), "");
    let (old, new, kept) = (plans(7), plans(30), plans(90));
    let by = Actor::system();
    let publish = async |catalog: &Catalog| {
        store.publish(catalog, &by, moment(0)).await.expect("it is published");
        assert_eq!(current(&store).await, catalog.digest());
    };
    store.keep(&kept, &by, moment(0)).await.expect("it is kept");
    assert_eq!(store.current_digest().await, Ok(None), "what is only kept is not current");
    publish(&old).await;
    publish(&new).await;
    publish(&old).await;
    store.keep(&kept, &by, moment(0)).await.expect("it is kept already");
    assert_eq!(current(&store).await, old.digest(), "a pin is no change of plans");

    add(&store, "acme", &[]).await;
    for (name, catalog, days) in [("lic_1", &new, "30"), ("lic_2", &kept, "90")] {
        let pin = Some(Pin { digest: catalog.digest().to_owned(), catalog: None });
        let pinned = License { plan: "one".to_owned(), pin, ..license(name) };
        apply(&store, grant("acme", pinned)).await;
        let record = store.load(&id("acme")).await.expect("it answers").expect("it is there");
        let set = crate::resolve(&old, &record, moment(1));
        let told = set.features().next().map(|(_, value)| value.to_string());
        assert_eq!(told.as_deref(), Some(days), "the license keeps to the catalog it names");
    }
}

pub(super) async fn orphans(store: Arc<dyn Store>) {
    let addon = "[addons.pack]\ndays = 1\n";
    let both = plans("\"one\", \"two\"", "7, 8", addon);
    let one = plans("\"one\"", "7", "");
    let by = Actor::system();
    store.publish(&both, &by, moment(0)).await.expect("nobody holds anything");
    for tenant in ["acme", "globex", "gone"] {
        add(&store, tenant, &[]).await;
    }
    let of = |name: &str, plan: &str| License { plan: plan.to_owned(), ..license(name) };
    let pin = Some(Pin { digest: both.digest().to_owned(), catalog: None });
    let ends_at = Some(moment(10));
    let pack = License { kind: LicenseKind::Addon, quantity: 2, ..of("lic_7", "pack") };
    let trial = License { kind: LicenseKind::Trial, ends_at, ..of("lic_8", "two") };
    for (tenant, license) in [
        ("acme", of("lic_1", "one")),
        // These three do not count: one keeps to its plans, one is revoked, one can never be used.
        ("acme", License { pin, ..of("lic_2", "two") }),
        ("acme", of("lic_3", "two")),
        ("gone", of("lic_4", "two")),
        ("acme", License { ends_at, grace: Duration::from_secs(5), ..of("lic_5", "two") }),
        // One that is held may be resumed, and one that begins later begins.
        ("globex", License { starts_at: moment(9_000), ..of("lic_6", "two") }),
        ("globex", pack),
        ("globex", trial),
    ] {
        apply(&store, grant(tenant, license)).await;
    }
    let why = || "over".to_owned();
    let revoke = |name: &str| Change::RevokeLicense { license: name.to_owned(), reason: why() };
    apply(&store, revoke("lic_3")).await;
    apply(&store, Change::SuspendLicense { license: "lic_6".to_owned(), reason: why() }).await;
    let (tenant, status) = (id("gone"), TenantStatus::Closed);
    apply(&store, Change::SetTenantStatus { tenant, status, reason: Some(why()) }).await;

    let refused = async |catalog: &Catalog, second: i64, expected: &[(LicenseKind, &str, u64)]| {
        let outcome = store.publish(catalog, &by, moment(second)).await;
        let plan =
            |&(kind, plan, licenses): &_| HeldPlan { kind, plan: str::to_owned(plan), licenses };
        let expected = expected.iter().map(plan).collect();
        assert_eq!(outcome, Err(StoreError::Refused(Refusal::Orphans(expected))), "{second}");
        assert_eq!(current(&store).await, both.digest(), "what is refused leaves no trace");
    };
    let (base, trial) = (LicenseKind::Base, LicenseKind::Trial);
    let pack = (LicenseKind::Addon, "pack", 1);
    refused(&one, 9, &[pack, (base, "two", 2), (trial, "two", 1)]).await;
    // A trial has no grace; the other one is over at the end of its own.
    refused(&one, 14, &[pack, (base, "two", 2)]).await;
    refused(&one, 15, &[pack, (base, "two", 1)]).await;
    // An alias is known, but there is none for an add-on.
    let aliases = "[aliases]\ntwo = \"one\"\npack = \"one\"\n";
    refused(&plans("\"one\"", "7", aliases), 9, &[pack]).await;
    let renamed = plans("\"one\"", "7", &format!("{addon}[aliases]\ntwo = \"one\"\n"));
    store.publish(&renamed, &by, moment(9)).await.expect("everybody is known");
    store.publish(&both, &by, moment(9)).await.expect("and so they are here");
    apply(&store, revoke("lic_6")).await;
    apply(&store, revoke("lic_7")).await;
    store.publish(&one, &by, moment(15)).await.expect("nobody is left");
    assert_eq!(current(&store).await, one.digest());
}

async fn current(store: &Arc<dyn Store>) -> String {
    let catalog = store.current_catalog().await.expect("it answers").expect("it is there");
    assert_eq!(
        store.current_digest().await.expect("it answers").as_deref(),
        Some(catalog.digest())
    );
    catalog.digest().to_owned()
}

/// Plans with these tiers, their days, and more text.
fn plans(tiers: &str, days: &str, more: &str) -> Catalog {
    let text = format!(
        "schema = 1\ncatalog = \"test\"\ntiers = [{tiers}]\n[features]\n\
         days = {{ type = \"number\" }}\n[matrix]\ndays = [{days}]\n{more}"
    );
    Catalog::parse(&text).expect("it is right")
}
