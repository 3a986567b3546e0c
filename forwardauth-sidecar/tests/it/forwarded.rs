//! Hosts, control headers, methods and spoofed identity, over HTTP.

use tiergate::proxy::IDENTITY_HEADERS;

use crate::harness::{Gateway, Options, Question};

#[tokio::test]
async fn hosts() {
    let gateway = Gateway::start().await;
    for (host, verdict) in [
        ("app.test", "200"),
        ("APP.test", "200"),
        ("app.test.", "200"),
        ("app.test:443", "200"),
        ("app.test:8443", "200"),
        ("app.test@evil", "400 malformed_host"),
        ("evil.com#app.test", "400 malformed_host"),
        ("evil-app.test", "403 no_route"),
        ("evil.app.test", "403 no_route"),
        ("app.test.evil.com", "403 no_route"),
        ("xn--pp-0ja.test", "403 no_route"),
        ("äpp.test", "400 malformed_host"),
        ("app.test, evil.com", "400 malformed_host"),
        ("app.test,evil.com", "400 malformed_host"),
        ("app.test/public", "400 malformed_host"),
        ("app.test:", "400 malformed_host"),
        ("", "400 malformed_host"),
    ] {
        let question = Question::new("/public").set("X-Forwarded-Host", host);
        assert_eq!(gateway.ask(&question).await.verdict(), verdict, "{host}");
    }
    for host in ["[::1]", "[0:0:0:0:0:0:0:1]", "[::1]:443"] {
        let question = Question::new("/six").set("X-Forwarded-Host", host);
        assert_eq!(gateway.ask(&question).await.verdict(), "200", "{host}");
    }
    let twice = Question::new("/public").line("X-Forwarded-Host", "evil.com");
    assert_eq!(gateway.ask(&twice).await.verdict(), "400 control_header_repeated");
}

#[tokio::test]
async fn control_headers() {
    let gateway = Gateway::start().await;
    for (name, required) in [
        ("Method", true),
        ("Proto", true),
        ("Host", true),
        ("Uri", true),
        ("For", false),
        ("Port", false),
        ("Prefix", false),
        ("Server", false),
    ] {
        let dashed = format!("X-Forwarded-{name}");
        let missing = if required { "400 control_header_missing" } else { "200" };
        let question = Question::new("/public").without(&dashed);
        assert_eq!(gateway.ask(&question).await.verdict(), missing, "{name} missing");

        let question = Question::new("/public").line(&dashed, "/public").line(&dashed, "/public");
        let verdict = gateway.ask(&question).await.verdict();
        assert_eq!(verdict, "400 control_header_repeated", "{name} twice");

        for alias in [
            format!("X_Forwarded_{name}"),
            format!("X.Forwarded.{name}"),
            format!("X-Forwarded_{name}"),
            format!("x_forwarded-{}", name.to_lowercase()),
        ] {
            let question = Question::new("/public").line(&alias, "/public");
            let verdict = gateway.ask(&question).await.verdict();
            assert_eq!(verdict, "400 control_header_aliased", "{alias}");
            // The alias does not stand in for the real one either.
            let question = Question::new("/public").without(&dashed).line(&alias, "/public");
            assert_eq!(gateway.ask(&question).await.verdict(), "400 control_header_aliased");
        }
        for value in [format!("{dashed}, close"), format!("close, {}", dashed.to_lowercase())] {
            let question = Question::new("/public").line("Connection", &value);
            let verdict = gateway.ask(&question).await.verdict();
            assert_eq!(verdict, "400 control_header_nominated", "{value}");
        }
    }
    // Lower case is the same header.
    let question =
        Question::new("/public").without("X-Forwarded-Uri").line("x-forwarded-uri", "/admin");
    assert_eq!(gateway.ask(&question).await.verdict(), "401 no_credential");
    for (name, value, verdict) in [
        ("x-forwarded-method", "DELETE", "403 method_not_routed"),
        ("x-forwarded-host", "ui.test", "403 no_route"),
        ("x-forwarded-proto", "gopher", "400 malformed_scheme"),
    ] {
        let question = Question::new("/public").without(name).line(name, value);
        assert_eq!(gateway.ask(&question).await.verdict(), verdict, "{name}");
        let twice = Question::new("/public").line(name, value);
        assert_eq!(gateway.ask(&twice).await.verdict(), "400 control_header_repeated", "{name}");
    }
    // `OPTIONS *` asks about the server, which no route is.
    let server = Question::new("*").set("X-Forwarded-Method", "OPTIONS");
    assert_eq!(gateway.ask(&server).await.verdict(), "400 malformed_uri");
}

#[tokio::test]
async fn headers_that_do_not_count() {
    let gateway = Gateway::start().await;
    for name in [
        "Forwarded",
        "X-Original-URL",
        "X-Original-URI",
        "X-Original-Method",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Envoy-Original-Path",
        "X-Forwarded-Prefix",
        "X-Tenant-Id",
    ] {
        let question = Question::new("/admin").line(name, "/public");
        assert_eq!(gateway.ask(&question).await.verdict(), "401 no_credential", "{name}");
    }
    // A health checker is nobody special.
    for agent in ["GoogleHC/1.0", "kube-probe/1.30", ""] {
        let question = Question::new("/admin").set("User-Agent", agent);
        assert_eq!(gateway.ask(&question).await.verdict(), "401 no_credential", "{agent}");
    }
}

#[tokio::test]
async fn schemes_and_methods() {
    let gateway = Gateway::start().await;
    for scheme in ["http", "https", "ws", "wss", "HTTPS"] {
        let question = Question::new("/public").set("X-Forwarded-Proto", scheme);
        assert_eq!(gateway.ask(&question).await.verdict(), "200", "{scheme}");
    }
    for scheme in ["javascript", "ftp", "", "https, http"] {
        let question = Question::new("/public").set("X-Forwarded-Proto", scheme);
        assert_eq!(gateway.ask(&question).await.verdict(), "400 malformed_scheme", "{scheme}");
    }
    for (method, verdict) in [
        ("GET", "200"),
        ("HEAD", "200"),
        ("POST", "403 method_not_routed"),
        ("OPTIONS", "403 method_not_routed"),
        ("get", "403 method_not_routed"),
        ("FOO", "403 method_not_routed"),
        ("CONNECT", "400 forbidden_method"),
        ("TRACE", "400 forbidden_method"),
        ("TRACK", "400 forbidden_method"),
        ("trace", "400 forbidden_method"),
        ("", "400 forbidden_method"),
        ("GET, POST", "400 forbidden_method"),
    ] {
        let question = Question::new("/public").set("X-Forwarded-Method", method);
        assert_eq!(gateway.ask(&question).await.verdict(), verdict, "{method}");
    }
}

#[tokio::test]
async fn preflights() {
    let gateway = Gateway::start().await;
    let options = Question::new("/cors").set("X-Forwarded-Method", "OPTIONS");
    assert_eq!(gateway.ask(&options).await.verdict(), "403 method_not_routed");
    let origin = options.line("Origin", "https://ui.test");
    assert_eq!(gateway.ask(&origin).await.verdict(), "403 method_not_routed");
    let preflight = origin.clone().line("Access-Control-Request-Method", "GET");
    let answer = gateway.ask(&preflight).await;
    assert_eq!(answer.verdict(), "200");
    assert_eq!(answer.header("x-tenant-id"), Some(""));
    let other = origin.line("Access-Control-Request-Method", "DELETE");
    assert_eq!(gateway.ask(&other).await.verdict(), "403 method_not_routed");
    let elsewhere = preflight.set("X-Forwarded-Uri", "/admin");
    assert_eq!(gateway.ask(&elsewhere).await.verdict(), "403 method_not_routed");
    // The real request that follows needs its credential.
    assert_eq!(gateway.get("/cors", None).await.verdict(), "401 no_credential");
}

#[tokio::test]
async fn spoofed_identity_never_comes_back() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    for name in IDENTITY_HEADERS {
        for spelling in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            // A client's value is not looked at, once or twice, empty or not.
            for uri in ["/public", "/admin", "/replay", "/nowhere"] {
                let question =
                    Question::new(uri).line(&spelling, "evil").line(&spelling, "").bearer(&token);
                let answer = gateway.ask(&question).await;
                assert!(
                    answer.lines.iter().all(|(_, value)| !value.contains("evil")),
                    "{spelling} on {uri}: {answer:?}"
                );
                let carried = IDENTITY_HEADERS
                    .iter()
                    .filter(|name| answer.header(&name.to_lowercase()).is_some())
                    .count();
                let expected = if answer.status == 200 { IDENTITY_HEADERS.len() } else { 1 };
                assert_eq!(carried, expected, "{uri}: {answer:?}");
            }
        }
        for alias in [name.replace('-', "_"), name.replace('-', "."), name.replacen('-', "_", 1)] {
            for value in ["evil", ""] {
                let question = Question::new("/admin").line(&alias, value).bearer(&token);
                let verdict = gateway.ask(&question).await.verdict();
                assert_eq!(verdict, "400 control_header_aliased", "{alias}");
            }
        }
    }
}

#[tokio::test]
async fn nginx_has_its_own_contract() {
    let gateway = Gateway::with(Options { proxy: Some("nginx"), ..Options::default() }).await;
    let question = |uri: &str| {
        Question::new("/public").line("X-Original-Uri", uri).line("X-Original-Method", "GET")
    };
    assert_eq!(gateway.ask(&question("/public")).await.verdict(), "200");
    assert_eq!(gateway.ask(&question("/admin")).await.verdict(), "401 no_credential");
    let answer = gateway.ask(&question("/public/../admin")).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("x-tiergate-reason"), Some("ambiguous_path"));
    // The client's own X-Forwarded-Uri is none of nginx' business.
    let spoofed = Question::new("/public");
    assert_eq!(
        gateway.ask(&spoofed).await.header("x-tiergate-reason"),
        Some("control_header_missing")
    );
}

#[tokio::test]
async fn caddy_sends_fewer_control_headers() {
    let gateway = Gateway::with(Options { proxy: Some("caddy"), ..Options::default() }).await;
    assert_eq!(gateway.ask(&Question::new("/public")).await.verdict(), "200");
    // Caddy does not normalise the path, so all of it arrives here.
    let verdict = gateway.ask(&Question::new("/public/../admin")).await.verdict();
    assert_eq!(verdict, "400 ambiguous_path");
    // It would let the client's `Connection` delete what we answer.
    let question = Question::new("/public").line("Connection", "close, X-Tenant-Id");
    assert_eq!(gateway.ask(&question).await.verdict(), "400 control_header_nominated");
}
