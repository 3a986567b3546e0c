//! Tokens that are no compact JWS with two JSON objects.

use crate::support::{API, ISSUER, NOW, World, base64url, split};

#[track_caller]
fn check(what: &str, change: impl FnOnce([&str; 3]) -> String, code: &str) {
    let world = World::new();
    let token = world.token().sign();
    world.refuses(what, &change(split(&token)), code);
}

#[test]
fn parts() {
    check("nothing", |_| String::new(), "opaque_token");
    check("one part", |[h, ..]| h.to_owned(), "opaque_token");
    check(
        "an opaque token",
        |_| "6Bl1VCzHhHUPgmcQwFFQTn_Fzr7sZ8FNNzUAPqPFrOX".into(),
        "opaque_token",
    );
    check("a personal access token", |_| "pat_7x9Kq2mWvR4sT1".into(), "personal_access_token");
    check("`pat_` in front of a JWT", |p| format!("pat_{}", p.join(".")), "malformed_token");
    check("two parts", |[h, p, _]| format!("{h}.{p}"), "malformed_token");
    check("four parts", |p| format!("{}.x", p.join(".")), "malformed_token");
    check("four parts, first empty", |p| format!(".{}", p.join(".")), "malformed_token");
    check("five parts that are no JWE", |p| format!("{}.x.y", p.join(".")), "malformed_token");
    check("six parts", |p| format!("{}.x.y.z", p.join(".")), "malformed_token");
    check("only dots", |_| "..".into(), "malformed_token");
    check("10,000 dots", |_| ".".repeat(10_000), "malformed_token");
    check("a token, then 10,000 dots", |p| p.join(".") + &".".repeat(10_000), "malformed_token");
    check("empty header", |[_, p, s]| format!(".{p}.{s}"), "malformed_token");
    check("empty payload", |[h, _, s]| format!("{h}..{s}"), "malformed_token");
    check("empty signature", |[h, p, _]| format!("{h}.{p}."), "bad_signature");
    check("a signature cut short", |[h, p, s]| format!("{h}.{p}.{}", &s[..64]), "bad_signature");
    check("a payload as header", |[_, p, s]| format!("{p}.{p}.{s}"), "malformed_token");
    check("a header as payload", |[h, _, s]| format!("{h}.{h}.{s}"), "invalid_claims");
}

#[test]
fn json_serializations() {
    // RFC 7515, 7.2: an object with dots in it must not be read as the compact form (CVE-2022-39227).
    let flattened = |[h, p, s]: [&str; 3]| {
        format!(r#"{{"payload":"{p}","protected":"{h}","signature":"{s}"}}"#)
    };
    check("flattened JSON serialization", flattened, "opaque_token");
    let polyglot =
        |[h, p, s]: [&str; 3]| format!(r#"{{"  {h}.":1,"payload":"{p}.","signature":"{s}"}}"#);
    check("JSON that is also compact", polyglot, "malformed_token");
}

#[test]
fn encrypted_tokens() {
    let jwe = |enc: &str| base64url(format!(r#"{{"alg":"RSA-OAEP-256",{enc}"kid":"k"}}"#));
    let token = format!("{}.a2V5.aXY.Y2lwaGVy.dGFn", jwe(r#""enc":"A256GCM","#));
    check("a JWE", |_| token, "encrypted_token");
    let token = format!("{}.a2V5.aXY.Y2lwaGVy.dGFn", jwe(""));
    check("five parts, no `enc`", |_| token, "malformed_token");
    // GHSA-2c7c-3mj9-8fqh: the work factor of a password-based JWE is never looked at.
    let header =
        base64url(r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"x"}"#);
    check("a JWE with a huge work factor", |_| format!("{header}.a.b.c.d"), "encrypted_token");
    // CVE-2024-28180, CVE-2024-28122: what is compressed is never unpacked.
    let bomb = jwe(r#""enc":"A256GCM","zip":"DEF","#);
    check("a compressed JWE", |_| format!("{bomb}.a2V5.aXY.Y2lwaGVy.dGFn"), "encrypted_token");
    let direct = base64url(r#"{"alg":"dir","enc":"A128GCM","kid":"k"}"#);
    check("a JWE without a key", |_| format!("{direct}..aXY.Y2lwaGVy.dGFn"), "encrypted_token");
    let world = World::new();
    world.refuses(
        "`enc` in a JWS",
        &world.token().header("enc", "A256GCM").sign(),
        "encrypted_token",
    );
}

#[test]
fn base64() {
    check("padded signature", |[h, p, s]| format!("{h}.{p}.{s}=="), "malformed_token");
    check("padded header", |[h, p, s]| format!("{h}=.{p}.{s}"), "malformed_token");
    check("padded payload", |[h, p, s]| format!("{h}.{p}=.{s}"), "malformed_token");
    check("standard alphabet", |[h, p, s]| format!("{h}.{p}.{}+", &s[1..]), "malformed_token");
    check("newline at the end", |p| p.join(".") + "\n", "malformed_token");
    check("space in front", |p| format!(" {}", p.join(".")), "malformed_token");
    check(
        "newline in the payload",
        |[h, p, s]| format!("{h}.{}\n{}.{s}", &p[..8], &p[8..]),
        "malformed_token",
    );
    check("NUL at the end", |p| p.join(".") + "\0", "malformed_token");
    check(
        "letters that are not ASCII",
        |[h, p, s]| format!("{h}.{p}.{}ä", &s[1..]),
        "malformed_token",
    );
    check("a full-width dot", |[h, p, s]| format!("{h}.{p}．{s}"), "malformed_token");
    check("percent encoding", |[h, p, s]| format!("{h}%2e{p}.{s}"), "malformed_token");
    check("one digit left over", |[h, p, _]| format!("{h}.{p}.AAAAA"), "malformed_token");
}

#[test]
fn set_bits_past_the_end() {
    // An Ed25519 signature has 64 bytes: its last digit carries two bits, four must be zero.
    let world = World::with(auth_core::Algorithm::EdDsa);
    let token = world.token().sign();
    let last = token.chars().last().expect("a token has a last digit");
    let other = match last {
        'A' => 'B',
        'Q' => 'R',
        'g' => 'h',
        'w' => 'x',
        digit => panic!("`{digit}` is not canonical"),
    };
    world.refuses(
        "non-canonical",
        &format!("{}{other}", &token[..token.len() - 1]),
        "malformed_token",
    );
    world.accepts("canonical", &token);
}

#[test]
fn payloads_that_are_no_object() {
    let world = World::new();
    let check = |payload: &str, code| {
        world.refuses(
            payload.get(..60).unwrap_or(payload),
            &world.token().sign_payload(payload),
            code,
        );
    };
    for payload in
        ["[]", "null", "1", "\"text\"", "true", "", " ", "{", "{}x", "{} {}", "nul", "\u{feff}{}"]
    {
        // An empty payload does not even make three parts.
        check(payload, "malformed_token");
    }
    // What a parser that maps arrays on structs by position would accept.
    check(&format!(r#"[{NOW},1,"s","{ISSUER}","{API}"]"#), "malformed_token");
    check("{}", "invalid_claims");
    check(r#"{"exp":1e999}"#, "malformed_token");
    check(r#"{"sub":"\ud800"}"#, "malformed_token");
    check(r#"{"sub":'x'}"#, "malformed_token");
    check(r#"{"sub":NaN}"#, "malformed_token");
    check(r#"{"sub":01}"#, "malformed_token");
    check("{\"sub\":\"a\u{1}b\"}", "malformed_token");
    check("/**/{}", "malformed_token");
    for deep in [200, 1_500] {
        check(&format!("{{\"a\":{}{}}}", "[".repeat(deep), "]".repeat(deep)), "malformed_token");
        check(&format!("{}1{}", "{\"a\":".repeat(deep), "}".repeat(deep)), "malformed_token");
    }
}

#[test]
fn nesting_of_5000_is_refused_even_where_tokens_may_be_large() {
    let world = World::cold(auth_core::Algorithm::Es256, |b| b.max_bytes(1 << 20));
    for payload in [
        format!("{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000)),
        format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000)),
        "[".repeat(100_000),
    ] {
        world.refuses("deep", &world.token().sign_payload(&payload), "malformed_token");
    }
}

#[test]
fn invalid_utf8() {
    let world = World::new();
    let [header, _, signature] = split(&world.token().sign()).map(str::to_owned);
    for bytes in [&b"{\"sub\":\"\xff\"}"[..], b"{\"\xc0\xaf\":1}", b"\xff\xfe{\0}\0"] {
        let token = format!("{header}.{}.{signature}", base64url(bytes));
        world.refuses("not UTF-8", &token, "malformed_token");
    }
}

#[test]
fn duplicate_members_at_any_depth() {
    let world = World::new();
    let claims = |extra: &str| {
        let payload = serde_json::to_string(world.token().organization("org_a").claims());
        let payload = payload.expect("claims are JSON");
        world.token().sign_payload(&format!("{},{extra}}}", &payload[..payload.len() - 1]))
    };
    for extra in [
        r#""organization_id":"org_b""#,
        r#""organization_id":"org_a""#,
        r#""\u006frganization_id":"org_b""#,
        r#""exp":4000000000"#,
        r#""iss":"https://id.test/oidc""#,
        r#""aud":"https://api.test""#,
        r#""aud":"https://other.test""#,
        r#""sub":"root""#,
        r#""roles":["a"],"roles":["admin"]"#,
        r#""act":{"sub":"a","sub":"b"}"#,
        r#""x":[[{"y":{"z":1,"z":1}}]]"#,
        r#""":1,"":2"#,
    ] {
        world.refuses(extra, &claims(extra), "malformed_token");
    }
    // The same names at different places are no duplicates, and the form itself is sound.
    let sound = claims(r#""other":{"sub":1,"b":{"sub":1}}"#);
    let header = |extra: &str| {
        let kid = world.issuer.current_key().kid().to_owned();
        world
            .token()
            .sign_header(&format!(r#"{{"alg":"ES384","typ":"at+jwt","kid":"{kid}",{extra}}}"#))
    };
    for extra in [
        r#""alg":"ES384""#,
        r#""alg":"none""#,
        r#""kid":"other""#,
        r#""k\u0069d":"other""#,
        r#""typ":"JWT""#,
        r#""jwk":{"kty":"EC","kty":"oct"}"#,
    ] {
        world.refuses(extra, &header(extra), "malformed_token");
    }
    world.accepts("no duplicate", &sound);
}

#[test]
fn size() {
    let world = World::new();
    let with = |n: usize| world.token().claim("padding", "x".repeat(n)).sign();
    assert!(with(12_000).len() > 16 * 1024);
    world.refuses("over 16 KiB", &with(12_000), "token_too_large");
    world.refuses("a megabyte of anything", &"x".repeat(1 << 20), "token_too_large");
    world.accepts("9 KiB", &with(6_300));
    world.accepts("just under the limit", &with(11_500));

    let exact = world.token().sign();
    let limited =
        |bytes| World::cold(auth_core::Algorithm::Es384, |b| b.max_bytes(bytes)).code(&exact);
    assert_eq!(limited(exact.len() - 1), "token_too_large");
    // Signed by another issuer's key, so it fails later.
    assert_eq!(limited(exact.len()), "unknown_key");
}
