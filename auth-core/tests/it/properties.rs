//! Whatever bytes come: no panic, no token that was not signed, one verdict for one token.

use std::sync::LazyLock;

use auth_core::{Algorithm, inspect};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::support::{ISSUER, NOW, World, base64url, block_on, code, split};

static WORLDS: LazyLock<[World; 2]> =
    LazyLock::new(|| [World::with(Algorithm::Es384), World::with(Algorithm::Rs256)]);

static TOKENS: LazyLock<Vec<(usize, String)>> = LazyLock::new(|| {
    let tokens = WORLDS.iter().enumerate().flat_map(|(n, world)| {
        let plain = world.token().organization("org_a").scopes(["read", "write"]);
        let other = world.token().organization("org_b").subject("user_2");
        let rich = plain.clone().claim("extra", json!({"a": [1, 2.5, null], "ü": "\u{1F600}"}));
        [plain, other, rich].map(|token| (n, token.sign()))
    });
    tokens.collect()
});

/// Refused by every way to ask, with a reason that blames the caller.
fn refused(world: &World, token: &str) {
    let verdict = block_on(world.verifier.verify(token));
    assert_ne!(code(&verdict), "ok", "accepted: {token}");
    let status = verdict.expect_err("refused").fault().status().as_u16();
    assert!(status == 401 || status == 403, "{status}: {token}");
    assert!(!matches!(world.verifier.verify_now(token), Some(Ok(_))), "accepted: {token}");
    // The explanation of a bad token must survive it too.
    drop(inspect(token));
}

/// Any JSON, with the names that mean something among the others.
fn any_json() -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        Just("sub"),
        Just("aud"),
        Just("exp"),
        Just("iss"),
        Just("roles"),
        Just("act"),
        Just("scope"),
        Just("x"),
        Just("organization_id"),
        Just("client_id"),
        Just("cnf"),
        Just("nbf"),
        Just("iat"),
        Just("events"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!(ISSUER)),
        Just(json!(crate::support::API)),
        Just(json!(NOW)),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((names.clone(), inner), 0..6)
                .prop_map(|members| members.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(token in "\\PC{0,300}") {
        refused(&WORLDS[0], &token);
    }

    #[test]
    fn arbitrary_parts(parts in vec(vec(any::<u8>(), 0..80), 0..7)) {
        let token: Vec<_> = parts.iter().map(base64url).collect();
        refused(&WORLDS[0], &token.join("."));
    }

    #[test]
    fn arbitrary_json_as_header_and_payload(header in any_json(), payload in any_json(), signature in vec(any::<u8>(), 0..100)) {
        let parts = [base64url(header.to_string()), base64url(payload.to_string()), base64url(signature)];
        refused(&WORLDS[0], &parts.join("."));
    }

    #[test]
    fn a_flipped_bit(which in 0..6_usize, at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let (world, token) = &TOKENS[which];
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        refused(&WORLDS[*world], &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_flipped_bit_in_the_decoded_signature(which in 0..6_usize, at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let (world, token) = &TOKENS[which];
        let [header, payload, signature] = split(token);
        let mut bytes = from_base64url(signature);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        refused(&WORLDS[*world], &format!("{header}.{payload}.{}", base64url(bytes)));
    }

    #[test]
    fn a_cut_or_an_insertion(which in 0..6_usize, at in any::<prop::sample::Index>(), cut in 1..50_usize, add in "\\PC{0,3}") {
        let (world, token) = &TOKENS[which];
        let from = at.index(token.len());
        let to = (from + cut).min(token.len());
        refused(&WORLDS[*world], &format!("{}{add}{}", &token[..from], &token[to..]));
        if !add.is_empty() {
            refused(&WORLDS[*world], &format!("{}{add}{}", &token[..from], &token[from..]));
        }
    }

    #[test]
    fn swapped_parts(picks in prop::array::uniform3((0..6_usize, 0..3_usize))) {
        let parts = picks.map(|(token, part)| split(&TOKENS[token].1)[part]);
        let token = parts.join(".");
        prop_assume!(TOKENS.iter().all(|(_, whole)| *whole != token));
        for world in WORLDS.iter() {
            refused(world, &token);
        }
    }

    #[test]
    fn a_signed_payload_of_any_shape_never_panics(claims in any_json()) {
        let world = &WORLDS[0];
        let mut payload = serde_json::to_value(world.token().claims()).expect("claims are JSON");
        if let Value::Object(more) = claims {
            payload.as_object_mut().expect("an object").extend(more);
        }
        let token = world.token().sign_payload(&payload.to_string());
        let cold = block_on(world.verifier.verify(&token));
        let warm = block_on(world.verifier.verify(&token));
        prop_assert_eq!(cold.map_err(|e| e.reason()), warm.map_err(|e| e.reason()));
    }

    #[test]
    fn cold_and_cached_tell_the_same(
        subject in "[!-~]{1,40}", client in "[!-~]{1,40}", organization in prop::option::of("[!-~]{1,40}"),
        scopes in vec("[!#-\\[\\]-~]{1,12}", 0..6), extra in any_json(), lifetime in 1..100_000_u64,
    ) {
        let world = World::with(Algorithm::EdDsa);
        let token = world.token().subject(&subject).client(&client).claim("extra", extra);
        let token = token.scopes(scopes.iter().map(String::as_str)).claim("exp", NOW + lifetime);
        let token = organization.iter().fold(token, |token, id| token.organization(id)).sign();
        let identity = world.accepts("a sound token", &token);
        prop_assert_eq!(identity.subject(), subject.as_str());
        prop_assert_eq!(identity.client_id(), client.as_str());
        prop_assert_eq!(identity.organization(), organization.as_deref());
        prop_assert_eq!(identity.scopes().collect::<Vec<_>>(), scopes);
        prop_assert_eq!(identity.kind().as_str(), if subject == client { "machine" } else { "user" });
        // A second verifier, by another way to ask.
        let other = World::cold(Algorithm::EdDsa, |b| b);
        other.keys.fault(auth_core::testing::KeyFault::Document(world.issuer.jwks().into()));
        block_on(other.verifier.ready()).expect("up");
        let again = other.verifier.verify_now(&token).expect("keys are there").expect("valid");
        prop_assert!(identity == again);
    }
}

fn from_base64url(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        c => panic!("`{c}` is no digit"),
    };
    let bits = text
        .bytes()
        .flat_map(|c| (0..6).rev().map(move |bit| digit(c) >> bit & 1))
        .collect::<Vec<_>>();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |n, bit| n << 1 | bit)).collect()
}
