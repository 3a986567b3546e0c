//! What the steady state allocates: a count, not a time, so it can be held to.
//!
//! Neither a check nor a decision allocates anything itself. The cache of tenants keeps books of
//! its hits, and that allocates for one hit in some sixty; the bound leaves room for it.

use auth_core::{
    Accept, Algorithm, IssuerPolicy, Verifier,
    gate::{Decision, Gate, Requirement},
    testing::TestIssuer,
};
use entitlements::{Catalog, EntitlementService, TenantRef};

const AUDIENCE: &str = "https://api.example.com";
const ROUNDS: u64 = 10_000;
/// One in twenty: anything that happened at each call would be twenty times as much.
const BOOKS: u64 = ROUNDS / 20;

fn catalog() -> Catalog {
    Catalog::parse(include_str!("../../plans.toml")).expect("the shipped plans")
}

#[tokio::test]
async fn a_check_of_a_known_tenant_allocates_nothing_itself() {
    let catalog = catalog();
    let need = catalog.need("payload_lineage=limited").expect("a feature");
    let service = EntitlementService::in_memory(catalog, [("acme", "mid")]);
    let acme = TenantRef::Organization { issuer: "https://id.example.com", organization: "acme" };
    service.entitlements(acme).await.expect("a tenant");
    let check = || {
        let set = service.cached(acme).expect("known");
        set.usable().and_then(|()| set.require(&need)).expect("granted");
    };
    // The caches keep books; what they set up for that once is not the steady state.
    (0..10_000).for_each(|_| check());
    let counted = allocation_counter::measure(|| (0..ROUNDS).for_each(|_| check()));
    assert!(counted.count_total < BOOKS, "{counted:?}");
}

#[tokio::test]
async fn a_decision_on_a_known_token_allocates_nothing_itself() {
    let issuer = TestIssuer::new("https://id.example.com/oidc", Algorithm::Es256);
    let policy = IssuerPolicy::new("test", issuer.url()).accept(Accept::organization(AUDIENCE));
    let verifier = Verifier::builder().issuer(policy, issuer.keys()).build().expect("sound");
    let catalog = catalog();
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
    (0..10_000).for_each(|_| check());
    let counted = allocation_counter::measure(|| (0..ROUNDS).for_each(|_| check()));
    assert!(counted.count_total < BOOKS, "{counted:?}");
}
