//! Claims: missing, of the wrong type, or with values that cannot be used.

use serde_json::{Value, json};

use crate::support::{API, ISSUER, NOW, World};

#[track_caller]
fn check(name: &str, value: impl Into<Value>, code: &str) {
    let world = World::new();
    let value = value.into();
    let token = world.token().claim(name, value.clone()).sign();
    let what = format!("{name}: {value}");
    if code == "ok" {
        drop(world.accepts(&what, &token));
    } else {
        world.refuses(&what, &token, code);
    }
}

#[track_caller]
fn missing(name: &str, code: &str) {
    let world = World::new();
    world.refuses(&format!("no `{name}`"), &world.token().without(name).sign(), code);
}

/// Values of every type but the right one.
fn no_text() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(7),
        json!(1.5),
        json!([]),
        json!({}),
        json!(["x"]),
        json!({"x": "y"}),
    ]
}

#[test]
fn every_needed_claim_is_needed() {
    for name in ["iss", "aud", "exp", "iat", "sub", "client_id"] {
        missing(name, "invalid_claims");
    }
}

#[test]
fn iss() {
    for value in no_text() {
        check("iss", value, "invalid_claims");
    }
    check("iss", json!([ISSUER]), "invalid_claims");
    check("iss", json!(["https://evil.test", ISSUER]), "invalid_claims");
    for iss in [
        "",
        "https://evil.test/oidc",
        "https://id.test/oidc/",
        "https://id.test",
        "https://id.test/OIDC",
        "http://id.test/oidc",
        "HTTPS://id.test/oidc",
        "https://id.test:443/oidc",
        "https://id.test/oidc ",
        " https://id.test/oidc",
        "https://id.test/oidc\u{0}",
        "https://id.test/oidc?x",
        "https://id.test/oidc#x",
        "https://id.test/oidc/../oidc",
        "//id.test/oidc",
        "https://id.test@evil.test/oidc",
        "https://id.tеst/oidc",
    ] {
        check("iss", iss, "untrusted_issuer");
    }
}

#[test]
fn aud() {
    for value in [
        json!(null),
        json!(true),
        json!(7),
        json!({}),
        json!([]),
        json!([7]),
        json!([API, 1]),
        json!([null]),
    ] {
        check("aud", value, "invalid_claims");
    }
    check("aud", json!({"0": API}), "invalid_claims");
    check("aud", json!([[API]]), "invalid_claims");
    check("aud", json!(["https://evil.test", 1]), "invalid_claims");
    check("aud", json!([API]), "ok");
    // A token for several audiences could be replayed by each of them.
    check("aud", json!([API, "https://evil.test"]), "wrong_audience");
    check("aud", json!(["https://evil.test", API]), "wrong_audience");
    check("aud", json!([API, API]), "wrong_audience");
    for aud in [
        "",
        "https://evil.test",
        "https://api.test/",
        "https://api.tes",
        "https://api.test/x",
        "HTTPS://api.test",
        "api.test",
        "https://api.test https://evil.test",
        "https://api.test\u{0}",
        "app_1",
        ISSUER,
        "*",
        "urn:logto:organization",
        "urn:logto:scope:organizations",
    ] {
        check("aud", aud, "wrong_audience");
    }
}

#[test]
fn sub_and_client_id() {
    for name in ["sub", "client_id"] {
        for value in no_text() {
            check(name, value, "invalid_claims");
        }
        for value in [
            "",
            " ",
            "a b",
            "a\tb",
            "a\nb",
            "a\r\nX-Tenant-Id: b",
            "a\u{0}",
            "ä",
            "a\u{7f}",
            "\u{202e}nimda",
            "a\u{2028}b",
        ] {
            check(name, value, "invalid_claims");
        }
        check(name, "x".repeat(257), "invalid_claims");
        check(name, "x".repeat(256), "ok");
        check(name, "auth0|5f7c", "ok");
    }
}

#[test]
fn scope() {
    for value in no_text() {
        check("scope", value, "invalid_claims");
    }
    for value in ["a\tb", "a\nb", "a\"b", "a\\b", "a\u{0}", "ä", "a\u{a0}b"] {
        check("scope", value, "invalid_claims");
    }
}

#[test]
fn times_of_the_wrong_type() {
    // GHSA-h395-gr6q-cpjc: such a claim must not count as absent.
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!(null),
            json!(true),
            json!(""),
            json!("4102444800"),
            json!([]),
            json!([4_102_444_800_u64]),
            json!({}),
            json!(-1),
            json!(-1.5),
            json!(1e300),
            json!(-1e300),
            json!(1e19),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(253_402_300_800_u64),
            json!(253_402_300_799.5),
            json!(9_007_199_254_740_993_u64),
        ] {
            check(name, value, "invalid_claims");
        }
    }
}

#[test]
fn sender_constrained() {
    for cnf in [
        json!({"jkt": "x"}),
        json!({"x5t#S256": "x"}),
        json!({}),
        json!(null),
        json!("x"),
        json!([]),
    ] {
        check("cnf", cnf, "sender_constrained_token");
    }
}

#[test]
fn act() {
    for act in [
        json!(null),
        json!("x"),
        json!(1),
        json!([]),
        json!([{"sub": "x"}]),
        json!({}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"sub": 7}),
        json!({"sub": "a b"}),
        json!({"client_id": "x"}),
    ] {
        check("act", act, "invalid_claims");
    }
    check("act", json!({"sub": "support_1"}), "ok");
    check("act", json!({"sub": "a", "act": {"sub": "b"}, "iss": 7}), "ok");
}

#[test]
fn claims_that_mean_nothing_here() {
    for (name, value) in [
        ("azp", json!("somebody-else")),
        ("jti", json!(7)),
        ("tier", json!("business")),
        ("typ", json!("x")),
        ("kid", json!(null)),
        ("alg", json!("none")),
        ("enc", json!("A256GCM")),
        ("crit", json!([])),
        ("roles", json!("admin")),
        ("roles", json!({"a": 1})),
        ("permissions", json!(["*"])),
        ("tenant", json!("acme")),
        ("", json!("")),
        ("organization_roles", json!(["org_b:admin"])),
        ("iat ", json!("x")),
        ("EXP", json!(0)),
    ] {
        check(name, value, "ok");
    }
    let world = World::new();
    let token = world.token().claim("roles", json!(["admin"])).claim("tier", "business").sign();
    let identity = world.accepts("roles on the organization path", &token);
    assert_eq!(identity.roles().count(), 0);
    assert!(
        NOW > identity
            .issued_at()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs()
    );
}
