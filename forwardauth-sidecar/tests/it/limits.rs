//! Strangers, too much of everything, and too little time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use auth_core::gate::{Gate, Requirement};
use auth_core::testing::{KeyFault, TestIssuer};
use auth_core::{Accept, Algorithm, Clock, IssuerPolicy, SystemClock, Verifier};
use entitlements::EntitlementService;
use tiergate::proxy::Profile;
use tiergate::route::{HostPattern, Line, Route, Routes};
use tiergate::server::Parts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{API, Gateway, Options, Question};

#[tokio::test]
async fn strangers_are_refused_whatever_they_say() {
    let options = Options { trusted: Some("10.0.0.0/8"), ..Options::default() };
    let gateway = Gateway::with(options).await;
    let token = gateway.token("low-co");
    for uri in ["/public", "/admin", "/a/../b"] {
        let answer = gateway.get(uri, Some(&token)).await;
        assert_eq!(answer.verdict(), "403 untrusted_proxy");
        assert_eq!(answer.header("x-tenant-id"), None);
    }
    let spoofed = Question::new("/public").set("X-Forwarded-For", "10.0.0.1");
    assert_eq!(gateway.ask(&spoofed).await.verdict(), "403 untrusted_proxy");
    // The operator's listener is not the proxy's: it answers whoever can reach it.
    assert_eq!(gateway.admin("/livez").await.status, 200);
}

#[tokio::test]
async fn headers_that_are_too_large_are_431() {
    let gateway = Gateway::start().await;
    let question = Question::new(&format!("/public?{}", "a".repeat(2 * 1024 * 1024)));
    assert_eq!(gateway.ask(&question).await.status, 431);
    let mut question = Question::new("/public");
    for number in 0..200 {
        question = question.line(&format!("X-Client-{number}"), "x");
    }
    assert_eq!(gateway.ask(&question).await.status, 431);
}

#[tokio::test]
async fn the_deadline_is_ours() {
    let gateway = Gateway::with(Options {
        gateway: "deadline = \"1s\"",
        keys: KeyFault::Hang,
        ..Options::default()
    })
    .await;
    let token = gateway.token("low-co");
    let answer = gateway.get("/topology", Some(&token)).await;
    assert_eq!(answer.verdict(), "503 deadline");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("x-tenant-id"), None);
    // It goes on answering what it can.
    assert_eq!(gateway.get("/public", None).await.verdict(), "200");
}

#[tokio::test]
async fn a_source_of_keys_that_panics_is_503() {
    let options = Options { keys: KeyFault::Panic, ..Options::default() };
    let gateway = Gateway::with(options).await;
    let token = gateway.token("low-co");
    assert_eq!(gateway.get("/topology", Some(&token)).await.status, 503);
    assert_eq!(gateway.get("/public", None).await.verdict(), "200");
}

/// A mistake of ours on any of the ways to an answer is 503, counted, and stops nothing.
#[tokio::test]
async fn a_panic_is_503() {
    let (gateway_fails, verifier_fails) = (Switch::default(), Switch::default());
    let issuer = TestIssuer::new("https://id.test/oidc", Algorithm::Es256);
    let policy = IssuerPolicy::new("test", issuer.url()).accept(Accept::organization(API));
    let verifier = Verifier::builder().issuer(policy, issuer.keys());
    let verifier = verifier.clock(verifier_fails.clock()).build().expect("a policy");
    let catalog = entitlements::Catalog::parse(entitlements::testing::PLANS).expect("plans");
    let entitlements = EntitlementService::in_memory(catalog, [("low-co", "low")]);
    let mut routes = Routes::default();
    let line = Line::parse("GET /admin").expect("a line");
    let route = Route::new(&HostPattern::Any, line, false, Requirement::tenant());
    routes.add(&HostPattern::Any, route).expect("the only one");
    let parts = Parts {
        gate: Gate::new(verifier, entitlements),
        routes: routes.into(),
        proxy: Profile::Traefik,
        trusted_proxies: vec!["127.0.0.0/8".parse().expect("a network")],
        deadline: std::time::Duration::from_secs(2),
        cache_entries: 10,
    };
    let gateway = tiergate::server::Gateway::new(parts, gateway_fails.clock());
    let ask = async |token: &str| {
        let mut headers = http::HeaderMap::new();
        let bearer = format!("Bearer {token}");
        for (name, value) in [
            ("authorization", bearer.as_str()),
            ("x-forwarded-host", "app.test"),
            ("x-forwarded-method", "GET"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-uri", "/admin"),
        ] {
            headers.insert(name, value.parse().expect("a value"));
        }
        let response = gateway.verify([127, 0, 0, 1].into(), &headers).await;
        assert!(response.status() == 200 || !response.headers().contains_key("x-tenant-id"));
        assert!(response.headers().contains_key("x-decision-id"));
        response.status().as_u16()
    };
    let panics = || {
        let text = gateway.metrics().encode().expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix("tiergate_panics_total "));
        line.expect("it is counted").to_owned()
    };
    let token = || issuer.token(API).organization("low-co");
    let (seen, new) = (token().sign(), token().scopes(["a"]).sign());
    assert_eq!((ask(&seen).await, panics().as_str()), (200, "0"));
    for (fails, token, count, way) in [
        (&verifier_fails, &seen, "1", "from what is at hand"),
        (&verifier_fails, &new, "2", "after waiting"),
        (&gateway_fails, &seen, "3", "where the answer is made"),
    ] {
        fails.set(true);
        assert_eq!(ask(token).await, 503, "{way}");
        fails.set(false);
        assert_eq!(panics(), count, "{way}");
    }
    assert_eq!((ask(&seen).await, ask(&new).await), (200, 200));
}

/// A clock that panics on demand.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn set(&self, fails: bool) {
        self.0.store(fails, Ordering::Relaxed);
    }

    fn clock(&self) -> impl Clock + use<> {
        let fails = self.0.clone();
        move || {
            assert!(!fails.load(Ordering::Relaxed), "a clock that fails on demand");
            SystemClock.now()
        }
    }
}

#[tokio::test]
async fn connections_are_kept() {
    let gateway = Gateway::start().await;
    let mut stream = TcpStream::connect(gateway.address).await.expect("a listener");
    // Caddy leaves the client's wish to upgrade on its question.
    let question = Question::new("/public")
        .line("Connection", "keep-alive, Upgrade")
        .line("Upgrade", "websocket")
        .bytes();
    for _ in 0..3 {
        stream.write_all(&question).await.expect("an open connection");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.expect("an answer");
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}
