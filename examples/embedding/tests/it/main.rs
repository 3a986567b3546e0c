//! The examples, run: a real listener, real HTTP, tokens with real signatures.

mod grpc;

use auth_core::{
    Accept, Algorithm, IssuerPolicy, Verifier,
    gate::Gate,
    testing::{TestClock, TestIssuer},
};
use entitlements::{Catalog, EntitlementService};
use reqwest::{Client, Response};
use tokio::net::TcpListener;

const API: &str = "https://api.example.com";

fn client() -> Client {
    #[expect(clippy::disallowed_methods, reason = "a test's own client")]
    Client::builder().no_proxy().build().expect("a client")
}

/// An issuer, and a gate that trusts it, with `acme` on mid and `globex` on high.
fn gate() -> (TestIssuer, Gate) {
    let clock = TestClock::new();
    let issuer =
        TestIssuer::new("https://id.example.com/oidc", Algorithm::Es384).clock(clock.clone());
    let policy = IssuerPolicy::new("logto", issuer.url()).accept(Accept::organization(API));
    let verifier = Verifier::builder().issuer(policy, issuer.keys()).clock(clock.clone());
    let catalog =
        Catalog::parse(include_str!("../../../../plans.toml")).expect("the shipped plans");
    let tenants = [("acme", "mid"), ("globex", "high")];
    let entitlements =
        EntitlementService::in_memory_builder(catalog).clock(clock.as_fn()).tenants(tenants);
    (issuer, Gate::new(verifier.build().expect("a sound policy"), entitlements.build()))
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    (listener, url)
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |v| v.to_str().expect("ascii"))
}

#[tokio::test]
async fn axum_from_the_outside() {
    let (issuer, gate) = gate();
    let app = embedding::with_axum::app(gate).expect("the catalog has the feature");
    let (listener, url) = listener().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (whoami, replay) = (format!("{url}/whoami"), format!("{url}/replay"));
    let acme = issuer.token(API).organization("acme").scopes(["traces:replay"]).sign();
    let globex = issuer.token(API).organization("globex").scopes(["traces:replay"]).sign();
    let no_scope = issuer.token(API).organization("globex").sign();
    let ask = async |method: &str, url: &str, token: Option<&str>| {
        let request = client().request(method.parse().expect("a method"), url);
        let request = token.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        request.send().await.expect("an answer")
    };

    // Twice: cold, then from the caches.
    for _ in 0..2 {
        let answer = ask("GET", &whoami, Some(&acme)).await;
        assert_eq!(answer.text().await.expect("text"), "user_1 of acme (mid)");
    }

    let answer = ask("GET", &whoami, None).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(header(&answer, "www-authenticate"), "Bearer realm=\"api\"");
    assert_eq!(header(&answer, "content-type"), "application/problem+json");

    let answer = ask("GET", &whoami, Some("opaque")).await;
    assert_eq!(answer.status(), 401);
    assert!(header(&answer, "www-authenticate").contains("error=\"invalid_token\""));

    let answer = ask("POST", &replay, Some(&globex)).await;
    assert_eq!(
        (answer.status().as_u16(), answer.text().await.expect("text")),
        (200, "replayed".into())
    );

    let answer = ask("POST", &replay, Some(&no_scope)).await;
    assert_eq!(answer.status(), 403);
    let challenge = header(&answer, "www-authenticate");
    assert!(
        challenge.contains("error=\"insufficient_scope\"")
            && challenge.contains("scope=\"traces:replay\"")
    );

    let answer = ask("POST", &replay, Some(&acme)).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(header(&answer, "www-authenticate"), "", "no token helps against a plan");
    let problem: serde_json::Value = answer.json().await.expect("a problem");
    assert_eq!(problem["reason"], "not_in_plan");
    assert_eq!(problem["feature"], "exchange_replay");
    assert_eq!((&problem["current"], &problem["required"]), (&"no".into(), &"yes".into()));
    assert_eq!(problem["unlocked_by"], serde_json::json!(["high", "business"]));

    let stranger = issuer.token(API).organization("nobody").sign();
    let answer = ask("GET", &whoami, Some(&stranger)).await;
    let problem: serde_json::Value = answer.json().await.expect("a problem");
    assert_eq!(problem["reason"], "unknown_tenant");
}

#[tokio::test]
async fn hyper_from_the_outside() {
    let (issuer, gate) = gate();
    let (listener, url) = listener().await;
    tokio::spawn(embedding::with_hyper::serve(listener, gate));
    let replay = format!("{url}/replay");
    let ask = async |url: &str, tenant: &str| {
        let token = issuer.token(API).organization(tenant).sign();
        client().get(url).bearer_auth(&token).send().await.expect("an answer")
    };
    assert_eq!(client().get(&url).send().await.expect("an answer").status(), 401);
    assert_eq!(client().get(&replay).send().await.expect("an answer").status(), 401);
    for (url, tenant) in [(&url, "acme"), (&url, "globex"), (&replay, "globex")] {
        let answer = ask(url, tenant).await;
        assert_eq!(answer.text().await.expect("text"), format!("user_1 of {tenant}"));
    }
    for path in ["/replay", "/%72eplay", "/replay/", "//replay", "/Replay", "/replay;a", "//"] {
        let answer = ask(&format!("{url}{path}"), "acme").await;
        assert_eq!(answer.status(), 403, "{path}");
        let problem: serde_json::Value = answer.json().await.expect("a problem");
        assert_eq!(
            (&problem["reason"], &problem["feature"]),
            (&"not_in_plan".into(), &"exchange_replay".into())
        );
    }
    assert_eq!(ask(&format!("{url}/?replay"), "acme").await.status(), 200);
}

#[tokio::test]
async fn the_production_gate_starts_without_its_identity_provider() {
    let plans = include_str!("../../../../plans.toml");
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}", folder.path().join("t.db").display());
    let gate = embedding::setup::gate("http://127.0.0.1:1/oidc", API, plans, &store)
        .await
        .expect("starts");
    let need = auth_core::gate::Requirement::tenant();
    let token = TestIssuer::new("http://127.0.0.1:1/oidc", Algorithm::Es256).token(API).sign();
    let decision = gate.check(Some(&token), &need).await;
    let denial = decision.denial().expect("nobody can know");
    assert_eq!(denial.reason.code(), "keys_unavailable");
    assert_eq!(denial.reason.fault().status(), 503);
}

/// All that an embedder writes: the set-up and the example, without comments and empty lines.
#[test]
fn each_example_is_short() {
    let code = |text: &str| {
        text.lines().filter(|l| !l.trim().is_empty() && !l.trim().starts_with("//")).count()
    };
    let setup = code(include_str!("../../src/setup.rs"));
    for (name, text) in [
        ("axum", include_str!("../../src/with_axum.rs")),
        ("hyper", include_str!("../../src/with_hyper.rs")),
    ] {
        let lines = setup + code(text);
        assert!(lines < 40, "the {name} example has grown to {lines} lines");
    }
}
