//! Many calls at once: equal tokens, floods, calls that are dropped half-way.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use auth_core::{Algorithm, VerifierBuilder, keys::KeyOptions, testing::KeyFault};
use tokio::{runtime::Runtime, task::JoinHandle, time::timeout};

use crate::support::{API, NOW, World, code, split};

fn threads() -> Runtime {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime starts")
}

/// A world whose fetches may take for ever.
fn patient(settings: impl FnOnce(VerifierBuilder) -> VerifierBuilder) -> World {
    let options = KeyOptions { fetch_timeout: Duration::from_hours(1), ..KeyOptions::STANDARD };
    World::cold(Algorithm::Es256, |b| settings(b.key_options(options)))
}

impl World {
    fn spawn(&self, on: &Runtime, token: &str) -> JoinHandle<&'static str> {
        let (verifier, token) = (self.verifier.clone(), token.to_owned());
        on.spawn(async move { code(&verifier.verify(&token).await) })
    }

    fn with_kid(&self, kid: &str) -> String {
        self.token().header("kid", kid).sign()
    }
}

/// Lets every call that was spawned get as far as it can.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[test]
fn equal_tokens_are_verified_once() {
    let runtime = threads();
    for algorithm in [Algorithm::Es384, Algorithm::EdDsa] {
        let world = World::cold(algorithm, |b| b);
        for round in 1..=20 {
            let token = world.token().sign();
            let calls: Vec<_> = (0..100).map(|_| world.spawn(&runtime, &token)).collect();
            for call in calls {
                assert_eq!(runtime.block_on(call).expect("no call panics"), "ok");
            }
            assert_eq!(world.verifier.cache_status().signatures, round);
        }
        assert_eq!(world.keys.fetches(), 1);
    }
}

#[test]
fn equal_bad_tokens_share_a_verdict_and_are_not_remembered() {
    let runtime = threads();
    let world = World::with(Algorithm::Es384);
    let token = world.token().sign();
    let [header, payload, _] = split(&token);
    let [_, _, other] = split(&token).map(|_| "AAAA");
    let forged = format!("{header}.{payload}.{other}");
    let calls: Vec<_> = (0..100).map(|_| world.spawn(&runtime, &forged)).collect();
    for call in calls {
        assert_eq!(runtime.block_on(call).expect("no call panics"), "bad_signature");
    }
    assert_eq!(world.verifier.cache_status().entries, 0);
}

#[test]
fn different_tokens_do_not_mix() {
    let runtime = threads();
    let world = World::with(Algorithm::EdDsa);
    let calls: Vec<_> = (0..500)
        .flat_map(|n| {
            let organization = format!("org_{n}");
            let token = world.token().organization(&organization).sign();
            (0..3).map(move |_| (organization.clone(), token.clone()))
        })
        .map(|(organization, token)| {
            let verifier = world.verifier.clone();
            runtime.spawn(async move {
                let identity = verifier.verify(&token).await.expect("valid");
                assert_eq!(identity.organization(), Some(organization.as_str()));
            })
        })
        .collect();
    for call in calls {
        runtime.block_on(call).expect("each call gets its own identity");
    }
    assert_eq!(world.verifier.cache_status().signatures, 500);
}

#[test]
fn a_flood_is_bounded_and_passes() {
    let runtime = threads();
    let world = patient(|b| b.max_waiting(1));
    world.keys.fault(KeyFault::Hang);
    let (first, second) = (world.token().sign(), world.token().sign());
    let waiting = world.spawn(&runtime, &first);
    runtime.block_on(settle());
    let error = runtime.block_on(world.verifier.verify(&second)).expect_err("there is no place");
    assert_eq!((error.reason().code(), error.fault().status().as_u16()), ("overloaded", 503));
    assert!(error.retry_after().is_some());
    // An equal token needs no place of its own.
    let equal = world.spawn(&runtime, &first);
    runtime.block_on(settle());
    assert!(!equal.is_finished());
    waiting.abort();
    equal.abort();
    drop(runtime.block_on(async { (waiting.await, equal.await) }));
    let third = world.spawn(&runtime, &second);
    runtime.block_on(settle());
    assert!(!third.is_finished(), "the place is free again");
}

#[test]
fn invented_kids_leave_room_for_known_keys() {
    let runtime = threads();
    let world = patient(|b| b.max_waiting(16));
    runtime.block_on(world.verifier.ready()).expect("up");
    world.keys.fault(KeyFault::Hang);
    world.advance(60);
    let flood: Vec<_> =
        (0..100).map(|n| world.spawn(&runtime, &world.with_kid(&format!("kid-{n}")))).collect();
    runtime.block_on(settle());
    let waiting = flood.iter().filter(|call| !call.is_finished()).count();
    assert_eq!(waiting, 8, "half of the places");
    for _ in 0..20 {
        assert_eq!(
            runtime
                .block_on(world.verifier.verify(&world.token().sign()))
                .map(drop)
                .map_err(|e| e.reason()),
            Ok(())
        );
    }
    for call in flood {
        if call.is_finished() {
            // Judged by the set that is there, which is younger than the token.
            assert_eq!(runtime.block_on(call).expect("no call panics"), "unknown_key");
        }
    }
    assert_eq!(world.keys.fetches(), 2);
}

#[test]
fn dropped_calls_leave_nothing_behind() {
    let runtime = threads();
    let world = patient(|b| b.max_waiting(64));
    world.keys.fault(KeyFault::Hang);
    for _ in 0..10 {
        let calls: Vec<_> = (0..60).map(|_| world.spawn(&runtime, &world.token().sign())).collect();
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
        for call in calls {
            call.abort();
            drop(runtime.block_on(call));
        }
    }
    // All places are free, and the one fetch goes on for whoever comes.
    assert_eq!(world.keys.fetches(), 1);
    let calls: Vec<_> = (0..30).map(|_| world.spawn(&runtime, &world.token().sign())).collect();
    runtime.block_on(settle());
    assert!(calls.iter().all(|call| !call.is_finished()));
}

#[test]
fn equal_calls_dropped_at_once_leave_nothing_behind() {
    // Each must not leave the entry to the other. The window is narrow: this shows the outcome, the
    // count under the lock is what closes it.
    let world = Arc::new(patient(|b| b.max_waiting(1)));
    world.keys.fault(KeyFault::Hang);
    let runtime = threads();
    let _inside = runtime.enter();
    let poll = |token: &str| {
        let (verifier, token) = (world.verifier.clone(), token.to_owned());
        let mut call = Box::pin(async move { verifier.verify(&token).await });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = call.as_mut().poll(&mut context);
        assert!(polled.is_pending(), "no place is left: {polled:?}");
        call
    };
    for _ in 0..500 {
        let token = world.token().sign();
        let barrier = Arc::new(Barrier::new(2));
        let (one, two) = (poll(&token), poll(&token));
        let other = barrier.clone();
        let thread = std::thread::spawn(move || {
            other.wait();
            drop(one);
        });
        barrier.wait();
        drop(two);
        thread.join().expect("dropping does not panic");
    }
    drop(poll(&world.token().sign()));
}

#[test]
fn the_next_caller_takes_over_from_one_that_is_dropped() {
    let runtime = threads();
    let options = KeyOptions { fetch_timeout: Duration::from_millis(300), ..KeyOptions::STANDARD };
    let world = World::cold(Algorithm::Es256, |b| b.key_options(options));
    world.keys.fault(KeyFault::Hang);
    let token = world.token().sign();
    let first = world.spawn(&runtime, &token);
    runtime.block_on(settle());
    let second = world.spawn(&runtime, &token);
    runtime.block_on(settle());
    first.abort();
    let told = runtime.block_on(async { timeout(Duration::from_secs(5), second).await });
    assert_eq!(told.expect("it ends").expect("no call panics"), "keys_unavailable");
}

#[test]
fn rotation_while_requests_run() {
    // Whatever the timing: no token of a current or previous key is refused for good, none of a key
    // that is gone comes back, and the cache never tells another identity.
    let runtime = threads();
    let world = Arc::new(World::with(Algorithm::EdDsa));
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let (world, stop) = (world.clone(), stop.clone());
            runtime.spawn(async move {
                let mut verified = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    let organization = format!("org_{n}_{verified}");
                    let token = world.issuer.token(API).organization(&organization).sign();
                    for _ in 0..3 {
                        match world.verifier.verify(&token).await {
                            Ok(identity) => {
                                assert_eq!(identity.organization(), Some(organization.as_str()));
                                verified += 1;
                            }
                            Err(error) => {
                                let reason = error.reason().code();
                                assert!(
                                    ["keys_unavailable", "unknown_key"].contains(&reason),
                                    "{reason}"
                                );
                            }
                        }
                    }
                    tokio::task::yield_now().await;
                }
                verified
            })
        })
        .collect();
    let gone = world.token().sign();
    assert_eq!(code(&runtime.block_on(world.verifier.verify(&gone))), "ok");
    for _ in 0..20 {
        world.issuer.rotate();
        world.advance(11);
        std::thread::sleep(Duration::from_millis(10));
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        assert!(runtime.block_on(worker).expect("no call panics") > 100);
    }
    world.advance(11);
    let probe = world.issuer.token(API).claim("iat", NOW).header("kid", "probe").sign();
    assert_eq!(code(&runtime.block_on(world.verifier.verify(&probe))), "unknown_key");
    assert_eq!(code(&runtime.block_on(world.verifier.verify(&gone))), "unknown_key");
    assert_eq!(
        code(&runtime.block_on(world.verifier.verify(&world.issuer.token(API).sign()))),
        "ok"
    );
}
