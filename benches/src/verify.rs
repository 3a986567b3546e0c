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

/// An issuer, a verifier that has its keys and forgets tokens at once, and a token of 900 bytes.
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
    let padding = "x".repeat(200);
    let token = issuer
        .token(AUDIENCE)
        .organization("org_a")
        .scopes(["traces:read", "traces:write", "traces:replay"])
        .claim("padding", padding)
        .sign();
    (issuer, verifier, token)
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

/// Own parsing, rules and signature against the signature alone. Each round verifies many distinct
/// tokens once, so that the cache never answers.
fn cold(algorithm: Algorithm) -> Pair {
    let (issuer, verifier, token) = subject(algorithm, 1);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    runtime.block_on(verifier.ready()).expect("keys from memory");
    // The cache holds one entry: two tokens in turn always miss it.
    let other =
        issuer.token(AUDIENCE).organization("org_b").claim("padding", "y".repeat(200)).sign();
    let raw = raw_check(&issuer, &token);
    let mut turn = false;
    pair(
        200,
        || {
            turn = !turn;
            let token = if turn { &token } else { &other };
            verifier.verify_now(token).expect("keys are there").expect("a good token");
        },
        raw,
    )
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
    row("verify, cold, ES384", "raw signature check", cold(Algorithm::Es384), Some(1.03));
    row("verify, cold, RS256", "raw signature check", cold(Algorithm::Rs256), Some(1.10));
    row("jsonwebtoken::decode, ES384", "raw signature check", peer(Algorithm::Es384), None);
    row("jsonwebtoken::decode, RS256", "raw signature check", peer(Algorithm::Rs256), None);
    row("verify, cached", "SHA-256 of the token", hit(), None);
    row("token map, quick_cache, 5,000", "moka", maps(5_000), None);
    row("token map, quick_cache, 200,000", "moka", maps(200_000), None);
}
