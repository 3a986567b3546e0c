//! The service when the store is slow, away, or comes back as another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use entitlements::store::{Actor, Change, Organization, Store};
use entitlements::testing::{Faulty, license, store};
use entitlements::{
    EntitlementService, EntitlementServiceBuilder, Freshness, License, State, TenantId, TenantRef,
    parse_time,
};
use tokio::time::sleep;

use crate::catalog;

const ISSUER: &str = "https://id.test/oidc";
const ACME: TenantRef<'_> = TenantRef::Organization { issuer: ISSUER, organization: "org_1" };

fn id(text: &str) -> TenantId {
    text.parse().expect("it is a tenant id")
}

fn noon() -> SystemTime {
    parse_time("2026-11-22T12:00:00Z").expect("it is a time")
}

/// A wall clock that the test sets, beside tokio's own.
#[derive(Clone, Default)]
struct Wall(Arc<AtomicU64>);

impl Wall {
    fn now(&self) -> SystemTime {
        noon() + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn advance(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::SeqCst);
    }
}

struct Scene {
    inner: Arc<dyn Store>,
    faulty: Arc<Faulty>,
    wall: Wall,
}

impl Scene {
    /// A store with the tenant `acme`, which holds a mid license for another day and an hour of
    /// grace.
    async fn new() -> Self {
        let inner = store();
        let scene = Self { faulty: Faulty::new(Arc::clone(&inner)), inner, wall: Wall::default() };
        scene.add("acme", "org_1").await;
        let day = License {
            ends_at: Some(noon() + Duration::from_hours(24)),
            grace: Duration::from_hours(1),
            ..license("lic_1", "mid")
        };
        scene.apply(Change::GrantLicense { tenant: id("acme"), license: day }).await;
        scene
    }

    async fn add(&self, tenant: &str, organization: &str) {
        let organization = Organization { issuer: ISSUER.to_owned(), id: organization.to_owned() };
        let change = Change::AddTenant {
            id: id(tenant),
            name: tenant.to_owned(),
            organizations: vec![organization],
        };
        self.apply(change).await;
    }

    /// A change by somebody who reaches the store, whatever the service does.
    async fn apply(&self, change: Change) {
        let by = Actor::person("test");
        self.inner.apply(&change, &by, self.wall.now()).await.expect("it is done");
    }

    fn builder(&self) -> EntitlementServiceBuilder {
        let wall = self.wall.clone();
        let store: Arc<dyn Store> = Arc::<Faulty>::clone(&self.faulty);
        EntitlementService::with_store(store, catalog()).clock(move || wall.now())
    }
}

fn code(outcome: Result<entitlements::EntitlementSet, entitlements::CheckError>) -> &'static str {
    outcome.expect_err("there is no answer").reason().code()
}

#[tokio::test(start_paused = true)]
async fn what_is_known_goes_on_marked_stale_and_has_an_end() {
    let scene = Scene::new().await;
    let service = scene.builder().max_stale(Duration::from_hours(24)).connect().await.unwrap();
    scene.add("globex", "org_2").await;
    assert_eq!(service.entitlements(ACME).await.unwrap().freshness(), Freshness::Fresh);

    scene.faulty.set_down(true);
    sleep(Duration::from_mins(10)).await;
    let set = service.cached(ACME).expect("it is at hand");
    let Freshness::Stale { age } = set.freshness() else { panic!("it is {:?}", set.freshness()) };
    assert!(age >= Duration::from_mins(9) && age <= Duration::from_mins(11), "{age:?}");
    assert!(set.usable().is_ok());
    assert!(!service.status().up);
    assert!(service.ready(), "it was ready once");

    // A tenant that was never seen: ours, never "not in your plan", and never "unknown".
    let never = TenantRef::Organization { issuer: ISSUER, organization: "org_2" };
    assert_eq!(code(service.entitlements(never).await), "store_unavailable");
    assert_eq!(code(service.entitlements(TenantRef::Id(&id("globex"))).await), "store_unavailable");

    sleep(Duration::from_hours(24)).await;
    assert!(service.cached(ACME).is_none());
    assert_eq!(code(service.entitlements(ACME).await), "store_unavailable");

    // It comes back by itself, and is fresh again.
    scene.faulty.set_down(false);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(service.cached(ACME).expect("it is at hand").freshness(), Freshness::Fresh);
    assert!(service.entitlements(never).await.is_ok());
    assert!(service.status().up);
}

#[tokio::test(start_paused = true)]
async fn starts_ends_and_graces_apply_during_an_outage() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    service.entitlements(ACME).await.unwrap();
    scene.faulty.set_down(true);
    sleep(Duration::from_secs(10)).await;
    let state = || service.cached(ACME).expect("it is at hand").state();
    assert_eq!(state(), State::Active);
    scene.wall.advance(Duration::from_hours(24));
    assert_eq!(state(), State::Grace);
    scene.wall.advance(Duration::from_hours(1));
    assert_eq!(state(), State::Expired);
    // A wall clock that is set does not make anything stale, and may go back.
    scene.wall.0.store(0, Ordering::SeqCst);
    assert_eq!(state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_missed_over_an_outage() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    service.entitlements(ACME).await.unwrap();
    scene.faulty.set_down(true);
    sleep(Duration::from_secs(30)).await;
    let reason = "refund".to_owned();
    scene.apply(Change::RevokeLicense { license: "lic_1".to_owned(), reason }).await;
    assert!(service.cached(ACME).expect("stale").usable().is_ok(), "nobody could tell it");
    scene.faulty.set_down(false);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(service.cached(ACME).expect("fresh").state(), State::LicenseRevoked);
}

#[tokio::test(start_paused = true)]
async fn it_starts_without_the_store_and_becomes_ready_by_itself() {
    let scene = Scene::new().await;
    scene.faulty.set_down(true);
    let Err(error) = scene.builder().connect().await else { panic!("there is no store") };
    assert!(error.is_temporary(), "{error}");
    let service = scene.builder().start();
    sleep(Duration::from_secs(30)).await;
    assert!(!service.ready());
    assert_eq!(code(service.entitlements(ACME).await), "store_unavailable");
    assert!(service.tenant_count().await.is_err());
    scene.faulty.set_down(false);
    sleep(Duration::from_secs(5)).await;
    assert!(service.ready());
    assert_eq!(service.entitlements(ACME).await.unwrap().tier(), Some("mid"));
    assert_eq!(service.tenant_count().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn many_callers_of_a_new_tenant_ask_the_store_once() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    scene.faulty.set_delay(Duration::from_millis(50));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { service.entitlements(ACME).await.unwrap().revision() })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(scene.faulty.loads(), 1);
    for _ in 0..1000 {
        service.entitlements(ACME).await.unwrap();
    }
    assert_eq!(scene.faulty.loads(), 1, "the steady state does no I/O");
}

#[tokio::test(start_paused = true)]
async fn older_rows_never_replace_newer_ones() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    // A question reads the old rows and is slow to bring them; it is the first one, so that the
    // change finds nothing to refresh.
    let acme = id("acme");
    let ask = || {
        let (service, acme) = (service.clone(), acme.clone());
        tokio::spawn(async move {
            service.entitlements(TenantRef::Id(&acme)).await.expect("it is known").revision()
        })
    };
    scene.faulty.set_delay(Duration::from_millis(900));
    let slow = ask();
    sleep(Duration::from_millis(100)).await;
    scene.faulty.set_delay(Duration::ZERO);
    let other = license("lic_2", "high");
    scene.apply(Change::GrantLicense { tenant: acme.clone(), license: other }).await;
    sleep(Duration::from_millis(700)).await;
    // Who asks after the change was heard of does not join the question from before it, and that one
    // neither takes its rows' place nor tells what is not true any more.
    let after = ask().await.expect("it answers");
    assert_eq!(slow.await.expect("it answers"), after);
    let set = service.entitlements(TenantRef::Id(&acme)).await.expect("it is known");
    assert_eq!((set.revision(), set.tier()), (after, Some("high")));
}

#[tokio::test(start_paused = true)]
async fn the_unknown_are_remembered_for_seconds_and_no_longer() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    let nobody = id("nobody");
    for _ in 0..100 {
        assert_eq!(code(service.entitlements(TenantRef::Id(&nobody)).await), "unknown_tenant");
    }
    assert_eq!(scene.faulty.loads(), 1);
    scene.wall.advance(Duration::from_secs(5));
    assert_eq!(code(service.entitlements(TenantRef::Id(&nobody)).await), "unknown_tenant");
    assert_eq!(scene.faulty.loads(), 2);
    // Random names neither push real tenants out nor fill the memory.
    service.entitlements(ACME).await.unwrap();
    for number in 0..20_000 {
        let name = id(&format!("random-{number}"));
        assert!(service.entitlements(TenantRef::Id(&name)).await.is_err());
    }
    let status = service.status();
    assert!(status.unknown <= 10_000 + 1_000, "{status:?}");
    assert!(service.cached(ACME).is_some());
    // Whoever is added is known at once.
    scene.add("nobody", "org_9").await;
    sleep(Duration::from_millis(600)).await;
    assert!(service.entitlements(TenantRef::Id(&nobody)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    scene.faulty.set_delay(Duration::from_hours(1));
    let started = tokio::time::Instant::now();
    assert_eq!(code(service.entitlements(ACME).await), "store_unavailable");
    assert!(started.elapsed() < Duration::from_secs(2), "a request has two seconds in all");
}

/// Whether a tenant is the only one is known without asking, and not for longer than anything else.
#[tokio::test(start_paused = true)]
async fn the_number_of_tenants_is_at_hand_and_has_an_end() {
    let scene = Scene::new().await;
    scene.faulty.set_down(true);
    let service = scene.builder().max_stale(Duration::from_hours(1)).start();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(service.counted_tenants(), None, "nobody ever counted");
    scene.faulty.set_down(false);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(service.counted_tenants(), Some(1));

    scene.add("globex", "org_2").await;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(service.counted_tenants(), Some(2));
    let (status, reason) = ("closed".parse().expect("a status"), Some("gone".to_owned()));
    scene.apply(Change::SetTenantStatus { tenant: id("globex"), status, reason }).await;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(service.counted_tenants(), Some(1), "who is closed does not count");

    // A store that hangs makes nobody wait, and the number ends with what else is known.
    scene.faulty.set_delay(Duration::from_hours(9));
    scene.add("initech", "org_3").await;
    sleep(Duration::from_mins(10)).await;
    assert_eq!(service.counted_tenants(), Some(1), "as of the last news");
    sleep(Duration::from_hours(1)).await;
    assert_eq!(service.counted_tenants(), None);
    scene.faulty.set_delay(Duration::ZERO);
    sleep(Duration::from_hours(9)).await;
    assert_eq!(service.counted_tenants(), Some(2));
}

/// What begins and ends by the clock does so while nobody changes or asks anything.
#[tokio::test(start_paused = true)]
async fn the_clock_alone_starts_and_ends_things() {
    let scene = Scene::new().await;
    scene.add("globex", "org_2").await;
    let after = |hours| noon() + Duration::from_hours(hours);
    let soon = License { starts_at: after(2), ..license("lic_2", "low") };
    scene.apply(Change::GrantLicense { tenant: id("globex"), license: soon }).await;
    let replay: entitlements::FeatureKey = "exchange_replay".parse().expect("a feature");
    let exception = entitlements::Override {
        id: "ovr_1".to_owned(),
        feature: replay.clone(),
        effect: entitlements::Effect::Raise("yes".to_owned()),
        starts_at: after(1),
        ends_at: Some(after(3)),
        reason: "a promise".to_owned(),
        ticket: None,
        created_by: "test".to_owned(),
        revoked_at: None,
    };
    scene.apply(Change::AddOverride { tenant: id("acme"), exception }).await;
    let service = scene.builder().connect().await.unwrap();
    let globex = id("globex");
    service.entitlements(ACME).await.unwrap();
    service.entitlements(TenantRef::Id(&globex)).await.unwrap();
    let loads = scene.faulty.loads();
    let (mut replays, mut states) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        // A second before each hour, and at it.
        for step in [Duration::from_secs(3599), Duration::from_secs(1)] {
            scene.wall.advance(step);
            replays.push(service.cached(ACME).expect("at hand").has(&replay));
            states.push(service.cached(TenantRef::Id(&globex)).expect("at hand").state());
        }
    }
    assert_eq!(replays, [false, true, true, true, true, false, false, false]);
    let (no, yes) = (State::NotYetValid, State::Active);
    assert_eq!(states, [no, no, no, yes, yes, yes, yes, yes]);
    assert_eq!(scene.faulty.loads(), loads, "nothing was asked");
}

/// The testing kit's changes are in force at once, also the loss of an organization.
#[tokio::test]
async fn an_organization_that_is_unmapped_in_memory_is_gone() {
    let (service, memory) = EntitlementService::in_memory_builder(catalog())
        .tenants([("acme", "mid")])
        .organization(ISSUER, "org_1", "acme")
        .build_with_store();
    assert!(service.entitlements(ACME).await.is_ok() && service.cached(ACME).is_some());
    let organization = Organization { issuer: ISSUER.to_owned(), id: "org_1".to_owned() };
    memory.apply(&Change::UnmapOrganization { organization }).expect("it is done");
    assert!(service.cached(ACME).is_none());
    assert_eq!(code(service.entitlements(ACME).await), "unknown_tenant");
}

/// A revocation counts when it is heard, whatever the clock it was noted by says.
#[tokio::test(start_paused = true)]
async fn a_writer_whose_clock_is_ahead_postpones_nothing() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    service.entitlements(ACME).await.unwrap();
    let revoke = Change::RevokeLicense { license: "lic_1".to_owned(), reason: "refund".to_owned() };
    let ahead = noon() + Duration::from_hours(1);
    scene.inner.apply(&revoke, &Actor::person("test"), ahead).await.unwrap();
    sleep(Duration::from_millis(600)).await;
    assert_eq!(service.cached(ACME).expect("at hand").state(), State::LicenseRevoked);
}

/// The store's answers count as of the moment of the question, not of their arrival.
#[tokio::test(start_paused = true)]
async fn what_arrives_late_is_not_fresh() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    service.entitlements(ACME).await.unwrap();
    scene.faulty.set_delay(Duration::from_secs(4));
    sleep(Duration::from_secs(20)).await;
    let set = service.cached(ACME).expect("at hand");
    assert!(matches!(set.freshness(), Freshness::Stale { .. }), "{:?}", set.freshness());
    assert!(service.status().up, "it answers, late");
}

/// The plans are kept in the store, but no answer waits for that.
#[tokio::test(start_paused = true)]
async fn plans_that_cannot_be_stored_hold_nobody_up() {
    let scene = Scene::new().await;
    scene.faulty.set_read_only(true);
    let service = scene.builder().connect().await.unwrap();
    assert!(service.ready() && service.entitlements(ACME).await.is_ok());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.inner.current_digest().await, Ok(None));
    scene.faulty.set_read_only(false);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(scene.inner.current_digest().await, Ok(Some(catalog().digest().to_owned())));
}

/// Of two replicas with different plans the one whose plans are no longer current says so; neither
/// puts its own back over and over.
#[tokio::test(start_paused = true)]
async fn replicas_with_different_plans_are_found_out() {
    let scene = Scene::new().await;
    let one = scene.builder().connect().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(!one.status().catalog_differs);
    let text = entitlements::testing::PLANS.replacen("7d", "8d", 1);
    let plans = entitlements::Catalog::parse(&text).expect("it is right, too");
    let digest = plans.digest().to_owned();
    let other = EntitlementService::with_store(Arc::clone(&scene.inner), plans);
    let other = other.connect().await.unwrap();
    sleep(Duration::from_mins(2)).await;
    assert!(one.status().catalog_differs);
    assert!(!other.status().catalog_differs);
    assert_eq!(scene.inner.current_digest().await, Ok(Some(digest)));
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_handle() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    let other = service.clone();
    sleep(Duration::from_millis(50)).await;
    let held = Arc::strong_count(&scene.faulty);
    drop(service);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&scene.faulty), held, "one handle is left");
    drop(other);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&scene.faulty), 1, "nobody follows the store any more");
}

#[tokio::test(start_paused = true)]
async fn another_moment_can_be_asked_for() {
    let scene = Scene::new().await;
    let service = scene.builder().connect().await.unwrap();
    let after = |hours| noon() + Duration::from_hours(hours);
    let then = service.entitlements_at(ACME, after(24)).await.unwrap();
    assert_eq!(then.state(), State::Grace);
    let then = service.entitlements_at(ACME, after(25)).await.unwrap();
    assert_eq!(then.state(), State::Expired);
    // That question changed nothing.
    assert_eq!(service.cached(ACME).expect("it is at hand").state(), State::Active);
    let need = catalog().need("exchange_replay").unwrap();
    let denial = service.check(ACME, &need).await.unwrap().expect_err("mid has none");
    assert_eq!(denial.reason.code(), "not_in_plan");
}
