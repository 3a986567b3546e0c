//! The decision alone.

use std::hint::black_box;

use auth_core::{
    Accept, Algorithm, IssuerPolicy, Verifier,
    gate::{Decision, Gate, Requirement, Tenant, decide},
    testing::{TestClock, TestIssuer},
};
use entitlements::{Catalog, EntitlementService, TenantRef};

use crate::{
    paired::{Pair, pair},
    report::Report,
};

pub(crate) const AUDIENCE: &str = "https://api.bench.test";
pub(crate) const ISSUER: &str = "https://id.bench.test/oidc";

/// The pure decision, and the whole of it with both caches, each against one SHA-256 of the token.
fn pairs() -> (Pair, Pair) {
    let clock = TestClock::new();
    let issuer = TestIssuer::new(ISSUER, Algorithm::Es384).clock(clock.clone());
    let policy = IssuerPolicy::new("bench", ISSUER).accept(Accept::organization(AUDIENCE));
    let verifier = Verifier::builder().issuer(policy, issuer.keys()).clock(clock.clone());
    let catalog = Catalog::parse(include_str!("../../plans.toml")).expect("the shipped plans");
    let service = EntitlementService::in_memory_builder(catalog.clone())
        .clock(clock.as_fn())
        .tenants([("acme", "high")])
        .build();
    let gate = Gate::new(verifier.build().expect("a sound policy"), service.clone());
    let need = Requirement::tenant()
        .scopes(["traces:replay"])
        .features(&catalog, ["exchange_replay"])
        .expect("a known feature");
    let token = issuer
        .token(AUDIENCE)
        .organization("acme")
        .scopes(["traces:read", "traces:replay"])
        .claim("padding", "x".repeat(200))
        .sign();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let decision = runtime.block_on(gate.check(Some(&token), &need));
    assert!(matches!(decision, Decision::Allow(_)), "{decision:?}");
    let identity = runtime.block_on(gate.verifier().verify(&token)).expect("a good token");
    let organization = TenantRef::Organization { issuer: ISSUER, organization: "acme" };
    let set = service.cached(organization).expect("known");
    let hash = || {
        black_box(aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            black_box(token.as_bytes()),
        ));
    };
    let pure = pair(
        20_000,
        || {
            black_box(decide(&need, black_box(&identity), Tenant::Known(set.clone())));
        },
        hash,
    );
    let whole = pair(
        20_000,
        || {
            black_box(gate.check_now(Some(black_box(&token)), &need).expect("cached"));
        },
        hash,
    );
    (pure, whole)
}

pub(crate) fn run(report: &mut Report) {
    let (pure, whole) = pairs();
    for (what, pair) in [("decide (pure)", pure), ("gate, token and tenant known", whole)] {
        report.row(what, "SHA-256 of the token", pair.ratio, None);
        Report::note(format!("    here {} ns", pair.subject.as_nanos()));
    }
}
