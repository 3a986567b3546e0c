use std::time::Duration;

use super::*;
use crate::{
    Algorithm,
    testing::{TestClock, TestIssuer},
};

/// The expensive step has a bound: without a free slot a token waits, and what is cached does not.
#[tokio::test]
async fn signatures_are_checked_a_few_at_a_time() {
    let clock = TestClock::new();
    let issuer = TestIssuer::new("https://id.test/oidc", Algorithm::Es256).clock(clock.clone());
    let policy = IssuerPolicy::new("test", issuer.url()).accept(Accept::organization("api"));
    let builder = Verifier::builder().issuer(policy, issuer.keys()).clock(clock);
    let verifier = builder.build().expect("a sound policy");
    let [seen, new] = ["org_a", "org_b"].map(|org| issuer.token("api").organization(org).sign());
    verifier.verify(&seen).await.expect("a good token");

    let mut taken = Vec::new();
    while let Ok(Some(slot)) =
        tokio::time::timeout(Duration::from_millis(10), verifier.0.flights.slot()).await
    {
        taken.push(slot);
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    assert_eq!(taken.len(), (cores - 1).max(1), "one core is left for what is cached");
    let mut waiting = std::pin::pin!(verifier.verify(&new));
    let before = verifier.cache_status().signatures;
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    assert_eq!(verifier.cache_status().signatures, before);
    verifier.verify(&seen).await.expect("it is cached");
    taken.pop();
    waiting.await.expect("there is a slot now");
}
