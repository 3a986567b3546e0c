//! What the steady state allocates: a count, not a time, so it can be held to.
//!
//! An answer that was given before is one look-up away; the caches behind it, which note who asks and
//! clean up now and then, are asked again after a change, or some seconds later.

#[path = "../src/known.rs"]
mod known;

use auth_core::{
    Accept, Algorithm, IssuerPolicy, Verifier,
    gate::{Decision, Gate, Requirement},
    testing::TestIssuer,
};
use entitlements::{Catalog, EntitlementService};
use known::Known;

const AUDIENCE: &str = "https://api.example.com";
const ROUNDS: u64 = 10_000;

/// Asks often enough for everything to be set up that is set up once, and counts then.
#[track_caller]
fn allocates_nothing(what: &str, ask: impl Fn()) {
    (0..ROUNDS).for_each(|_| ask());
    let counted = allocation_counter::measure(|| (0..ROUNDS).for_each(|_| ask()));
    assert_eq!(counted.count_total, 0, "{what}: {counted:?}");
}

#[tokio::test]
async fn a_check_of_a_known_tenant_allocates_nothing() {
    for known in [Known::in_memory().await, Known::following().await, Known::stale().await] {
        allocates_nothing(&format!("{}, cached", known.name), || known.ask_cached());
        allocates_nothing(&format!("{}, check", known.name), || known.ask_check());
    }
}

#[tokio::test]
async fn a_decision_on_a_known_token_allocates_nothing() {
    let issuer = TestIssuer::new("https://id.example.com/oidc", Algorithm::Es256);
    let policy = IssuerPolicy::new("test", issuer.url()).accept(Accept::organization(AUDIENCE));
    let verifier = Verifier::builder().issuer(policy, issuer.keys()).build().expect("sound");
    let catalog = Catalog::parse(include_str!("../../plans.toml")).expect("the shipped plans");
    let service = EntitlementService::in_memory(catalog.clone(), [("acme", "high")]);
    let gate = Gate::new(verifier, service);
    let need = Requirement::tenant()
        .scopes(["traces:replay"])
        .features(&catalog, ["exchange_replay"])
        .expect("a feature");
    let token = issuer.token(AUDIENCE).organization("acme").scopes(["traces:replay"]).sign();
    assert!(matches!(gate.check(Some(&token), &need).await, Decision::Allow(_)));
    let check = || {
        let decision = gate.check_now(Some(&token), &need).expect("known");
        assert!(matches!(decision, Decision::Allow(_)));
    };
    allocates_nothing("a decision", check);
}
