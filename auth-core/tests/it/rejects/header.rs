//! Header parameters: types, keys that the token brings along, extensions, `kid`.

use auth_core::{Algorithm, testing::TestIssuer};
use serde_json::{Value, json};

use crate::support::{ISSUER, World};

#[track_caller]
fn check(name: &str, value: impl Into<Value>, code: &str) {
    let world = World::new();
    let value = value.into();
    let token = world.token().header(name, value.clone()).sign();
    let what = format!("{name}: {value}");
    if code == "ok" {
        drop(world.accepts(&what, &token));
    } else {
        world.refuses(&what, &token, code);
    }
}

#[track_caller]
fn raw(header: &str, code: &str) {
    let world = World::new();
    world.refuses(header, &world.token().sign_header(header), code);
}

#[test]
fn typ() {
    for typ in ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"] {
        check("typ", typ, "ok");
    }
    for typ in [
        "JWT",
        "jwt",
        "application/jwt",
        "dpop+jwt",
        "secevent+jwt",
        "JWS",
        "",
        "at+jwt ",
        " at+jwt",
        "at+jwt;x",
        "application/application/at+jwt",
        "x/at+jwt",
        "at+jwt\u{0}",
        "jwe",
        "token-introspection+jwt",
    ] {
        check("typ", typ, "wrong_token_type");
    }
    for typ in [json!(1), json!(null), json!(["at+jwt"]), json!({"at+jwt": 1}), json!(true)] {
        check("typ", typ, "malformed_token");
    }
    check("typ", "logout+jwt", "logout_token");
    check("typ", "LOGOUT+JWT", "logout_token");
    check("typ", "application/logout+jwt", "logout_token");
    let world = World::new();
    world.refuses("no `typ`", &world.token().without_header("typ").sign(), "wrong_token_type");
}

#[test]
fn other_kinds_of_tokens() {
    let world = World::new();
    let id_token =
        || world.token_for("app_1").without("client_id").without("scope").claim("nonce", "n-123");
    world.refuses("Logto's ID token", &id_token().without_header("typ").sign(), "id_token");
    world.refuses("with `typ: JWT`", &id_token().header("typ", "JWT").sign(), "id_token");
    // An ID token of a provider that lets applications ask for the API as their client id.
    let api = world.token().without("client_id").without_header("typ").sign();
    world.refuses("ID token for the API", &api, "id_token");
    for claim in ["nonce", "at_hash", "c_hash", "auth_time"] {
        let token = world.token().without_header("typ").claim(claim, "x").sign();
        world.refuses(claim, &token, "id_token");
    }
    // Called an access token, an ID token still lacks the audience, or else `client_id`.
    world.refuses("audience", &id_token().sign(), "wrong_audience");
    let token = id_token().claim("aud", crate::support::API).sign();
    world.refuses("`client_id`", &token, "invalid_claims");
    let events = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let logout = || world.token_for("app_1").without("client_id").claim("events", events.clone());
    world.refuses("logout token", &logout().header("typ", "logout+jwt").sign(), "logout_token");
    world.refuses("without `typ`", &logout().without_header("typ").sign(), "logout_token");
    world.refuses("`typ: JWT`", &logout().header("typ", "JWT").sign(), "logout_token");
}

#[test]
fn critical_extensions() {
    for crit in [
        json!(["x-must"]),
        json!([]),
        json!(["b64"]),
        json!(["exp"]),
        json!("x"),
        json!(null),
        json!(0),
        json!({}),
    ] {
        check("crit", crit, "critical_header");
    }
    let world = World::new();
    let token = world.token().header("crit", json!(["b64"])).header("b64", false).sign();
    world.refuses("unencoded payload", &token, "critical_header");
}

#[test]
fn keys_that_the_token_brings_are_never_used() {
    let world = World::new();
    let evil = TestIssuer::new(ISSUER, Algorithm::Es384).clock(world.clock.clone());
    let ours = world.issuer.current_key().kid().to_owned();
    let token = || evil.token(crate::support::API).claim("iat", crate::support::NOW - 60);
    let jwk = evil.current_key().jwk().clone();
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("http://evil.test/jwks.json")),
        ("x5u", json!("http://evil.test/chain.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t#S256", json!("AAAA")),
    ] {
        world.refuses(name, &token().header(name, value.clone()).sign(), "unknown_key");
        let token = token().header(name, value).header("kid", ours.as_str()).sign();
        world.refuses(name, &token, "bad_signature");
    }
    assert_eq!(world.keys.fetches(), 1, "only the configured source is asked");
}

#[test]
fn kid() {
    for kid in [
        "../../x",
        "/dev/null",
        "../../../../etc/passwd",
        "x' UNION SELECT 'key",
        "'; DROP TABLE keys; --",
        "x",
        " ",
        "\u{0}",
        "\r\nX-Injected: 1",
        "http://evil.test/key",
        "ключ",
        "*",
        "kid",
        "0",
        "null",
        "{}",
    ] {
        check("kid", kid, "unknown_key");
    }
    check("kid", "k".repeat(10 * 1024), "malformed_token");
    check("kid", "k".repeat(3 * 1024), "unknown_key");
    check("kid", "", "missing_kid");
    for kid in [json!(null), json!(1), json!(["x"]), json!({"x": 1}), json!(true)] {
        check("kid", kid, "malformed_token");
    }
    let world = World::new();
    world.refuses("no `kid`", &world.token().without_header("kid").sign(), "missing_kid");
    let ours = world.issuer.current_key().kid().to_owned();
    for kid in [format!("{ours} "), format!(" {ours}"), format!("{ours}\u{0}"), ours.to_lowercase()]
    {
        world.refuses(&kid, &world.token().header("kid", kid.as_str()).sign(), "unknown_key");
    }
}

#[test]
fn headers_that_are_no_header() {
    for header in
        ["", "[]", "null", "\"ES384\"", "1", "{", "{}", "{\"alg\":\"ES384\"", "{}{}", "\u{feff}{}"]
    {
        raw(header, "malformed_token");
    }
    raw(
        &format!("{{\"alg\":\"ES384\",\"x\":{}{}}}", "[".repeat(1_000), "]".repeat(1_000)),
        "malformed_token",
    );
    raw(
        &format!("{{\"alg\":\"ES384\",\"kid\":\"k\",\"x\":\"{}\"}}", "x".repeat(4_100)),
        "malformed_token",
    );
    raw(r#"{"alg":"ES384","typ":"at+jwt"}"#, "missing_kid");
    raw(r#"{"typ":"at+jwt","kid":"k"}"#, "malformed_token");
}
