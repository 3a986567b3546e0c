//! `exp`, `nbf` and `iat`: the boundaries, the leeway, and the cache, which must not move them.

use std::time::Duration;

use auth_core::{Algorithm, Verifier};
use serde_json::json;

use crate::support::{NOW, World, block_on, policy};

/// What a token with these times is told at [`NOW`], cold and from the cache alike.
#[track_caller]
fn check(claim: &str, value: impl Into<serde_json::Value>, code: &str) {
    let value = value.into();
    let world = World::new();
    let token = world.token().claim(claim, value.clone()).sign();
    assert_eq!(world.code(&token), code, "{claim} = {value}, cold");

    // The same question to a verifier that met the token while it was valid.
    let world = World::new();
    let token = world.token().claim(claim, value.clone()).sign();
    for (seconds, back) in [(300, true), (600, false), (300, false)] {
        let by = Duration::from_secs(seconds);
        if back {
            world.clock.step_back(by);
        } else {
            world.clock.advance(by);
        }
        drop(block_on(world.verifier.verify(&token)));
        if back {
            world.clock.advance(by);
        } else {
            world.clock.step_back(by);
        }
        assert_eq!(world.code(&token), code, "{claim} = {value}, met {seconds} s away");
    }
}

#[test]
fn boundaries() {
    check("exp", NOW + 1, "ok");
    check("exp", NOW, "ok");
    check("exp", NOW - 14, "ok");
    check("exp", NOW - 15, "token_expired");
    check("exp", NOW - 16, "token_expired");
    check("exp", 0, "token_expired");
    check("nbf", NOW - 1, "ok");
    check("nbf", NOW + 15, "ok");
    check("nbf", NOW + 16, "token_not_yet_valid");
    check("nbf", NOW + 3600, "token_not_yet_valid");
    check("nbf", 1, "ok");
    check("iat", NOW + 15, "ok");
    check("iat", NOW + 16, "issued_in_future");
    check("iat", 4_102_444_800_u64, "issued_in_future");
    check("iat", 0, "ok");
}

#[test]
fn fractions_shorten_a_token() {
    let f = |offset: f64| json!(f64::from(u32::try_from(NOW).expect("before 2106")) + offset);
    check("exp", f(-14.5), "token_expired");
    check("exp", f(-13.5), "ok");
    check("nbf", f(15.5), "token_not_yet_valid");
    check("nbf", f(14.5), "ok");
    check("exp", f(100.0), "ok");
    check("exp", json!(-0.0), "token_expired");
}

#[test]
fn the_far_future_is_no_overflow() {
    let world = World::new();
    let token = world.token().claim("exp", 253_402_300_799_u64).sign();
    world.accepts("the year 9999", &token);
    let widest = Verifier::builder()
        .issuer(policy(), world.issuer.keys())
        .clock(world.clock.clone())
        .leeway(Duration::MAX)
        .build()
        .expect("sound");
    for (name, value) in
        [("exp", 253_402_300_799_u64), ("nbf", 253_402_300_799), ("iat", 253_402_300_799)]
    {
        let token = world.token().claim(name, value).sign();
        let verdict = block_on(widest.verify(&token));
        assert_eq!(crate::support::code(&verdict), "ok", "{name} with boundless leeway");
    }
}

#[test]
fn a_cached_token_ends_to_the_second() {
    let world = World::new();
    let token = world.token().lifetime(120).sign();
    world.accepts("new", &token);
    // `exp` is a minute after NOW; the leeway adds 15 s.
    world.advance(74);
    assert!(world.verifier.verify_cached(&token).expect("it is cached").is_ok());
    world.clock.advance(Duration::from_millis(999));
    assert!(world.verifier.verify_cached(&token).expect("it is cached").is_ok());
    world.clock.advance(Duration::from_millis(1));
    let error = world.verifier.verify_cached(&token).expect("it is cached").expect_err("expired");
    assert_eq!(error.reason().code(), "token_expired");
    assert_eq!(world.code(&token), "token_expired");
    assert_eq!(world.verifier.cache_status().entries, 0, "it does not stay");
}

#[test]
fn without_leeway() {
    let exact = |exp: u64| {
        let world = World::cold(Algorithm::Es256, |b| b.leeway(Duration::ZERO));
        world.code(&world.token().claim("exp", exp).sign())
    };
    assert_eq!(exact(NOW + 1), "ok");
    assert_eq!(exact(NOW), "token_expired");
}

#[test]
fn a_clock_that_is_set_back() {
    let world = World::new();
    let token = world.token().claim("iat", NOW).claim("nbf", NOW).sign();
    world.accepts("new", &token);
    world.clock.step_back(Duration::from_secs(15));
    assert_eq!(world.code(&token), "ok");
    world.clock.step_back(Duration::from_secs(1));
    assert_eq!(world.code(&token), "token_not_yet_valid");
    world.advance(1);
    assert_eq!(world.code(&token), "ok");
    // Before the epoch's first hours nothing overflows either.
    world.clock.step_back(Duration::from_secs(NOW - 100));
    assert_eq!(world.code(&token), "token_not_yet_valid");
    world.clock.step_back(Duration::from_secs(85));
    assert_eq!(world.code(&token), "token_not_yet_valid");
}
