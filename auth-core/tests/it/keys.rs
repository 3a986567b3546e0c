//! When keys are fetched, how long they are good for, and what a token is told meanwhile.

use std::{
    pin::{Pin, pin},
    task::{Context, Waker},
    time::Duration,
};

use auth_core::{
    Algorithm, Fault, Identity, Verifier, VerifyError,
    keys::{FetchError, KeyOptions, KeySource, StaticKeys},
    testing::{KeyFault, TestClock, TestIssuer},
};
use bytes::Bytes;

use crate::support::{API, ISSUER, NOW, World, block_on, code, policy};

const HOUR: u64 = 3600;

/// A world whose fetches give up quickly.
fn cold() -> World {
    let options = KeyOptions { fetch_timeout: Duration::from_millis(50), ..KeyOptions::STANDARD };
    World::cold(Algorithm::Es256, |b| b.key_options(options))
}

fn warm() -> World {
    let world = cold();
    block_on(world.verifier.ready()).expect("the issuer is up");
    world
}

impl World {
    /// A token of a key that was never published, issued at this time.
    fn stranger(&self, issued: u64) -> String {
        self.issuer.token(API).claim("iat", issued).header("kid", "stranger").sign()
    }

    /// A token that outlives every test here.
    fn lasting(&self) -> String {
        self.token().lifetime(100 * HOUR).sign()
    }

    fn verify(&self, token: &str) -> Result<Identity, VerifyError> {
        block_on(self.verifier.verify(token))
    }
}

#[track_caller]
fn unavailable(verdict: &Result<Identity, VerifyError>) -> VerifyError {
    let error = verdict.as_ref().expect_err("there are no keys to verify with");
    assert_eq!(error.reason().code(), "keys_unavailable");
    assert_eq!((error.fault(), error.fault().status().as_u16()), (Fault::Ours, 503));
    assert!(error.retry_after().is_some_and(|after| after >= Duration::from_secs(1)));
    assert_eq!(error.to_string(), error.reason().title(), "callers are told no address");
    error.clone()
}

fn cause(error: &VerifyError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn ten_thousand_unknown_kids_cause_one_fetch_per_cool_down() {
    let world = World::cold(Algorithm::Es256, |b| b.max_waiting(20_000));
    let known = world.token().sign();
    let tokens: Vec<_> = (0..10_000)
        .map(|n| {
            let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"unknown-{n}"}}"#);
            let [_, payload, signature] = crate::support::split(&known);
            format!("{}.{payload}.{signature}", crate::support::base64url(header))
        })
        .collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    runtime.block_on(world.verifier.ready()).expect("up");
    assert_eq!(world.keys.fetches(), 1);
    for flood in 1..=3 {
        world.advance(10);
        let calls: Vec<_> = tokens
            .iter()
            .map(|token| {
                let (verifier, token) = (world.verifier.clone(), token.clone());
                runtime.spawn(async move { verifier.verify(&token).await })
            })
            .collect();
        let mut told = std::collections::HashMap::new();
        for call in calls {
            let verdict = runtime.block_on(call).expect("no call panics");
            *told.entry(code(&verdict)).or_insert(0) += 1;
        }
        assert_eq!(told, [("unknown_key", 10_000)].into(), "flood {flood}");
        assert_eq!(world.keys.fetches(), 1 + flood, "flood {flood}");
    }
    assert_eq!(world.verifier.cache_status().signatures, 0);
    assert_eq!(code(&runtime.block_on(world.verifier.verify(&known))), "ok");
}

#[test]
fn an_unknown_key_is_the_tokens_fault_only_if_the_set_is_younger() {
    let world = warm();
    world.keys.fault(KeyFault::Fail);
    assert_eq!(world.code(&world.stranger(NOW - 60)), "unknown_key");
    assert_eq!(world.code(&world.stranger(NOW - 2)), "unknown_key");
    // `iat` has whole seconds: the token may be from after the fetch of that second.
    unavailable(&world.verify(&world.stranger(NOW)));
    unavailable(&world.verify(&world.stranger(NOW + 10)));
    world.advance(30);
    assert_eq!(world.code(&world.stranger(NOW - 2)), "unknown_key", "fetched in vain, still older");
    unavailable(&world.verify(&world.stranger(NOW + 30)));
}

#[test]
fn a_rotation_is_noticed_with_the_first_token() {
    let world = warm();
    let old = world.token().sign();
    world.accepts("old key", &old);
    world.advance(60);
    world.issuer.rotate();
    let new = world.issuer.token(API).sign();
    world.accepts("new key", &new);
    assert_eq!(world.keys.fetches(), 2);
    // The previous key is still published, so its cached token stays.
    let signatures = world.verifier.cache_status().signatures;
    world.accepts("old key, cached", &old);
    assert_eq!(world.verifier.cache_status().signatures, signatures);

    // Rotated twice within the cool-down: ours to answer for, until it is over.
    world.issuer.rotate();
    let newest = world.issuer.token(API).sign();
    world.advance(5);
    unavailable(&world.verify(&newest));
    world.advance(5);
    world.accepts("newest key", &newest);
    assert_eq!(world.code(&old), "unknown_key", "its key has left the set");
}

#[test]
fn a_key_that_left_the_set_makes_a_cached_token_a_miss() {
    let world = warm();
    let old = world.token().sign();
    world.accepts("old key", &old);
    world.advance(60);
    world.issuer.rotate_and_drop();
    assert_eq!(world.code(&old), "ok", "nobody has looked yet");
    world.accepts("new key", &world.issuer.token(API).sign());
    assert!(world.verifier.verify_cached(&old).is_none());
    assert_eq!(world.code(&old), "unknown_key");
    assert_eq!(world.verifier.cache_status().entries, 1);
}

#[test]
fn a_kid_that_changes_its_key_does_not_keep_its_tokens() {
    let world = warm();
    let old = world.token().sign();
    world.accepts("old key", &old);
    let mut jwk = TestIssuer::new(ISSUER, Algorithm::Es256).current_key().jwk().clone();
    jwk["kid"] = world.issuer.current_key().kid().into();
    let document = serde_json::json!({ "keys": [jwk] }).to_string();
    world.keys.fault(KeyFault::Document(document.into()));
    world.advance(11);
    assert_eq!(world.code(&world.stranger(NOW - 60)), "unknown_key");
    assert_eq!(world.code(&old), "bad_signature");
}

/// A cached token is judged as a new one would be.
#[test]
fn a_key_that_changes_its_kid_or_algorithm_does_not_keep_its_tokens() {
    for (change, expected) in [
        (serde_json::json!({"alg": "PS256"}), "algorithm_mismatch"),
        (serde_json::json!({"kid": "another"}), "unknown_key"),
        (serde_json::json!({"use": "sig"}), "ok"),
    ] {
        let world = World::with(Algorithm::Rs256);
        let old = world.token().sign();
        world.accepts("old key", &old);
        let mut jwk = world.issuer.current_key().jwk().clone();
        for (name, value) in change.as_object().expect("an object") {
            jwk[name] = value.clone();
        }
        let document = serde_json::json!({ "keys": [jwk] }).to_string();
        world.keys.fault(KeyFault::Document(document.into()));
        world.advance(11);
        assert_eq!(world.code(&world.stranger(NOW - 60)), "unknown_key");
        assert_eq!(world.code(&old), expected, "{change}");
    }
}

/// A set with a short life gets its successor in time, so that no request waits for it.
#[test]
fn a_short_life_of_keys_is_refreshed_in_time() {
    let options = KeyOptions { max_stale: Duration::from_mins(1), ..KeyOptions::STANDARD };
    let world = World::cold(Algorithm::Es256, |b| b.key_options(options));
    block_on(world.verifier.ready()).expect("the issuer is up");
    let token = world.token().sign();
    world.accepts("warm", &token);
    for round in 1..5 {
        world.advance(31);
        let refreshed = async {
            let fetched = || world.verifier.key_status()[0].fetches;
            tokio::select! {
                () = world.verifier.keep_fresh() => unreachable!("it has no end"),
                () = async { while fetched() <= round { tokio::task::yield_now().await } } => {}
            }
            while world.verifier.key_status()[0].fetched_at
                != Some(auth_core::Clock::now(&world.clock))
            {
                tokio::task::yield_now().await;
            }
        };
        let in_time =
            block_on(async { tokio::time::timeout(Duration::from_secs(20), refreshed).await });
        in_time.expect("it is refreshed before its end");
        assert!(world.verifier.verify_cached(&token).is_some_and(|verdict| verdict.is_ok()));
    }
}

/// An issuer that hangs does not delay the first keys of another.
#[test]
fn keep_fresh_waits_for_nobody() {
    let clock = TestClock::at_unix(NOW);
    let hanging = TestIssuer::new(ISSUER, Algorithm::Es256).clock(clock.clone());
    hanging.keys().fault(KeyFault::Hang);
    let other = "https://other.test/oidc";
    let up = TestIssuer::new(other, Algorithm::Es256).clock(clock.clone());
    let other =
        auth_core::IssuerPolicy::new("other", other).accept(auth_core::Accept::organization(API));
    let options = KeyOptions { fetch_timeout: Duration::from_hours(1), ..KeyOptions::STANDARD };
    let builder = Verifier::builder().issuer(policy(), hanging.keys()).issuer(other, up.keys());
    let verifier = builder.key_options(options).clock(clock).build().expect("sound");
    block_on(async {
        let loaded = async {
            while verifier.key_status()[1].keys == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = verifier.keep_fresh() => unreachable!("it has no end"),
            in_time = tokio::time::timeout(Duration::from_secs(20), loaded) => in_time.expect("keys"),
        }
    });
}

#[test]
fn the_last_good_set_is_kept() {
    let world = warm();
    let (cached, token) = (world.lasting(), || world.token().lifetime(HOUR).sign());
    world.accepts("warm", &cached);
    let oct = r#"{"keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0"}]}"#;
    let huge = format!("{{\"keys\":[{}1]}}", "1,".repeat(200_000));
    for (n, (fault, says)) in [
        (KeyFault::Fail, "connection refused"),
        (KeyFault::Hang, "no answer within"),
        (KeyFault::Panic, "panicked"),
        (KeyFault::Document("".into()), "not a JWK Set"),
        (KeyFault::Document("{}".into()), "no array `keys`"),
        (KeyFault::Document(r#"{"keys":{}}"#.into()), "no array `keys`"),
        (KeyFault::Document(r#"{"keys":[]}"#.into()), "empty"),
        (KeyFault::Document(r#"{"keys":[],"keys":[]}"#.into()), "stands twice"),
        (KeyFault::Document("<!doctype html><title>Sign in</title>".into()), "not a JWK Set"),
        (KeyFault::Document(vec![0xff; 100].into()), "not a JWK Set"),
        (KeyFault::Document(huge.into()), "more than 100"),
        (KeyFault::Document("[".repeat(100_000).into()), "not a JWK Set"),
        (KeyFault::Document(oct.into()), "symmetric"),
    ]
    .into_iter()
    .enumerate()
    {
        world.keys.fault(fault);
        world.advance(11);
        let error = unavailable(&world.verify(&world.stranger(NOW + 11 * (n as u64 + 1))));
        assert!(cause(&error).contains(says), "`{}` should say `{says}`", cause(&error));
        world.accepts("cached", &cached);
        world.accepts("cold", &token());
        let status = world.verifier.key_status().remove(0);
        assert_eq!((status.keys, status.failures, status.fetches), (1, n as u64 + 1, n as u64 + 2));
        assert!(status.last_error.is_some());
    }
    world.keys.fault(KeyFault::None);
    world.advance(11);
    world.issuer.rotate();
    world.accepts("recovered", &world.issuer.token(API).sign());
    assert!(world.verifier.key_status()[0].last_error.is_none());
}

#[test]
fn stale_keys_have_an_end() {
    let world = warm();
    let cached = world.lasting();
    world.accepts("warm", &cached);
    world.keys.fault(KeyFault::Fail);
    world.advance(12 * HOUR - 1);
    assert_eq!(world.code(&cached), "ok");
    assert_eq!(world.code(&world.lasting()), "ok");
    world.advance(1);
    unavailable(&world.verify(&cached));
    unavailable(&world.verify(&world.lasting()));
    assert!(world.verifier.verify_cached(&cached).is_none());
    // What is wrong by itself is still told so: 503 is for what we cannot know.
    assert_eq!(world.code(&world.token().lifetime(HOUR).sign()), "token_expired");
    world.keys.fault(KeyFault::None);
    world.advance(10);
    assert_eq!(world.code(&cached), "ok");
}

#[test]
fn starting_without_the_provider() {
    for fault in
        [KeyFault::Fail, KeyFault::Hang, KeyFault::Panic, KeyFault::Document("<html>".into())]
    {
        let world = cold();
        let token = world.token().sign();
        world.keys.fault(fault.clone());
        assert!(world.verifier.verify_now(&token).is_none());
        for n in 0..50 {
            unavailable(&world.verify(&token));
            assert_eq!(world.keys.fetches(), 1, "{fault:?}, call {n}: the back-off holds");
        }
        let error = block_on(world.verifier.ready()).expect_err("not ready");
        assert!(error.to_string().contains("issuer `test`"), "{error}");
        assert_eq!(world.verifier.key_status()[0].failures, 1, "{fault:?}");
        // Sooner than the cool-down, because nothing can be answered meanwhile.
        world.keys.fault(KeyFault::None);
        world.clock.advance(Duration::from_millis(600));
        world.accepts("recovered", &token);
        assert_eq!(world.keys.fetches(), 2);
    }
}

#[test]
fn the_back_off_grows_to_the_cool_down() {
    let world = cold();
    let token = world.token().lifetime(10 * HOUR).sign();
    world.keys.fault(KeyFault::Fail);
    let mut fetches = Vec::new();
    for second in 0..60 {
        unavailable(&world.verify(&token));
        if fetches.len() < usize::try_from(world.keys.fetches()).expect("few") {
            fetches.push(second);
        }
        world.advance(1);
    }
    assert_eq!(fetches, [0, 1, 2, 4, 8, 16, 26, 36, 46, 56]);
}

#[test]
fn keep_fresh_makes_ready_and_notices_rotations() {
    let world = cold();
    world.keys.fault(KeyFault::Fail);
    let step = |ms| {
        let clock = world.clock.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            clock.advance(Duration::from_millis(ms));
        }
    };
    let status = || world.verifier.key_status().remove(0);
    block_on(async {
        let scenario = async {
            while status().failures < 2 {
                step(200).await;
            }
            assert!(world.verifier.verify_now(&world.token().sign()).is_none());
            world.keys.fault(KeyFault::None);
            while status().keys == 0 {
                step(200).await;
            }
            assert_eq!(code(&world.verifier.verify(&world.token().sign()).await), "ok");
        };
        tokio::select! {
            () = world.verifier.keep_fresh() => unreachable!("it has no end"),
            result = tokio::time::timeout(Duration::from_secs(20), scenario) => result.expect("ready by itself"),
        }
    });
    // No token asks, and the rotation is noticed when the set is due.
    world.issuer.rotate();
    world.advance(600);
    let token = world.issuer.token(API).sign();
    block_on(async {
        tokio::select! {
            () = world.verifier.keep_fresh() => unreachable!("it has no end"),
            () = async { while status().keys < 2 { step(0).await; } } => {}
        }
        assert_eq!(world.verifier.verify_now(&token).map(|v| code(&v)), Some("ok"));
    });
}

#[test]
fn one_issuer_that_is_down_does_not_stop_another() {
    let clock = TestClock::at_unix(NOW);
    let other = "https://other.test/oidc";
    let down = TestIssuer::new(ISSUER, Algorithm::Es256).clock(clock.clone());
    let up = TestIssuer::new(other, Algorithm::Es256).clock(clock.clone());
    let other =
        auth_core::IssuerPolicy::new("other", other).accept(auth_core::Accept::organization(API));
    let options = KeyOptions { fetch_timeout: Duration::from_millis(50), ..KeyOptions::STANDARD };
    let verifier = Verifier::builder()
        .issuer(policy(), down.keys())
        .issuer(other, up.keys())
        .key_options(options)
        .clock(clock)
        .build()
        .expect("sound");
    for fault in [KeyFault::Fail, KeyFault::Hang, KeyFault::Panic] {
        down.keys().fault(fault);
        drop(block_on(verifier.ready()).expect_err("one is down"));
        let keys: Vec<_> = verifier.key_status().iter().map(|s| s.keys).collect();
        assert_eq!(keys, [0, 1], "`ready` loads what can be loaded");
        assert_eq!(code(&block_on(verifier.verify(&up.token(API).sign()))), "ok");
        unavailable(&block_on(verifier.verify(&down.token(API).sign())));
    }
}

#[test]
fn a_background_refresh_delays_nobody() {
    let options = KeyOptions { fetch_timeout: Duration::from_secs(HOUR), ..KeyOptions::STANDARD };
    let world = World::cold(Algorithm::Es256, |b| b.key_options(options));
    block_on(async {
        world.verifier.ready().await.expect("up");
        let (cached, cold) = (world.lasting(), world.lasting());
        assert_eq!(code(&world.verifier.verify(&cached).await), "ok");
        world.keys.fault(KeyFault::Hang);
        world.advance(11 * 60);
        let answers = async {
            assert_eq!(code(&world.verifier.verify(&cached).await), "ok");
            assert_eq!(code(&world.verifier.verify(&cold).await), "ok");
            assert_eq!(world.verifier.verify_now(&world.lasting()).map(|v| code(&v)), Some("ok"));
            assert_eq!(world.verifier.verify_cached(&cached).map(|v| code(&v)), Some("ok"));
        };
        tokio::time::timeout(Duration::from_secs(5), answers).await.expect("nobody waits");
        tokio::task::yield_now().await;
        assert_eq!(world.keys.fetches(), 2, "one refresh hangs, and no second one joins it");
    });
}

#[test]
fn a_clock_that_is_set_back_keeps_the_keys_for_a_while() {
    let world = warm();
    let token = world.issuer.token(API).claim("iat", NOW - 20 * HOUR).lifetime(100 * HOUR).sign();
    assert_eq!(world.code(&token), "ok");
    world.keys.fault(KeyFault::Fail);
    // One hour back: how old the set is cannot be known; it is fetched again, and used meanwhile.
    world.clock.step_back(Duration::from_secs(HOUR));
    assert_eq!(world.code(&token), "ok");
    // What the set saw cannot be compared either.
    unavailable(&world.verify(&world.stranger(NOW - 2 * HOUR)));
    assert_eq!(world.keys.fetches(), 2);
    // The end is the old one, on the clock.
    world.advance(13 * HOUR - 1);
    assert_eq!(world.code(&token), "ok");
    world.advance(1);
    unavailable(&world.verify(&token));
    // A step of more than the keys' life leaves nothing to go by.
    world.clock.step_back(Duration::from_secs(25 * HOUR));
    unavailable(&world.verify(&token));
    world.keys.fault(KeyFault::None);
    world.advance(10);
    assert_eq!(world.code(&token), "ok");
}

#[test]
fn a_runtime_that_ends_takes_no_fetch_with_it() {
    // A fetch that was started on one runtime and never ran must not look like a running one.
    let world = cold();
    let token = world.token().sign();
    let first = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    {
        let _inside = first.enter();
        let mut call = pin!(world.verifier.verify(&token));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    drop(first);
    assert_eq!(world.keys.fetches(), 0, "the fetch never ran");
    world.accepts("on another runtime", &token);
}

#[test]
fn without_a_runtime() {
    let world = cold();
    let token = world.token().sign();
    assert!(world.verifier.verify_now(&token).is_none());
    block_on(world.verifier.ready()).expect("up");
    world.advance(HOUR / 2);
    assert_eq!(
        world.verifier.verify_now(&token).map(|v| code(&v)),
        Some("ok"),
        "due, but no runtime"
    );
    assert_eq!(world.verifier.verify_cached(&token).map(|v| code(&v)), Some("ok"));
}

#[test]
fn static_keys() {
    let world = World::cold(Algorithm::Es256, |b| b);
    let keys = StaticKeys::from_json(world.issuer.jwks()).expect("good keys");
    let verifier = Verifier::builder().issuer(policy(), keys).clock(world.clock.clone()).build();
    let verdict = block_on(verifier.expect("sound").verify(&world.token().sign()));
    assert_eq!(code(&verdict), "ok");
    for document in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AAAA","kid":"x"}]}"#]
    {
        drop(StaticKeys::from_json(document).expect_err("no usable key"));
    }
}

#[test]
fn a_token_that_expires_while_it_waits_for_keys() {
    struct Slow(TestIssuer, TestClock);
    impl KeySource for Slow {
        fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + '_>> {
            self.1.advance(Duration::from_secs(30));
            Box::pin(async { Ok(self.0.jwks().into()) })
        }
    }
    let world = cold();
    for (lifetime, expected) in [(31, "ok"), (30, "token_expired"), (20, "token_expired")] {
        let source = Slow(world.issuer.clone(), world.clock.clone());
        let verifier =
            Verifier::builder().issuer(policy(), source).clock(world.clock.clone()).build();
        let verifier = verifier.expect("sound");
        // It lives for this long with the leeway of 15 s, and waits for 30 s.
        let token = world.issuer.token(API).lifetime(lifetime - 15).sign();
        assert_eq!(code(&block_on(verifier.verify(&token))), expected, "{lifetime} s");
        assert_eq!(verifier.cache_status().entries, usize::from(expected == "ok"));
    }
}
