//! Key sets that outlive a process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth_core::{
    Algorithm,
    keys::{KeyDocument, SeedError},
    testing::KeyFault,
};

use crate::support::{NOW, World, block_on, code};

const HOUR: Duration = Duration::from_hours(1);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A verifier that has no keys yet, and an issuer that cannot be reached.
fn alone() -> World {
    let world = World::cold(Algorithm::Es256, |builder| builder);
    world.keys.fault(KeyFault::Fail);
    world
}

fn kept(world: &World, fetched_at: SystemTime) -> KeyDocument {
    let document = world.issuer.jwks().into();
    KeyDocument { issuer: world.issuer.url().into(), document, fetched_at }
}

#[test]
fn what_one_process_fetched_another_begins_with() {
    let first = World::with(Algorithm::Es256);
    let [document] = &first.verifier.key_documents()[..] else { panic!("one issuer") };
    assert_eq!((&*document.issuer, document.fetched_at), (first.issuer.url(), now()));
    assert_eq!(document.document, first.issuer.jwks());

    let second = alone();
    assert!(second.verifier.key_documents().is_empty());
    let token = second.token().lifetime(100_000).sign();
    assert_eq!(code(&block_on(second.verifier.verify(&token))), "keys_unavailable");
    second.verifier.seed_keys(&kept(&second, now() - HOUR)).expect("good for 11 hours more");
    assert_eq!(code(&block_on(second.verifier.verify(&token))), "ok");
    assert_eq!(second.verifier.key_status()[0].fetched_at, Some(now() - HOUR));
    // What it was given it gives on, with the same date: no restart prolongs it.
    assert_eq!(second.verifier.key_documents(), [kept(&second, now() - HOUR)]);

    second.clock.advance(Duration::from_secs(11 * 3600 - 1));
    assert_eq!(code(&block_on(second.verifier.verify(&token))), "ok");
    second.clock.advance(Duration::from_secs(1));
    assert_eq!(code(&block_on(second.verifier.verify(&token))), "keys_unavailable");
}

#[test]
fn a_seeded_set_is_fetched_again_at_once_and_replaced() {
    let world = World::cold(Algorithm::Es256, |builder| builder);
    world.verifier.seed_keys(&kept(&world, now())).expect("it is new");
    let old = world.token().sign();
    world.issuer.rotate_and_drop();
    assert_eq!(world.keys.fetches(), 0);
    let fresh = world.token().sign();
    assert_eq!(code(&block_on(world.verifier.verify(&fresh))), "ok");
    assert_eq!(world.keys.fetches(), 1);
    assert_eq!(code(&block_on(world.verifier.verify(&old))), "unknown_key");

    // A set that was fetched by this process is not replaced by one from before.
    let document = world.verifier.key_documents();
    let other = World::with(Algorithm::Es256);
    world.verifier.seed_keys(&kept(&other, now())).expect("it could be used");
    assert_eq!(world.verifier.key_documents(), document);
}

#[test]
fn sets_that_are_not_taken() {
    let world = alone();
    let refused = |keys: &KeyDocument| world.verifier.seed_keys(keys).expect_err("refused");
    let good = kept(&world, now());
    let old = refused(&kept(&world, now() - HOUR * 12));
    assert!(matches!(old, SeedError::TooOld { age, .. } if age == HOUR * 12), "{old}");
    assert!(matches!(refused(&kept(&world, now() + HOUR)), SeedError::Future));
    let stranger = KeyDocument { issuer: "https://other.test".into(), ..good.clone() };
    assert!(matches!(refused(&stranger), SeedError::UnknownIssuer(_)));
    for document in ["", "{}", r#"{"keys":[]}"#] {
        let broken = KeyDocument { document: document.into(), ..good.clone() };
        assert!(matches!(refused(&broken), SeedError::Keys(_)), "{document}");
    }
    assert!(world.verifier.key_documents().is_empty());
    world.verifier.seed_keys(&good).expect("it is taken");
}
