//! What the steady state allocates: a count, not a time, so it can be held to.
//!
//! Neither a check nor a decision allocates anything itself. What is left belongs to the two caches
//! that are asked, of organizations and of tenants: each notes its hits, looks through the notes after
//! 64 of them or 0.3 seconds, and hands what it has retired to a collector of garbage. Every other
//! time that takes a bag, which is one allocation and is itself retired afterwards: one in 64 checks.
//! Nothing of any other size is tolerated.

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
/// A bag for 64 checks, and some for a machine on which that many take longer than 0.3 seconds.
const BAGS: u64 = ROUNDS / 64 + 16;
/// A bag in bytes, as `crossbeam-epoch` 0.9 has it; another version may have another one.
const BAG: u64 = 2072;

/// Asks often enough for everything to be set up that is set up once, and counts then.
#[track_caller]
fn allocates_bags_alone(what: &str, ask: impl Fn()) {
    (0..ROUNDS).for_each(|_| ask());
    let counted = allocation_counter::measure(|| (0..ROUNDS).for_each(|_| ask()));
    assert!(counted.count_total <= BAGS, "{what}: {counted:?}");
    assert_eq!(counted.bytes_total, counted.count_total * BAG, "{what}: {counted:?}");
}

#[tokio::test]
async fn a_check_of_a_known_tenant_allocates_nothing_itself() {
    for known in [Known::in_memory().await, Known::following().await, Known::stale().await] {
        allocates_bags_alone(&format!("{}, cached", known.name), || known.ask_cached());
        allocates_bags_alone(&format!("{}, check", known.name), || known.ask_check());
    }
}

#[tokio::test]
async fn a_decision_on_a_known_token_allocates_nothing_itself() {
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
    allocates_bags_alone("a decision", check);
}
