//! Cold verification against the raw signature check, and the cache of verified tokens.

use std::{hint::black_box, sync::Arc};

use auth_core::{
    Accept, Algorithm, IssuerPolicy, Verifier,
    testing::{TestClock, TestIssuer},
};
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use jsonwebtoken::{DecodingKey, Validation, jwk::Jwk};

use crate::{
    paired::{Pair, pair},
    report::Report,
};

const AUDIENCE: &str = "https://api.bench.test";

/// An issuer, a verifier whose cache holds so many tokens, and a token of 900 bytes.
fn subject(algorithm: Algorithm, cache: usize) -> (TestIssuer, Verifier, String) {
    let clock = TestClock::new();
    let issuer = TestIssuer::new("https://id.bench.test/oidc", algorithm).clock(clock.clone());
    let policy = IssuerPolicy::new("bench", issuer.url()).accept(Accept::organization(AUDIENCE));
    let verifier = Verifier::builder()
        .issuer(policy, issuer.keys())
        .clock(clock)
        .cache_capacity(cache)
        .build()
        .expect("the policy is sound");
    let token = token_of(&issuer, "org_a");
    (issuer, verifier, token)
}

fn token_of(issuer: &TestIssuer, organization: &str) -> String {
    issuer
        .token(AUDIENCE)
        .organization(organization)
        .scopes(["traces:read", "traces:write", "traces:replay"])
        .claim("padding", "x".repeat(200))
        .sign()
}

fn raw_check(issuer: &TestIssuer, token: &str) -> impl Fn() + use<> {
    let key = issuer.current_key();
    let member = |name: &str| decode(key.jwk()[name].as_str().expect("a member of the JWK"));
    let parsed = if key.algorithm() == Algorithm::Es384 {
        let point = [vec![4], member("x"), member("y")].concat();
        ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
    } else {
        RsaPublicKeyComponents { n: member("n"), e: member("e") }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
    }
    .expect("a public key");
    let (input, signature) = token.rsplit_once('.').expect("a compact JWS");
    let (input, signature) = (input.to_owned(), decode(signature));
    move || parsed.verify_sig(input.as_bytes(), black_box(&signature)).expect("a good signature")
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// Which of the verifier's two ways a token that is not cached takes.
#[derive(Clone, Copy)]
enum Way {
    /// `verify().await`: single flight, a slot among those that verify at the same time, the cache.
    /// This is what the gateway does.
    Whole,
    /// `verify_now()`, which does without flight and slot.
    Now,
}

/// Own parsing, rules and signature against the signature alone. Two tokens of one length take turns,
/// and the cache holds one entry, so that neither is ever found there.
fn cold(algorithm: Algorithm, way: Way) -> Pair {
    let (issuer, verifier, token) = subject(algorithm, 1);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    runtime.block_on(verifier.ready()).expect("keys from memory");
    let other = token_of(&issuer, "org_b");
    assert_eq!(token.len(), other.len(), "one is dearer to hash and to read");
    let raw = raw_check(&issuer, &token);
    let before = verifier.cache_status().signatures;
    let mut turns = 0;
    let measured = pair(
        200,
        || {
            turns += 1;
            let token = if turns % 2 == 0 { &token } else { &other };
            let identity = match way {
                Way::Whole => runtime.block_on(verifier.verify(token)),
                Way::Now => verifier.verify_now(token).expect("keys are there"),
            };
            black_box(identity.expect("a good token"));
        },
        raw,
    );
    assert_eq!(verifier.cache_status().signatures - before, turns, "the cache answered");
    measured
}

/// The same token through `jsonwebtoken::decode`, with every check that it offers turned on.
fn peer(algorithm: Algorithm) -> Pair {
    let (issuer, _, token) = subject(algorithm, 1);
    let key = issuer.current_key();
    let jwk: Jwk = serde_json::from_value(key.jwk().clone()).expect("a JWK");
    let key = DecodingKey::from_jwk(&jwk).expect("a key");
    let mut rules = Validation::new(if algorithm == Algorithm::Es384 {
        jsonwebtoken::Algorithm::ES384
    } else {
        jsonwebtoken::Algorithm::RS256
    });
    rules.set_issuer(&[issuer.url()]);
    rules.set_audience(&[AUDIENCE]);
    rules.set_required_spec_claims(&["exp", "iss", "aud"]);
    rules.validate_nbf = true;
    let raw = raw_check(&issuer, &token);
    let subject = || {
        let decoded = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &rules);
        black_box(decoded.expect("a good token"));
    };
    pair(200, subject, raw)
}

/// A verified token again: hash, look-up, clock.
fn hit() -> Pair {
    let (_, verifier, token) = subject(Algorithm::Es384, 10_000);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    runtime.block_on(verifier.verify(&token)).expect("a good token");
    let hash = || {
        black_box(aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            black_box(token.as_bytes()),
        ));
    };
    let subject = || {
        black_box(verifier.verify_cached(&token).expect("cached").expect("good"));
    };
    pair(20_000, subject, hash)
}

/// The two maps that were measured for the token cache, with the keys and values it has.
fn maps(entries: usize) -> Pair {
    let keys: Vec<[u8; 32]> = (0..entries as u64)
        .map(|n| {
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &n.to_le_bytes());
            hash.as_ref().try_into().expect("32 bytes")
        })
        .collect();
    let quick = quick_cache::sync::Cache::new(entries * 2);
    let moka = moka::sync::Cache::new(entries as u64 * 2);
    for key in &keys {
        quick.insert(*key, Arc::new(1_u64));
        moka.insert(*key, Arc::new(1_u64));
    }
    moka.run_pending_tasks();
    let (mut a, mut b) = (keys.iter().cycle(), keys.iter().cycle());
    pair(
        20_000,
        || {
            black_box(quick.get(a.next().expect("a cycle")));
        },
        || {
            black_box(moka.get(b.next().expect("a cycle")));
        },
    )
}

pub(crate) fn run(report: &mut Report) {
    let mut row = |what: &str, against: &str, pair: Pair, goal: Option<f64>| {
        report.row(what, against, pair.ratio, goal);
        Report::note(format!("    here {:?} against {:?}", pair.subject, pair.reference));
    };
    for (algorithm, name, goal) in
        [(Algorithm::Es384, "ES384", 1.03), (Algorithm::Rs256, "RS256", 1.10)]
    {
        let raw = "raw signature check";
        row(&format!("verify().await, cold, {name}"), raw, cold(algorithm, Way::Whole), Some(goal));
        row(&format!("verify_now(), cold, {name}"), raw, cold(algorithm, Way::Now), None);
    }
    row("jsonwebtoken::decode, ES384", "raw signature check", peer(Algorithm::Es384), None);
    row("jsonwebtoken::decode, RS256", "raw signature check", peer(Algorithm::Rs256), None);
    row("verify, cached", "SHA-256 of the token", hit(), None);
    row("token map, quick_cache, 5,000", "moka", maps(5_000), None);
    row("token map, quick_cache, 200,000", "moka", maps(200_000), None);
}
