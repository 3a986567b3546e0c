//! Interruptions at the worst moments: between the parts of a change, and in the middle of many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use entitlements::store::{Actor, Change, Organization, Store};
use entitlements::testing::{Faulty, license, store};
use entitlements::{
    EntitlementService, EntitlementServiceBuilder, Freshness, License, SnapshotKey, State,
    TenantId, TenantRef, parse_time,
};
use tokio::time::sleep;

use crate::catalog;

const ISSUER: &str = "https://id.test/oidc";
const TOKEN: TenantRef<'_> = TenantRef::Organization { issuer: ISSUER, organization: "org_1" };

fn id(tenant: &str) -> TenantId {
    tenant.parse().expect("it is a tenant id")
}

fn noon() -> SystemTime {
    parse_time("2026-11-22T12:00:00Z").expect("it is a time")
}

fn organization(name: &str) -> Organization {
    Organization { issuer: ISSUER.to_owned(), id: name.to_owned() }
}

fn add(tenant: &str, organizations: &[&str]) -> Change {
    let organizations = organizations.iter().map(|name| organization(name)).collect();
    Change::AddTenant { id: id(tenant), name: tenant.to_owned(), organizations }
}

struct Scene {
    store: Arc<dyn Store>,
    faulty: Arc<Faulty>,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let store = store();
        let faulty = Faulty::new(Arc::clone(&store));
        Self { store, faulty, folder: tempfile::tempdir().expect("there is room") }
    }

    async fn apply(&self, change: Change) {
        self.store.apply(&change, &Actor::person("test"), noon()).await.expect("it is done");
    }

    fn builder(&self) -> EntitlementServiceBuilder {
        let store: Arc<dyn Store> = Arc::<Faulty>::clone(&self.faulty);
        let key = SnapshotKey::new(&[b'k'; 32]).expect("long enough");
        EntitlementService::with_store(store, catalog())
            .clock(noon)
            .snapshot(self.folder.path().join("snapshot"), key)
    }
}

/// The rows of a tenant and whom its organizations name are two answers: if the store is lost in
/// between, neither may stay as it was.
#[tokio::test(start_paused = true)]
async fn an_organization_that_was_moved_is_moved() {
    let scene = Scene::new();
    scene.apply(add("acme", &["org_1"])).await;
    scene.apply(add("globex", &[])).await;
    let service = scene.builder().connect().await.expect("it is up");
    assert_eq!(service.entitlements(TOKEN).await.expect("it is known").tenant(), &id("acme"));
    service.entitlements(TenantRef::Id(&id("globex"))).await.expect("it is known");
    scene.faulty.lose_organizations(1);
    let organization = organization("org_1");
    scene.apply(Change::UnmapOrganization { organization: organization.clone() }).await;
    scene.apply(Change::MapOrganization { tenant: id("globex"), organization }).await;
    sleep(Duration::from_secs(10)).await;
    let set = service.entitlements(TOKEN).await.expect("it is known");
    assert_eq!((set.tenant(), set.freshness()), (&id("globex"), Freshness::Fresh));
}

/// The same for a service that ends before it could ask again: what it left in its snapshot is
/// compared with the store.
#[tokio::test(start_paused = true)]
async fn an_organization_that_was_unmapped_does_not_come_back_with_a_snapshot() {
    let scene = Scene::new();
    scene.apply(add("acme", &["org_1"])).await;
    let service = scene.builder().connect().await.expect("it is up");
    service.entitlements(TOKEN).await.expect("it is known");
    sleep(Duration::from_secs(5)).await;
    // Its rows are read anew while the feed is down, so that they are those of after the change.
    scene.faulty.lose_organizations(u32::MAX);
    scene.apply(Change::UnmapOrganization { organization: organization("org_1") }).await;
    sleep(Duration::from_mins(1)).await;
    drop(service);
    scene.faulty.lose_organizations(0);
    let service = scene.builder().connect().await.expect("it is up");
    sleep(Duration::from_secs(5)).await;
    let answer = service.entitlements(TOKEN).await.map(|set| set.tenant().clone());
    assert_eq!(answer.expect_err("nobody is named").reason().code(), "unknown_tenant");
}

/// A revocation that was heard stays one, whatever the clock does afterwards.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_revives_nothing() {
    let scene = Scene::new();
    let after_noon = Arc::new(AtomicU64::new(3600));
    let wall = Arc::clone(&after_noon);
    let now = move || noon() + Duration::from_secs(wall.load(Ordering::SeqCst));
    scene.apply(add("acme", &["org_1"])).await;
    let granted = license("lic_1", "mid");
    scene.apply(Change::GrantLicense { tenant: id("acme"), license: granted }).await;
    let service = scene.builder().clock(now.clone()).connect().await.expect("it is up");
    assert!(service.entitlements(TOKEN).await.expect("it is known").usable().is_ok());
    let revoked = Change::RevokeLicense { license: "lic_1".into(), reason: "refunded".into() };
    scene.store.apply(&revoked, &Actor::person("test"), now()).await.expect("it is revoked");
    sleep(Duration::from_secs(5)).await;
    for back in [0, 60, 3600] {
        after_noon.store(3600 - back, Ordering::SeqCst);
        let set = service.cached(TOKEN).expect("it is known");
        assert_eq!(set.state(), State::LicenseRevoked, "{back} s back");
    }
}

const MANY: usize = 400;

fn tenants() -> impl Iterator<Item = TenantId> {
    (0..MANY).map(|n| id(&format!("t-{n}")))
}

fn at_hand(service: &EntitlementService) -> usize {
    tenants().filter(|tenant| service.cached(TenantRef::Id(tenant)).is_some()).count()
}

/// Many tenants that are at hand, each of which then gets a license.
async fn many_changes(scene: &Scene) -> EntitlementService {
    for tenant in tenants() {
        scene.apply(add(tenant.as_str(), &[])).await;
    }
    let service = scene.builder().connect().await.expect("it is up");
    for tenant in tenants() {
        service.entitlements(TenantRef::Id(&tenant)).await.expect("it is known");
    }
    sleep(Duration::from_secs(10)).await;
    scene.faulty.set_delay(Duration::from_millis(20));
    for tenant in tenants() {
        let license = License { id: format!("lic_{tenant}"), ..license("x", "mid") };
        scene.apply(Change::GrantLicense { tenant, license }).await;
    }
    service
}

/// While many are read again, those who wait for their turn are answered as the store says now, and
/// as of before the change if the store goes away; a restart knows them, too.
#[tokio::test(start_paused = true)]
async fn an_outage_in_the_middle_of_many_changes_loses_nobody() {
    let scene = Scene::new();
    let service = many_changes(&scene).await;
    sleep(Duration::from_millis(2500)).await;
    let waiting = tenants().find(|tenant| service.cached(TenantRef::Id(tenant)).is_none());
    let waiting = waiting.expect("not everybody was read again");
    let set = service.entitlements(TenantRef::Id(&waiting)).await.expect("the store is asked");
    assert_eq!((set.state(), set.freshness()), (State::Active, Freshness::Fresh));
    scene.faulty.set_down(true);
    let last = tenants().filter(|tenant| service.cached(TenantRef::Id(tenant)).is_none()).last();
    let last = last.expect("not everybody was read again");
    let set = service.entitlements(TenantRef::Id(&last)).await.expect("it was known before");
    assert_eq!(set.state(), State::NoLicense, "as of before the change");
    assert!(matches!(set.freshness(), Freshness::Stale { .. }), "{:?}", set.freshness());
    sleep(Duration::from_secs(30)).await;
    assert_eq!(at_hand(&service), MANY);
    drop(service);
    let service = scene.builder().start();
    assert_eq!(at_hand(&service), MANY, "from the snapshot");
}

/// After a short interruption in the middle everybody is read again, without being asked for.
#[tokio::test(start_paused = true)]
async fn everybody_is_read_again_after_a_second_interruption() {
    let scene = Scene::new();
    let service = many_changes(&scene).await;
    sleep(Duration::from_secs(2)).await;
    scene.faulty.set_down(true);
    sleep(Duration::from_millis(1500)).await;
    scene.faulty.set_down(false);
    sleep(Duration::from_mins(2)).await;
    scene.faulty.set_down(true);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(at_hand(&service), MANY);
    for tenant in tenants() {
        let set = service.cached(TenantRef::Id(&tenant)).expect("it is at hand");
        assert_eq!(set.state(), State::Active, "{tenant}");
    }
}
