//! What the rows of a tenant do to its requests: exceptions, and plans that nobody knows.

use std::time::{Duration, SystemTime};

use auth_core::Clock as _;
use auth_core::testing::TestIssuer;
use auth_core::{Algorithm, SystemClock};
use entitlements::store::{self, Actor, Change, Mode};
use entitlements::testing::{PLANS, license};
use entitlements::{Catalog, Effect, Override};

use crate::harness::Gateway;
use crate::restart::{ISSUER, Installation, Keys, pause, refused};

fn add(gateway: &Gateway, id: &str, feature: &str, effect: Effect, ends_at: Option<SystemTime>) {
    let exception = Override {
        id: id.to_owned(),
        feature: feature.parse().expect("a feature"),
        effect,
        starts_at: gateway.clock.now(),
        ends_at,
        reason: "a promise of sales".to_owned(),
        ticket: None,
        created_by: "sue".to_owned(),
        revoked_at: None,
    };
    let tenant = "low-co".parse().expect("a tenant id");
    gateway.store.apply(&Change::AddOverride { tenant, exception }).expect("it is added");
}

#[tokio::test]
async fn an_override_gives_and_takes_until_its_second() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    let ask = async |path: &str| gateway.get(path, Some(&token)).await;
    assert_eq!(ask("/replay").await.verdict(), "403 not_in_plan");

    let end = gateway.clock.now() + Duration::from_mins(1);
    add(&gateway, "ovr_1", "exchange_replay", Effect::Raise("yes".to_owned()), Some(end));
    let answer = ask("/replay").await;
    assert_eq!(answer.verdict(), "200");
    let features = answer.header("x-tenant-features").expect("it is always there");
    assert!(features.contains("exchange_replay"), "{features}");
    assert_eq!(answer.header("x-tenant-tier"), Some("low"), "an exception is no other tier");

    assert_eq!(ask("/topology").await.verdict(), "200");
    add(&gateway, "ovr_2", "topology_graph", Effect::Deny, Some(end));
    let denied = ask("/topology").await;
    assert_eq!(denied.verdict(), "403 override_deny");
    assert!(!denied.body.contains("sales"), "why is the operator's: {}", denied.body);
    let answer = ask("/replay").await;
    let features = answer.header("x-tenant-features").expect("it is always there");
    assert!(features.contains("exchange_replay") && !features.contains("topology"), "{features}");

    gateway.clock.advance(Duration::from_secs(59));
    assert_eq!(ask("/replay").await.verdict(), "200");
    assert_eq!(ask("/topology").await.verdict(), "403 override_deny");
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(ask("/replay").await.verdict(), "403 not_in_plan");
    let answer = ask("/topology").await;
    assert_eq!(answer.verdict(), "200");
    let features = answer.header("x-tenant-features").expect("it is always there");
    assert!(!features.contains("exchange_replay") && features.contains("topology"), "{features}");
}

/// The shipped plans with a tier that they do not have any more.
fn plans_before() -> Catalog {
    Catalog::parse(&PLANS.replace("\"high\"", "\"gold\"")).expect("it is right")
}

#[tokio::test]
async fn an_unknown_plan_is_denied_counted_and_logged_and_orphans_nobody_else() {
    let issuer = TestIssuer::new(ISSUER, Algorithm::Es256);
    let keys = Keys::serve(issuer.jwks());
    let place = Installation::new(keys.address);
    let url = format!("sqlite:{}", place.path("tiergate.db").display());
    let store = store::open(&url, Mode::ReadWrite).await.expect("a store");
    let before = plans_before();
    let by = Actor::person("test");
    store.publish(&before, &by, SystemClock.now()).await.expect("it is published");
    place.add("acme", license("lic_1", "gold")).await;
    place.add("globex", license("lic_2", "mid")).await;
    let token = |tenant: &str| {
        let token = issuer.token("https://api.example.com").organization(&format!("org-{tenant}"));
        token.scopes(["traces:read"]).sign()
    };

    let serving = place.serve(&[]);
    let (acme, globex) = (token("acme"), token("globex"));
    while serving.ask(&globex).await.status == 503 {
        pause().await;
    }
    assert_eq!(serving.ask(&globex).await.status, 200, "the others are served");
    refused(&serving.ask(&acme).await, 403, "unknown_plan");
    assert_eq!(serving.ready().await, 200);
    let metrics = serving.admin("/metrics").await.body;
    let counted = metrics.lines().any(|line| {
        line.starts_with("tiergate_decisions_total{")
            && line.contains("reason=\"unknown_plan\"")
            && line.ends_with(" 1")
    });
    assert!(counted, "{metrics}");
    let differs = async || {
        let metrics = serving.admin("/metrics").await.body;
        metrics.lines().any(|line| line == "tiergate_catalog_differs 1.0")
    };
    while !differs().await {
        pause().await;
    }
    let current = store.current_digest().await.expect("it answers");
    assert_eq!(current.as_deref(), Some(before.digest()));
    let log = serving.kill();
    let errors: Vec<_> = log.lines().filter(|line| line.contains("\"ERROR\"")).collect();
    // The plans once, and the tenant each time that its rows are read.
    let of_plans: Vec<_> =
        errors.iter().filter(|line| line.contains("`gold` (1 base license)")).collect();
    assert_eq!(of_plans.len(), 1, "{log}");
    let of_acme = errors.iter().filter(|line| line.contains("\"acme\"") && line.contains("`gold`"));
    assert_eq!(of_acme.count(), errors.len() - 1, "{log}");
    assert!(errors.len() > 1, "{log}");
}
