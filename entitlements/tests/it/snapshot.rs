//! A process that starts while the store is away, with what the one before had known.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use entitlements::store::{Actor, Change, Organization, Store};
use entitlements::testing::{Faulty, license, store};
use entitlements::{
    CheckError, EntitlementService, EntitlementServiceBuilder, EntitlementSet, Freshness, License,
    SnapshotKey, State, TenantId, TenantRef, parse_time,
};
use tokio::time::sleep;

use crate::catalog;

const ISSUER: &str = "https://id.test/oidc";
pub(crate) const ACME: TenantRef<'_> =
    TenantRef::Organization { issuer: ISSUER, organization: "org_acme" };
pub(crate) const GLOBEX: TenantRef<'_> =
    TenantRef::Organization { issuer: ISSUER, organization: "org_globex" };
const HOUR: Duration = Duration::from_hours(1);

fn id(text: &str) -> TenantId {
    text.parse().expect("it is a tenant id")
}

pub(crate) fn noon() -> SystemTime {
    parse_time("2026-11-22T12:00:00Z").expect("it is a time")
}

pub(crate) fn add(tenant: &str) -> Change {
    let organization = Organization { issuer: ISSUER.to_owned(), id: format!("org_{tenant}") };
    Change::AddTenant { id: id(tenant), name: tenant.to_owned(), organizations: vec![organization] }
}

/// A day of mid, and an hour of grace.
pub(crate) fn day() -> Change {
    let ends_at = Some(noon() + HOUR * 24);
    let license = License { ends_at, grace: HOUR, ..license("lic_1", "mid") };
    Change::GrantLicense { tenant: id("acme"), license }
}

fn revoke() -> Change {
    Change::RevokeLicense { license: "lic_1".to_owned(), reason: "refund".to_owned() }
}

pub(crate) fn reason(outcome: Result<EntitlementSet, CheckError>) -> &'static str {
    outcome.expect_err("there is no answer").reason().code()
}

/// A wall clock that the test sets, beside tokio's own: seconds after noon.
#[derive(Clone, Default)]
struct Wall(Arc<AtomicU64>);

impl Wall {
    fn now(&self) -> SystemTime {
        noon() + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn set(&self, after_noon: Duration) {
        self.0.store(after_noon.as_secs(), Ordering::SeqCst);
    }
}

struct Scene {
    inner: Arc<dyn Store>,
    faulty: Arc<Faulty>,
    wall: Wall,
    folder: tempfile::TempDir,
}

impl Scene {
    /// Two tenants, of whom one was asked for, and a file that says so.
    async fn new() -> Self {
        let inner = store();
        let faulty = Faulty::new(Arc::clone(&inner));
        let folder = tempfile::tempdir().expect("a folder");
        let scene = Self { inner, faulty, wall: Wall::default(), folder };
        for change in [add("acme"), day(), add("globex")] {
            scene.apply(&change).await;
        }
        let service = scene.builder().connect().await.expect("the store is there");
        let set = service.entitlements(ACME).await.expect("it is known");
        assert!(set.usable().is_ok());
        sleep(Duration::from_secs(5)).await;
        assert!(scene.path().exists(), "it is written after a change");
        scene
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tiergate.snapshot")
    }

    /// Lets both clocks go on, in steps that are small beside what is measured.
    async fn pass(&self, time: Duration) {
        let step = Duration::from_mins(5);
        for _ in 0..time.as_secs() / step.as_secs() {
            sleep(step).await;
            self.wall.0.fetch_add(step.as_secs(), Ordering::SeqCst);
        }
    }

    async fn apply(&self, change: &Change) {
        let by = Actor::person("test");
        self.inner.apply(change, &by, self.wall.now()).await.expect("it is done");
    }

    fn builder(&self) -> EntitlementServiceBuilder {
        self.builder_with(b'k')
    }

    fn builder_with(&self, key: u8) -> EntitlementServiceBuilder {
        let wall = self.wall.clone();
        let store: Arc<dyn Store> = Arc::<Faulty>::clone(&self.faulty);
        EntitlementService::with_store(store, catalog())
            .clock(move || wall.now())
            .max_stale(HOUR * 24)
            .snapshot(self.path(), SnapshotKey::new(&[key; 32]).expect("long enough"))
    }
}

#[tokio::test(start_paused = true)]
async fn known_tenants_are_answered_at_once_and_resolved_at_their_own_now() {
    let scene = Scene::new().await;
    scene.faulty.set_down(true);
    scene.wall.set(HOUR * 5);
    let service = scene.builder().start();
    assert!(service.ready() && !service.status().up);
    // Without any waiting: nothing was polled yet.
    let set = service.cached(ACME).expect("it stands in the snapshot");
    let Freshness::Stale { age } = set.freshness() else { panic!("{:?}", set.freshness()) };
    assert!(age + Duration::from_secs(10) >= HOUR * 5 && age < HOUR * 5 + HOUR / 60, "{age:?}");
    assert_eq!((set.tier(), set.state()), (Some("mid"), State::Active));
    assert!(service.cached(TenantRef::Id(&id("acme"))).is_some());
    // Who was never seen is our fault, not theirs.
    assert_eq!(reason(service.entitlements(GLOBEX).await), "store_unavailable");
    let unknown = TenantRef::Organization { issuer: ISSUER, organization: "org_nobody" };
    assert_eq!(reason(service.entitlements(unknown).await), "store_unavailable");

    // Ends and graces apply without the store, also for another process that starts later.
    scene.wall.set(Duration::from_secs(24 * 3600 - 5));
    let later = scene.builder().start();
    assert_eq!(later.cached(ACME).expect("just within").state(), State::Active);
    scene.wall.set(HOUR * 24);
    assert_eq!(service.cached(ACME).expect("at hand").state(), State::Grace);
    scene.wall.set(HOUR * 25);
    assert_eq!(service.cached(ACME).expect("at hand").state(), State::Expired);
    assert!(service.cached(ACME).expect("at hand").usable().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_store_comes_back_and_is_right() {
    let scene = Scene::new().await;
    scene.apply(&revoke()).await;
    scene.faulty.set_down(true);
    let service = scene.builder().start();
    assert!(service.cached(ACME).expect("as of the snapshot").usable().is_ok());
    scene.faulty.set_down(false);
    sleep(Duration::from_secs(3)).await;
    let set = service.cached(ACME).expect("at hand");
    assert_eq!(set.freshness(), Freshness::Fresh);
    assert!(set.usable().is_err(), "it was revoked while nobody listened");
    assert!(service.entitlements(GLOBEX).await.is_ok());

    // Who waits for the store gets no answer from before.
    let connected = scene.builder().connect().await.unwrap();
    let set = connected.cached(ACME).expect("it came with the snapshot");
    assert_eq!((set.freshness(), set.usable().is_err()), (Freshness::Fresh, true));
}

#[tokio::test(start_paused = true)]
async fn another_copy_of_the_store_wins_over_the_snapshot() {
    let scene = Scene::new().await;
    // Suspended and activated often: the snapshot's revision is far ahead of the other copy's.
    for status in ["suspended", "active"].repeat(10) {
        let status = status.parse().expect("a status");
        let (tenant, reason) = (id("acme"), Some("test".to_owned()));
        scene.apply(&Change::SetTenantStatus { tenant, status, reason }).await;
    }
    let before = scene.builder().connect().await.unwrap();
    sleep(Duration::from_secs(5)).await;
    let revision = before.cached(ACME).expect("at hand").revision();
    drop(before);

    let other = store();
    for change in [add("acme"), day(), revoke()] {
        other.apply(&change, &Actor::person("test"), noon()).await.expect("it is done");
    }
    let wall = scene.wall.clone();
    let service = EntitlementService::with_store(other, catalog())
        .clock(move || wall.now())
        .snapshot(scene.path(), SnapshotKey::new(b"k".repeat(32).as_slice()).expect("long enough"))
        .start();
    assert_eq!(service.cached(ACME).expect("as of the snapshot").revision(), revision);
    sleep(Duration::from_secs(3)).await;
    let set = service.cached(ACME).expect("at hand");
    assert_eq!(set.freshness(), Freshness::Fresh);
    assert!(set.revision() < revision && set.usable().is_err(), "{}", set.revision());
}

#[tokio::test(start_paused = true)]
async fn max_stale_counts_from_the_last_read_whatever_restarts_and_clocks_do() {
    let scene = Scene::new().await;
    scene.faulty.set_down(true);
    let known = |service: &EntitlementService| service.cached(ACME).is_some();

    // Processes of ten hours each: the third ends after four.
    let first = scene.builder().start();
    scene.pass(HOUR * 10).await;
    assert!(known(&first));
    drop(first);
    let second = scene.builder().start();
    scene.pass(HOUR * 10).await;
    assert!(known(&second));
    drop(second);
    // The clock is set back between two processes: how old the file is nobody knows.
    scene.wall.set(HOUR);
    let fooled = scene.builder().start();
    assert!(!known(&fooled) && !fooled.ready());
    drop(fooled);
    scene.wall.set(HOUR * 20);
    let third = scene.builder().start();
    assert!(known(&third));
    // It is set back under a running process: what it has spent is spent.
    scene.wall.set(Duration::ZERO);
    scene.pass(HOUR * 3).await;
    assert!(known(&third));
    drop(third);
    let fourth = scene.builder().start();
    assert!(known(&fourth));
    scene.pass(HOUR * 2).await;
    assert!(!known(&fourth));
    assert_eq!(reason(fourth.entitlements(ACME).await), "store_unavailable");
    drop(fourth);
    let fifth = scene.builder().max_stale(HOUR).start();
    assert!(!known(&fifth) && !fifth.ready());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_opens_nothing_and_stays_until_there_is_a_better_one() {
    let scene = Scene::new().await;
    let good = std::fs::read(scene.path()).expect("a file");
    scene.faulty.set_down(true);
    for at in [0, 25, 30, 41, 50, good.len() / 2, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        for bytes in [&bytes[..], &good[..at], b""] {
            std::fs::write(scene.path(), bytes).expect("a file");
            let service = scene.builder().start();
            assert!(service.cached(ACME).is_none() && !service.ready(), "byte {at}");
            assert_eq!(reason(service.entitlements(ACME).await), "store_unavailable");
            sleep(Duration::from_secs(10)).await;
            assert_eq!(std::fs::read(scene.path()).expect("a file"), bytes, "it is not replaced");
        }
    }
    std::fs::write(scene.path(), &good).expect("a file");
    let other_key = scene.builder_with(b'x').start();
    assert!(other_key.cached(ACME).is_none() && !other_key.ready());

    // With the store comes a new one, under the new key.
    scene.faulty.set_down(false);
    sleep(Duration::from_secs(3)).await;
    other_key.entitlements(ACME).await.expect("the store is there");
    sleep(Duration::from_secs(5)).await;
    drop(other_key);
    scene.faulty.set_down(true);
    assert!(scene.builder_with(b'x').start().cached(ACME).is_some());
    assert!(scene.builder().start().cached(ACME).is_none());
}

#[tokio::test(start_paused = true)]
async fn extras_and_the_number_of_tenants_come_back() {
    let scene = Scene::new().await;
    let extras = || [("keys".to_owned(), "{\"k\":1}".to_owned())].into();
    let service = scene.builder().snapshot_extras(extras).connect().await.unwrap();
    assert!(service.restored_extras().is_empty());
    assert_eq!(service.counted_tenants(), Some(2));
    sleep(Duration::from_secs(5)).await;
    drop(service);
    scene.faulty.set_down(true);
    let service = scene.builder().snapshot_extras(extras).start();
    assert_eq!(service.restored_extras(), &extras());
    assert_eq!(service.tenant_count().await, Ok(2));
    assert_eq!(service.counted_tenants(), Some(2));
    // It counts only until the store was heard: afterwards an outage is an outage.
    scene.faulty.set_down(false);
    sleep(Duration::from_secs(3)).await;
    scene.faulty.set_down(true);
    assert!(service.tenant_count().await.is_err());
}

/// Of many tenants only those are read that have changed meanwhile, and if that is nearly everybody,
/// nobody waits for it.
#[tokio::test(start_paused = true)]
async fn a_start_does_not_read_everybody_again() {
    const MANY: usize = 400;
    let scene = Scene::new().await;
    let tenants: Vec<_> = (0..MANY).map(|number| format!("many-{number}")).collect();
    let service = scene.builder().connect().await.unwrap();
    for tenant in &tenants {
        scene.apply(&add(tenant)).await;
    }
    sleep(Duration::from_secs(1)).await;
    for tenant in &tenants {
        service.entitlements(TenantRef::Id(&id(tenant))).await.unwrap();
    }
    sleep(Duration::from_mins(1)).await;
    drop(service);
    scene.apply(&revoke()).await;

    let before = scene.faulty.loads();
    let service = scene.builder().connect().await.unwrap();
    assert_eq!(scene.faulty.loads() - before, 1, "only the one that has changed");
    assert!(service.cached(ACME).expect("at hand").usable().is_err());
    assert!(service.cached(TenantRef::Id(&id("many-7"))).is_some());
    drop(service);

    // Another copy, in which everybody is to be read again.
    let other = store();
    for tenant in ["acme", "globex"].into_iter().chain(tenants.iter().map(String::as_str)) {
        other.apply(&add(tenant), &Actor::person("test"), noon()).await.expect("it is done");
    }
    let other = Faulty::new(other);
    other.set_delay(Duration::from_millis(100));
    let wall = scene.wall.clone();
    let begun = tokio::time::Instant::now();
    let service = EntitlementService::with_store(Arc::<Faulty>::clone(&other), catalog())
        .clock(move || wall.now())
        .snapshot(scene.path(), SnapshotKey::new(b"k".repeat(32).as_slice()).expect("long enough"))
        .connect()
        .await
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(service.cached(ACME).is_none(), "what the snapshot said counts no more");
    let set = service.entitlements(ACME).await.unwrap();
    assert_eq!((set.state(), set.freshness()), (State::NoLicense, Freshness::Fresh));
    sleep(Duration::from_mins(2)).await;
    assert!(service.cached(TenantRef::Id(&id("many-7"))).is_some(), "read again meanwhile");
}

/// A snapshot that knows nobody makes nobody ready.
#[tokio::test(start_paused = true)]
async fn an_empty_snapshot_is_none() {
    let scene = Scene::new().await;
    std::fs::remove_file(scene.path()).unwrap();
    let service = scene.builder().connect().await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert!(scene.path().exists(), "it is written, but knows nobody");
    drop(service);
    scene.faulty.set_down(true);
    let service = scene.builder().start();
    assert!(!service.ready());
    assert_eq!(reason(service.entitlements(ACME).await), "store_unavailable");
}
