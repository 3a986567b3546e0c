//! Paths that two servers might read differently: whatever a caller writes, the upstream gets the path
//! that was decided about, and `/admin` only with the scope that nobody here has.

use crate::harness::{Answer, Seen, Stack, Upstream, exchange};

/// Everything that must not be a 200, with the statuses that it may be: 400 where it is refused as
/// ambiguous (by Traefik or by the sidecar), 403 where it is decided as the path that it means, 404
/// where no router of Traefik's takes it.
const REFUSED: [(&str, &[u16]); 37] = [
    ("/admin", &[403]),
    ("/public/../admin", &[403]),
    ("/public/%2e%2e/admin", &[403]),
    ("/public/%2E./admin", &[403]),
    ("/public/..%2fadmin", &[400]),
    ("/public/%252e%252e/admin", &[400]),
    ("//admin", &[403]),
    ("///admin", &[403]),
    ("/admin//", &[400, 403]),
    ("/./admin", &[403]),
    ("/%61dmin", &[403]),
    ("/ADMIN", &[403]),
    ("/admin;x=1", &[400, 403]),
    ("/public;/../admin", &[400, 403]),
    ("/admin%00", &[400]),
    ("/admin%0d%0aX:%20y", &[400, 403]),
    ("/admin\\..\\x", &[400]),
    ("/admin%5c", &[400]),
    ("/public%5c..%5cadmin", &[400]),
    ("/admin#/public", &[400]),
    ("/public#/../admin", &[400]),
    ("/public%23/../admin", &[403]),
    ("/admin?/public", &[403]),
    ("/admin.", &[400]),
    ("/admin%20", &[400, 403]),
    ("/admin/", &[403]),
    ("/public/", &[403]),
    ("/public%3f/../admin", &[403]),
    ("/public%3b/../admin", &[403]),
    ("/%ff", &[400, 403]),
    ("/%c0%af", &[400, 403]),
    ("/public/%c0%ae%c0%ae/admin", &[400, 403]),
    ("/\u{ff0f}admin", &[400, 403]),
    ("/public\u{2028}", &[400, 403]),
    ("*", &[404]),
    ("http://app.test/admin", &[403]),
    ("http://evil.test/public/../admin", &[403]),
];

/// What is allowed, and the target that the upstream then gets.
const ALLOWED: [(&str, &str); 6] = [
    ("/public", "/public"),
    ("/public?x=/../admin", "/public?x=/../admin"),
    ("/public?", "/public?"),
    ("/x/../public", "/public"),
    ("/%70ublic", "/public"),
    ("http://app.test/public", "/public"),
];

async fn ask(stack: &Stack, bearer: &str, target: &str) -> Answer {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: app.test\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n"
    );
    exchange(stack.traefik.port(), request.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn no_way_of_writing_a_path_reaches_what_it_must_not() {
    let stack = Stack::start(Upstream::Echo).await;
    let bearer = format!("Bearer {}", stack.token("mid-co").await);
    let mut wrong = Vec::new();
    for (target, statuses) in REFUSED {
        let answer = ask(&stack, &bearer, target).await;
        if !statuses.contains(&answer.status) {
            wrong.push(format!("`{target}`: {}, not {statuses:?}; {}", answer.status, answer.body));
        }
    }
    let long = format!("/public/{}", "a".repeat(16 * 1024));
    let answer = ask(&stack, &bearer, &long).await;
    if !matches!(answer.status, 400 | 403 | 414 | 431) {
        wrong.push(format!("a path of 16 KiB: {}", answer.status));
    }
    assert_eq!(wrong, [""; 0]);
    assert_eq!(stack.echo_hits(), 0, "something refused has reached the upstream");
    for (target, expected) in ALLOWED {
        let seen_by_upstream = ask(&stack, &bearer, target).await;
        assert_eq!(Seen::of(&seen_by_upstream).target(), expected, "`{target}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn no_control_header_of_a_caller_changes_what_is_decided_about() {
    let stack = Stack::start(Upstream::Echo).await;
    let bearer = format!("Bearer {}", stack.token("mid-co").await);
    let lies = [
        ("X-Forwarded-Uri", "/public"),
        ("X-Forwarded-Method", "POST"),
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Prefix", "/public"),
        ("X-Forwarded-Server", "evil"),
        ("X-Real-Ip", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6;host=evil.test;proto=https"),
        ("X-Original-URL", "/public"),
        ("X-Original-URI", "/public"),
        ("X-Original-Method", "POST"),
        ("X-Rewrite-URL", "/public"),
        ("X-HTTP-Method-Override", "POST"),
        ("X-Envoy-Original-Path", "/public"),
    ];
    for (name, value) in lies {
        for spelling in [
            name.to_owned(),
            name.to_ascii_lowercase(),
            name.replace('-', "_"),
            name.replace('-', "."),
        ] {
            for lines in [
                format!("{spelling}: {value}\r\n"),
                format!("{spelling}: {value}\r\n{spelling}: {value}\r\n"),
                format!("{spelling}: {value}\r\nConnection: close, {spelling}\r\n"),
                format!("Connection: close, {spelling}\r\n"),
            ] {
                let connection =
                    if lines.contains("Connection") { "" } else { "Connection: close\r\n" };
                let request = format!(
                    "GET /admin HTTP/1.1\r\nHost: app.test\r\nAuthorization: {bearer}\r\n{lines}{connection}\r\n"
                );
                let answer = exchange(stack.traefik.port(), request.as_bytes()).await;
                assert!(matches!(answer.status, 400 | 403), "{lines:?}: {answer:?}");
            }
        }
    }
    assert_eq!(stack.echo_hits(), 0, "something refused has reached the upstream");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn a_credential_is_one_bearer_token_and_nothing_else() {
    let stack = Stack::start(Upstream::Echo).await;
    let token = stack.token("mid-co").await;
    let status = async |lines: String| {
        let request =
            format!("GET /echo HTTP/1.1\r\nHost: app.test\r\n{lines}Connection: close\r\n\r\n");
        exchange(stack.traefik.port(), request.as_bytes()).await.status
    };
    assert_eq!(status(format!("Authorization: Bearer {token}\r\n")).await, 200);
    assert_eq!(status(format!("authorization: bearer {token}\r\n")).await, 200);
    let one = format!("Authorization: Bearer {token}\r\n");
    for refused in [
        String::new(),
        one.repeat(2),
        format!("{one}Authorization: Basic dTpw\r\n"),
        format!("Authorization: Bearer {token}, Bearer {token}\r\n"),
        format!("Authorization: Bearer {token},\r\n"),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: DPoP {token}\r\n"),
        "Authorization: Bearer\r\n".to_owned(),
        format!("Authorization: Bearer {}\r\n", "a".repeat(20 * 1024)),
        format!("Authorization: Bearer {}\r\n", ".".repeat(10_000)),
        format!("Proxy-Authorization: Bearer {token}\r\n"),
        format!("Cookie: access_token={token}\r\n"),
        format!("X-Authorization: Bearer {token}\r\n"),
    ] {
        let status = status(refused.clone()).await;
        assert!(matches!(status, 400 | 401), "{status} for {refused:.120}");
    }
    let query = format!(
        "GET /echo?access_token={token} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(exchange(stack.traefik.port(), query.as_bytes()).await.status, 401);
    // Nominated in Connection, the credential reaches neither the sidecar nor the upstream.
    let hop = format!(
        "GET /echo HTTP/1.1\r\nHost: app.test\r\n{one}Connection: close, Authorization\r\n\r\n"
    );
    assert_eq!(exchange(stack.traefik.port(), hop.as_bytes()).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn no_spelling_of_a_host_escapes_its_routes() {
    let stack = Stack::start(Upstream::Echo).await;
    let bearer = format!("Bearer {}", stack.token("mid-co").await);
    let status = async |host_lines: &str| {
        let request = format!(
            "GET /hosted HTTP/1.1\r\n{host_lines}Authorization: {bearer}\r\nConnection: close\r\n\r\n"
        );
        exchange(stack.traefik.port(), request.as_bytes()).await.status
    };
    // `/hosted` is public on every host but on inner.test, where it asks for a scope.
    for other in ["app.test", "evil-inner.test", "inner.test.evil.test", "[::1]", "127.0.0.1:8080"]
    {
        assert_eq!(status(&format!("Host: {other}\r\n")).await, 200, "{other}");
    }
    for same in ["inner.test", "INNER.Test", "inner.test.", "inner.test:80", "inner.test:8443"] {
        assert_eq!(status(&format!("Host: {same}\r\n")).await, 403, "{same}");
    }
    for refused in [
        "",
        "Host: \r\n",
        "Host: inner.test\r\nHost: app.test\r\n",
        "Host: app.test\r\nHost: inner.test\r\n",
        "Host: app.test@inner.test\r\n",
        "Host: inner.test@app.test\r\n",
        "Host: app.test#inner.test\r\n",
        "Host: app.test, inner.test\r\n",
        "Host: app.test/inner.test\r\n",
        "Host: inner.test%2e\r\n",
        "Host: inner.test:8080:80\r\n",
        "Host: \u{ff49}nner.test\r\n",
        "Host: inner..test\r\n",
    ] {
        let status = status(refused).await;
        assert!(matches!(status, 400 | 403 | 404), "{status} for {refused:?}");
    }
    assert_eq!(stack.echo_hits(), 5);
}
