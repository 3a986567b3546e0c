//! Tokens that must pass, so that the rules refuse no more than they should.

use auth_core::{Algorithm, Kind, testing::KeyFault};
use serde_json::{Value, json};

use crate::support::{API, ISSUER, NOW, World, block_on, code};

#[test]
fn every_algorithm() {
    for algorithm in Algorithm::ALL {
        let world = World::with(algorithm);
        let identity =
            world.accepts(algorithm.as_str(), &world.token().organization("org_a").sign());
        assert_eq!((identity.issuer(), identity.organization()), (ISSUER, Some("org_a")));
    }
}

#[test]
fn the_fully_specified_name_of_ed25519() {
    // RFC 9864. The key may say `EdDSA`, `Ed25519` or nothing.
    for alg in [json!("EdDSA"), json!("Ed25519"), Value::Null] {
        let world = World::cold(Algorithm::EdDsa, |b| b);
        let mut jwk = world.issuer.current_key().jwk().clone();
        if alg.is_null() {
            jwk.as_object_mut().expect("a JWK is an object").remove("alg");
        } else {
            jwk["alg"] = alg.clone();
        }
        let document = json!({ "keys": [jwk] }).to_string();
        world.keys.fault(KeyFault::Document(document.into()));
        for of_token in ["EdDSA", "Ed25519"] {
            let token = world.token().header("alg", of_token).sign();
            world.accepts(&format!("key {alg}, token {of_token}"), &token);
        }
    }
}

#[test]
fn keys_without_alg() {
    for (algorithm, both) in
        [(Algorithm::Rs256, Algorithm::Ps256), (Algorithm::Ps256, Algorithm::Rs256)]
    {
        let world = World::with(algorithm);
        assert!(world.issuer.current_key().jwk().get("alg").is_none(), "as Logto shows RSA keys");
        world.accepts(&format!("{algorithm}, could be {both}"), &world.token().sign());
    }
    for algorithm in [Algorithm::Es384, Algorithm::Es256] {
        let world = World::cold(algorithm, |b| b);
        let mut jwk = world.issuer.current_key().jwk().clone();
        let members = jwk.as_object_mut().expect("a JWK is an object");
        members.retain(|name, _| !["alg", "use"].contains(&name.as_str()));
        let document = json!({ "keys": [jwk] }).to_string();
        world.keys.fault(KeyFault::Document(document.into()));
        world.accepts(algorithm.as_str(), &world.token().sign());
    }
}

#[test]
fn header_parameters_of_any_type() {
    for value in [
        json!(1),
        json!(1.5),
        json!(null),
        json!(true),
        json!([1, "x"]),
        json!({"a": {"b": []}}),
        json!("ü"),
    ] {
        for name in [
            "ver", "x-extra", "cty", "jwk", "jku", "x5u", "x5c", "x5t", "iss", "zip", "b64", "ppt",
            "",
        ] {
            let world = World::new();
            let token = world.token().header(name, value.clone()).sign();
            world.accepts(&format!("{name}: {value}"), &token);
        }
    }
}

#[test]
fn whitespace_inside_json() {
    let world = World::new();
    let pretty = serde_json::to_string_pretty(world.token().claims()).expect("claims are JSON");
    world
        .accepts("around the payload", &world.token().sign_payload(&format!(" \r\n\t{pretty}\n ")));
    let kid = world.issuer.current_key().kid().to_owned();
    let header = format!(" {{ \"alg\" : \"ES384\" ,\n\"typ\":\"at+jwt\", \"kid\":\"{kid}\" }} ");
    world.accepts("around the header", &world.token().sign_header(&header));
    let header = format!(r#"{{"\u0061lg":"ES\u0033\u00384","typ":"at\u002bjwt","kid":"{kid}"}}"#);
    world.accepts("escapes", &world.token().sign_header(&header));
}

#[test]
fn who_it_is() {
    let world = World::new();
    let token = world.token().subject("user_7").client("app_3").organization("org_a");
    let token = token.scopes(["read", "write:routes"]).claim("act", json!({"sub": "support_1"}));
    let user = world.accepts("user", &token.sign());
    assert_eq!((user.kind(), user.subject(), user.client_id()), (Kind::User, "user_7", "app_3"));
    assert_eq!((user.issuer_name(), user.issuer(), user.audience()), ("test", ISSUER, API));
    assert_eq!(user.scopes().collect::<Vec<_>>(), ["read", "write:routes"]);
    assert!(user.has_scope("read") && !user.has_scope("rea") && !user.has_scope("write"));
    assert_eq!(user.actor(), Some("support_1"));
    let since =
        |t: std::time::SystemTime| t.duration_since(std::time::UNIX_EPOCH).expect("late").as_secs();
    assert_eq!((since(user.issued_at()), since(user.expires_at())), (NOW - 60, NOW + 3600));
    let shown = format!("{user:?}");
    assert!(!shown.contains("user_7") && !shown.contains("read"), "personal data: {shown}");

    let machine = world.accepts("machine", &world.token().machine("agent_9").sign());
    assert_eq!(
        (machine.kind(), machine.subject(), machine.actor()),
        (Kind::Machine, "agent_9", None)
    );
    // Equal to the letter: a user whose id differs in case is a user.
    let user = world.accepts("case", &world.token().subject("AGENT_9").client("agent_9").sign());
    assert_eq!(user.kind(), Kind::User);
}

#[test]
fn scopes() {
    let world = World::new();
    let scopes = |scope: Option<&str>| {
        let token = world.token();
        let token = scope
            .map_or_else(|| token.clone().without("scope"), |s| token.clone().claim("scope", s));
        let identity = world.accepts(&format!("{scope:?}"), &token.sign());
        identity.scopes().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(scopes(None), Vec::<String>::new());
    assert_eq!(scopes(Some("")), Vec::<String>::new());
    assert_eq!(scopes(Some("   ")), Vec::<String>::new());
    assert_eq!(scopes(Some(" a  b ")), ["a", "b"]);
    assert_eq!(
        scopes(Some("urn:x:y https://a.test/b read_all !#$%&'()*+,-./:;<=>?@[]^_`{|}~")).len(),
        4
    );
}

#[test]
fn two_equal_tokens_of_different_times_are_two() {
    let world = World::new();
    let (a, b) = (world.token().sign(), world.token().sign());
    world.accepts("one", &a);
    world.accepts("two", &b);
    assert_ne!(a, b);
    let status = world.verifier.cache_status();
    assert_eq!((status.entries, status.misses, status.signatures), (2, 2, 2));
    assert_eq!(status.hits, 2);
}

#[test]
fn a_full_cache_forgets_and_never_mistakes() {
    let world = World::cold(Algorithm::EdDsa, |b| b.cache_capacity(4));
    let tokens: Vec<_> = (0..64)
        .map(|n| (format!("org_{n}"), world.token().organization(&format!("org_{n}")).sign()))
        .collect();
    for _ in 0..2 {
        for (organization, token) in &tokens {
            let identity = block_on(world.verifier.verify(token)).expect("valid");
            assert_eq!(identity.organization(), Some(organization.as_str()));
        }
    }
    assert!(world.verifier.cache_status().entries <= 4);
}

#[test]
fn a_verifier_without_cache_room_still_verifies() {
    let world = World::cold(Algorithm::EdDsa, |b| b.cache_capacity(0).max_waiting(0));
    let token = world.token().sign();
    for _ in 0..3 {
        assert_eq!(code(&block_on(world.verifier.verify(&token))), "ok");
    }
}
