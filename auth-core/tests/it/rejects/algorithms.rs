//! Signature algorithms: the key decides, never the token.

use auth_core::{
    Accept, Algorithm, IssuerPolicy, Verifier,
    testing::{TestIssuer, TestKey},
};
use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::DecodingKey;
use serde_json::json;

use crate::support::{API, ISSUER, World, base64url, split};

#[track_caller]
fn check(alg: &serde_json::Value, code: &str) {
    let world = World::new();
    let token = world.token().header("alg", alg.clone()).sign();
    world.refuses(&format!("alg: {alg}"), &token, code);
    let [header, payload, _] = split(&token);
    // A refusal must not depend on what stands in the place of the signature.
    world.refuses(&format!("alg: {alg}, unsigned"), &format!("{header}.{payload}."), code);
}

#[test]
fn none() {
    for alg in ["none", "None", "NONE", "nOnE", "none ", ""] {
        check(&json!(alg), "unsupported_algorithm");
    }
}

#[test]
fn unknown_and_ill_typed() {
    for alg in [
        "HS256",
        "HS384",
        "HS512",
        "RS384",
        "RS512",
        "PS384",
        "PS512",
        "ES512",
        "ES256K",
        "RS1",
        "dir",
        "RSA-OAEP",
        "A256GCMKW",
        "es384",
        "ES384 ",
        "ES384\u{0}",
        "ES384,RS256",
        "ML-DSA-65",
        "Ed448",
        "EdDSA ",
        "Es384",
    ] {
        check(&json!(alg), "unsupported_algorithm");
    }
    for alg in [json!(null), json!(1), json!(["ES384"]), json!({"ES384": 1}), json!(false)] {
        check(&alg, "malformed_token");
    }
    let world = World::new();
    world.refuses("no `alg`", &world.token().without_header("alg").sign(), "malformed_token");
}

#[test]
fn the_public_key_as_a_shared_secret() {
    // CVE-2016-10555, CVE-2024-33663.
    for algorithm in [Algorithm::Rs256, Algorithm::Es384] {
        let world = World::with(algorithm);
        let jwk = world.issuer.current_key().jwk().clone();
        let pem = pem(&jwk);
        let member =
            jwk["n"].as_str().or_else(|| jwk["x"].as_str()).expect("a public number").to_owned();
        for secret in
            [jwk.to_string(), pem.clone(), pem.trim_end().to_owned(), member, String::new()]
        {
            for (alg, hash) in [
                ("HS256", hmac::HMAC_SHA256),
                ("HS384", hmac::HMAC_SHA384),
                ("HS512", hmac::HMAC_SHA512),
            ] {
                let token = world.token().header("alg", alg).sign();
                let [header, payload, _] = split(&token);
                let input = format!("{header}.{payload}");
                let tag = hmac::sign(&hmac::Key::new(hash, secret.as_bytes()), input.as_bytes());
                let token = format!("{input}.{}", base64url(tag));
                world.refuses(alg, &token, "unsupported_algorithm");
            }
        }
    }
}

/// The public key as a file, as `openssl` writes it.
fn pem(jwk: &serde_json::Value) -> String {
    let number = |name: &str| {
        let text = jwk[name].as_str().expect("a number of the key");
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    };
    let (algorithm, key) = if jwk["kty"] == "RSA" {
        // Positive numbers: a zero in front of a high first bit.
        let integer = |bytes: Vec<u8>| der(0x02, &[vec![0; usize::from(bytes[0] >> 7)], bytes]);
        let algorithm = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0].to_vec();
        (algorithm, der(0x30, &[integer(number("n")), integer(number("e"))]))
    } else {
        let algorithm =
            [0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 5, 0x2b, 0x81, 4, 0, 0x22].to_vec();
        (algorithm, [vec![4], number("x"), number("y")].concat())
    };
    let bits = der(0x03, &[vec![0], key]);
    let text = STANDARD.encode(der(0x30, &[der(0x30, &[algorithm]), bits]));
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

fn der(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    let length = match u16::try_from(content.len()).expect("keys are small") {
        short @ 0..128 => vec![short.to_be_bytes()[1]],
        long @ 128..256 => vec![0x81, long.to_be_bytes()[1]],
        long => [[0x82].as_slice(), &long.to_be_bytes()].concat(),
    };
    [vec![tag], length, content].concat()
}

/// What stands in for the key's file above is the key's file: `jsonwebtoken` reads it and verifies.
#[test]
fn the_file_is_the_keys_own() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es384] {
        let world = World::with(algorithm);
        let pem = pem(world.issuer.current_key().jwk());
        let token = world.token().sign();
        let (input, signature) = token.rsplit_once('.').expect("three parts");
        let (key, algorithm) = if algorithm == Algorithm::Rs256 {
            (DecodingKey::from_rsa_pem(pem.as_bytes()), jsonwebtoken::Algorithm::RS256)
        } else {
            (DecodingKey::from_ec_pem(pem.as_bytes()), jsonwebtoken::Algorithm::ES384)
        };
        let key = key.expect("a public key");
        let verified = jsonwebtoken::crypto::verify(signature, input.as_bytes(), &key, algorithm);
        assert!(verified.expect("a signature"), "{pem}");
    }
}

#[test]
fn psychic_signatures() {
    // CVE-2022-21449: r = s = 0, and other numbers outside of 1..n.
    for (algorithm, half) in [(Algorithm::Es256, 32), (Algorithm::Es384, 48)] {
        let world = World::with(algorithm);
        let token = world.token().sign();
        let [header, payload, _] = split(&token);
        let one = |n: usize| [vec![0; n - 1], vec![1]].concat();
        for (what, signature) in [
            ("r = s = 0", vec![0; 2 * half]),
            ("r = 0, s = 1", [vec![0; half], one(half)].concat()),
            ("r = 1, s = 0", [one(half), vec![0; half]].concat()),
            ("r = s = 1", [one(half), one(half)].concat()),
            ("r = s = 2^n - 1", vec![0xff; 2 * half]),
            ("DER: 0, 0", vec![0x30, 6, 2, 1, 0, 2, 1, 0]),
            ("one byte short", vec![1; 2 * half - 1]),
            ("one byte long", vec![1; 2 * half + 1]),
            ("empty", vec![]),
        ] {
            world.refuses(
                what,
                &format!("{header}.{payload}.{}", base64url(signature)),
                "bad_signature",
            );
        }
    }
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa] {
        let world = World::with(algorithm);
        let token = world.token().sign();
        let [header, payload, _] = split(&token);
        for length in [0, 1, 63, 64, 65, 255, 256, 257, 512] {
            for byte in [0, 1, 0xff] {
                let signature = base64url(vec![byte; length]);
                world.refuses(
                    "constant",
                    &format!("{header}.{payload}.{signature}"),
                    "bad_signature",
                );
            }
        }
    }
}

#[test]
fn an_algorithm_that_is_not_the_keys() {
    for (of_key, of_token) in [
        (Algorithm::Es384, "ES256"),
        (Algorithm::Es256, "ES384"),
        (Algorithm::Es384, "RS256"),
        (Algorithm::Rs256, "ES256"),
        (Algorithm::Rs256, "EdDSA"),
        (Algorithm::EdDsa, "ES256"),
        (Algorithm::EdDsa, "PS256"),
    ] {
        let world = World::with(of_key);
        let token = world.token().header("alg", of_token).sign();
        world.refuses(&format!("{of_key} key, {of_token} token"), &token, "algorithm_mismatch");
    }
    // An RSA key without `alg` may do both, but each signature is of one kind.
    let world = World::with(Algorithm::Rs256);
    world.refuses("PS256", &world.token().header("alg", "PS256").sign(), "bad_signature");
    let world = World::with(Algorithm::Ps256);
    world.refuses("RS256", &world.token().header("alg", "RS256").sign(), "bad_signature");
}

#[test]
fn a_key_that_names_its_algorithm_does_only_that() {
    let world = World::cold(Algorithm::Ps256, |b| b);
    let mut jwk = world.issuer.current_key().jwk().clone();
    jwk["alg"] = json!("RS256");
    let document = json!({ "keys": [jwk] }).to_string();
    world.keys.fault(auth_core::testing::KeyFault::Document(document.into()));
    world.refuses("PS256 token", &world.token().sign(), "algorithm_mismatch");
}

#[test]
fn algorithms_that_the_issuer_does_not_use() {
    let issuer = TestIssuer::new(ISSUER, Algorithm::Rs256);
    let policy = IssuerPolicy::new("test", ISSUER)
        .algorithms([Algorithm::Es384])
        .accept(Accept::organization(API));
    let verifier = Verifier::builder().issuer(policy, issuer.keys()).build().expect("sound");
    let verdict = crate::support::block_on(verifier.verify(&issuer.token(API).sign()));
    assert_eq!(crate::support::code(&verdict), "unsupported_algorithm");
    assert_eq!(issuer.keys().fetches(), 0, "refused before any key is looked at");
}

#[test]
fn signed_by_somebody_else() {
    for algorithm in Algorithm::ALL {
        let world = World::with(algorithm);
        let kid = world.issuer.current_key().kid().to_owned();
        let evil = TestKey::generate(algorithm);
        let header = json!({"alg": algorithm.as_str(), "typ": "at+jwt", "kid": kid}).to_string();
        let claims = serde_json::to_string(world.token().claims()).expect("claims are JSON");
        world.refuses("another key", &evil.sign(&header, &claims), "bad_signature");

        // The signature of one token on another.
        let (a, b) = (world.token().sign(), world.token().claim("sub", "root").sign());
        let ([header, _, signature], [_, payload, _]) = (split(&a), split(&b));
        world.refuses("swapped", &format!("{header}.{payload}.{signature}"), "bad_signature");
    }
}
