//! The engine: decisions, the layers, and the steps that `explain` tells.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use auth_core::{
    Accept, Algorithm, Identity, IssuerPolicy, Verifier,
    gate::{Decision, Denial, Explanation, Gate, GateLayer, Outcome, RequireLayer, Requirement},
    keys::KeyOptions,
    testing::{KeyFault, TestClock, TestIssuer, TokenBuilder},
};
use bytes::Bytes;
use entitlements::{
    Catalog, Effect, EntitlementService, EntitlementSet, Override, TenantId, TenantStatus,
    store::Change, testing::InMemory,
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};

const API: &str = "https://api.test";
const UI: &str = "https://ui.test";

struct World {
    clock: TestClock,
    issuer: TestIssuer,
    store: InMemory,
    gate: Gate,
    catalog: Catalog,
}

/// `acme` on mid, `globex` on high; UI tokens without organization belong to `acme`.
fn world() -> World {
    world_with([("acme", "mid"), ("globex", "high")])
}

fn world_with<const N: usize>(tenants: [(&str, &str); N]) -> World {
    let clock = TestClock::new();
    let issuer = TestIssuer::new("https://id.test/oidc", Algorithm::Es256).clock(clock.clone());
    let policy = IssuerPolicy::new("test", issuer.url())
        .accept(Accept::organization(API))
        .accept(Accept::roles(UI, [("server:viewer", "viewer")]).single_tenant("acme", ["ui"]));
    let options = KeyOptions { fetch_timeout: Duration::from_millis(500), ..KeyOptions::STANDARD };
    let verifier = Verifier::builder().issuer(policy, issuer.keys()).clock(clock.clone());
    let verifier = verifier.key_options(options);
    let catalog = Catalog::parse(include_str!("../../../plans.toml")).expect("the shipped plans");
    let (entitlements, store) = EntitlementService::in_memory_builder(catalog.clone())
        .clock(clock.as_fn())
        .tenants(tenants)
        .build_with_store();
    let gate = Gate::new(verifier.build().expect("a sound policy"), entitlements);
    World { clock, issuer, store, gate, catalog }
}

impl World {
    fn token(&self, organization: &str) -> TokenBuilder {
        self.issuer.token(API).organization(organization).scopes(["read"])
    }

    fn need(&self, features: &[&str]) -> Requirement {
        Requirement::tenant().features(&self.catalog, features).expect("known features")
    }

    /// The code of the refusal, or `allow TENANT`; asked twice, and the cache agrees.
    async fn ask(&self, token: Option<&str>, need: &Requirement) -> String {
        let cold = show(&self.gate.check(token, need).await);
        if let Some(decision) = self.gate.check_now(token, need) {
            assert_eq!(show(&decision), cold, "the fast path disagrees");
        }
        let story = self.gate.explain(token, need).await;
        assert_eq!(show(&story.decision), cold, "the explanation disagrees");
        let failed = story.steps.iter().any(|s| s.outcome == Outcome::Fail);
        assert_eq!(failed, !cold.starts_with("allow"), "a refusal has a failed step: {story:?}");
        cold
    }
}

fn show(decision: &Decision) -> String {
    match decision {
        Decision::Deny(denial) => denial.reason.code().to_owned(),
        Decision::Allow(allowed) => {
            let tenant = allowed.entitlements.as_ref().map(|e| e.tenant().to_string());
            format!("allow {}", tenant.as_deref().unwrap_or("nobody"))
        }
    }
}

#[tokio::test]
async fn the_order_of_refusals() {
    let w = world();
    let acme = w.token("acme").sign();
    let tenant = Requirement::tenant();
    assert_eq!(w.ask(None, &tenant).await, "no_credential");
    assert_eq!(w.ask(Some("a.b.c"), &tenant).await, "malformed_token");
    assert_eq!(w.ask(Some(&acme), &tenant).await, "allow acme");
    assert_eq!(w.ask(Some(&w.token("nobody").sign()), &tenant).await, "unknown_tenant");
    let homeless = w.issuer.token(API).scopes(["read", "platform:admin"]).sign();
    assert_eq!(w.ask(Some(&homeless), &tenant).await, "no_organization");
    // Scopes before features.
    let need = w.need(&["exchange_replay"]).scopes(["replay"]);
    assert_eq!(w.ask(Some(&acme), &need).await, "insufficient_scope");
    let scoped = w.token("acme").scopes(["read", "replay"]).sign();
    assert_eq!(w.ask(Some(&scoped), &need).await, "not_in_plan");
    let globex = w.token("globex").scopes(["replay"]).sign();
    assert_eq!(w.ask(Some(&globex), &need).await, "allow globex");
}

#[tokio::test]
async fn public_and_authenticated_routes() {
    let w = world();
    for token in [None, Some("rubbish")] {
        assert_eq!(w.ask(token, &Requirement::public()).await, "allow nobody");
    }
    let need = Requirement::authenticated();
    assert_eq!(w.ask(None, &need).await, "no_credential");
    assert_eq!(w.ask(Some(&w.token("acme").sign()), &need).await, "allow acme");
    assert_eq!(w.ask(Some(&w.token("nobody").sign()), &need).await, "allow nobody");
    assert_eq!(w.ask(Some(&w.issuer.token(API).sign()), &need).await, "allow nobody");
}

/// What asks for something cannot be public, in whatever order it is said.
#[tokio::test]
async fn a_public_requirement_that_asks_is_not_public() {
    let w = world();
    for need in [
        Requirement::public().scopes(["read"]),
        Requirement::public().roles(["viewer"]),
        Requirement::public().features(&w.catalog, ["topology_graph"]).expect("a known feature"),
    ] {
        assert_eq!(w.ask(None, &need).await, "no_credential");
    }
    let none: [&str; 0] = [];
    assert_eq!(w.ask(None, &Requirement::public().scopes(none)).await, "allow nobody");
}

#[tokio::test]
async fn features_and_levels() {
    let w = world_with([("small", "low"), ("acme", "mid")]);
    let low = w.token("small").sign();
    assert_eq!(w.ask(Some(&low), &w.need(&["payload_lineage"])).await, "allow small");
    assert_eq!(w.ask(Some(&low), &w.need(&["payload_lineage=limited"])).await, "allow small");
    assert_eq!(w.ask(Some(&low), &w.need(&["payload_lineage=full"])).await, "level_too_low");
    let mid = w.token("acme").sign();
    let both = w.need(&["payload_lineage=full", "cross_service_correlation"]);
    assert_eq!(w.ask(Some(&mid), &both).await, "allow acme");
    assert!(Requirement::tenant().features(&w.catalog, ["no_such_feature"]).is_err());
    assert!(Requirement::tenant().features(&w.catalog, ["payload_lineage=huge"]).is_err());
}

#[tokio::test]
async fn a_tier_in_the_token_means_nothing() {
    let w = world();
    let boasting = w.token("acme").claim("tier", "business").sign();
    let need = w.need(&["exchange_replay"]);
    assert_eq!(w.ask(Some(&boasting), &need).await, "not_in_plan");
}

#[tokio::test]
async fn scopes_and_roles_do_not_mix() {
    let w = world_with([("acme", "mid")]);
    let viewer = w.issuer.token(UI).client("ui").roles(["server:viewer"]).scopes(["read"]).sign();
    assert_eq!(w.ask(Some(&viewer), &Requirement::tenant().roles(["viewer"])).await, "allow acme");
    assert_eq!(
        w.ask(Some(&viewer), &Requirement::tenant().scopes(["read"])).await,
        "insufficient_scope"
    );
    let admin = w.token("acme").scopes(["platform:admin"]).roles(["server:viewer"]).sign();
    assert_eq!(w.ask(Some(&admin), &Requirement::tenant().roles(["viewer"])).await, "missing_role");
}

#[tokio::test]
async fn a_single_tenant_stands_for_nobody_when_there_are_two() {
    let alone = world_with([("acme", "mid")]);
    let viewer = |w: &World| w.issuer.token(UI).client("ui").roles(["server:viewer"]).sign();
    let need = Requirement::tenant();
    assert_eq!(alone.ask(Some(&viewer(&alone)), &need).await, "allow acme");
    // It was said to be alone: that goes on while nobody can be asked, as its rows do.
    alone.clock.advance(Duration::from_secs(5));
    alone.store.set_down(true);
    assert_eq!(alone.ask(Some(&viewer(&alone)), &need).await, "allow acme");
    alone.store.set_down(false);
    // A second tenant ends it.
    let newcomer = Change::AddTenant {
        id: "globex".parse().expect("an id"),
        name: "Globex".into(),
        organizations: Vec::new(),
    };
    alone.store.apply(&newcomer).expect("a new tenant");
    assert_eq!(alone.ask(Some(&viewer(&alone)), &need).await, "unknown_tenant");

    let crowded = world();
    assert_eq!(crowded.ask(Some(&viewer(&crowded)), &need).await, "unknown_tenant");
    // With an organization it is said whose token it is.
    let said =
        crowded.issuer.token(UI).client("ui").roles(["server:viewer"]).organization("globex");
    assert_eq!(crowded.ask(Some(&said.sign()), &need).await, "allow globex");
}

/// That a tenant is alone is known as its rows are: a store that hangs delays nobody.
#[tokio::test]
async fn a_single_tenant_waits_for_no_store() {
    let w = world();
    let inner = entitlements::testing::store();
    let by = entitlements::store::Actor::person("test");
    let tenant: TenantId = "acme".parse().expect("an id");
    let add =
        Change::AddTenant { id: tenant.clone(), name: "Acme".into(), organizations: Vec::new() };
    let license = entitlements::testing::license("lic_1", "mid");
    for change in [add, Change::GrantLicense { tenant, license }] {
        inner.apply(&change, &by, SystemTime::UNIX_EPOCH).await.expect("a new tenant");
    }
    let faulty = entitlements::testing::Faulty::new(inner);
    let service = EntitlementService::with_store(faulty.clone(), w.catalog.clone());
    let gate = Gate::new(w.gate.verifier().clone(), service.connect().await.expect("it is up"));
    let token = w.issuer.token(UI).client("ui").roles(["server:viewer"]).sign();
    let need = Requirement::tenant();
    assert_eq!(show(&gate.check(Some(&token), &need).await), "allow acme");
    faulty.set_delay(Duration::from_mins(1));
    w.clock.advance(Duration::from_mins(1));
    let decision = gate.check_now(Some(&token), &need).expect("nobody is asked");
    assert_eq!(show(&decision), "allow acme");
}

#[tokio::test]
async fn licenses_count_at_each_request() {
    let w = world();
    let token = w.token("acme").lifetime(86_400 * 400).sign();
    let replay = w.need(&["exchange_replay"]);
    assert_eq!(w.ask(Some(&token), &replay).await, "not_in_plan");
    let acme: TenantId = "acme".parse().expect("an id");
    w.store.grant(&acme, "high");
    assert_eq!(w.ask(Some(&token), &replay).await, "allow acme", "an upgrade is in force at once");
    w.store
        .apply(&Change::SetTenantStatus {
            tenant: acme,
            status: TenantStatus::Suspended,
            reason: Some("unpaid since May".into()),
        })
        .expect("the tenant is active");
    assert_eq!(w.ask(Some(&token), &Requirement::tenant()).await, "tenant_suspended");
    assert_eq!(w.ask(Some(&token), &Requirement::authenticated()).await, "tenant_suspended");
    let decision = w.gate.check(Some(&token), &Requirement::tenant()).await;
    let denial = decision.denial().expect("it is suspended");
    assert_eq!(denial.cause.as_deref(), Some("unpaid since May"), "the log says why");
    let told = String::from_utf8(denial.problem().to_json()).expect("text");
    assert!(!told.contains("unpaid"), "the caller is not told why: {told}");
}

#[tokio::test]
async fn faults_of_ours_are_never_the_callers() {
    let w = world();
    let (acme, globex) = (w.token("acme").sign(), w.token("globex").sign());
    let need = Requirement::tenant();
    assert_eq!(w.ask(Some(&acme), &need).await, "allow acme");
    w.store.set_down(true);
    assert_eq!(w.ask(Some(&acme), &need).await, "allow acme", "known rows go on");
    assert_eq!(w.ask(Some(&globex), &need).await, "store_unavailable");
    let decision = w.gate.check(Some(&globex), &need).await;
    let denial = decision.denial().expect("nobody can know");
    assert_eq!(denial.reason.fault().status(), 503);
    assert!(denial.retry_after.is_some());

    let w = world();
    w.issuer.keys().fault(KeyFault::Fail);
    assert_eq!(w.ask(Some(&w.token("acme").sign()), &need).await, "keys_unavailable");
}

#[tokio::test]
async fn explanations_name_what_decided() {
    let w = world();
    let need = w.need(&["exchange_replay"]).scopes(["read"]);
    let story = w.gate.explain(Some(&w.token("acme").sign()), &need).await;
    let find = |story: &Explanation, name: &str| {
        story.steps.iter().find(|s| s.name == name).cloned().expect("the step is told")
    };
    let has = |story: &Explanation, step: &str, value: &str| {
        let step = find(story, step);
        assert!(step.inputs.iter().any(|(_, v)| v.contains(value)), "{value} in {step:?}");
    };
    has(&story, "token", "user_1 (user)");
    has(&story, "tenant", "acme");
    has(&story, "tenant", "mid");
    has(&story, "scopes", "read");
    has(&story, "features", "not_in_plan");
    has(&story, "features", "high");
    assert!(find(&story, "features").remedy.is_some());

    let expired = w.token("acme").sign();
    w.clock.advance(Duration::from_secs(4000));
    let story = w.gate.explain(Some(&expired), &need).await;
    has(&story, "token", "token_expired");
    let step = find(&story, "token");
    assert!(step.inputs.iter().any(|(n, _)| n.starts_with("exp (not verified)")), "{step:?}");
    let shown = format!("{story:?}");
    let signature = expired.rsplit('.').next().expect("three parts");
    assert!(!shown.contains(signature), "the token is never shown");

    // What does not fit is told beside what would.
    let other = TestIssuer::new("https://id.test/oidc/", Algorithm::Es256).clock(w.clock.clone());
    let story = w.gate.explain(Some(&other.token(API).sign()), &need).await;
    has(&story, "token", "untrusted_issuer");
    has(&story, "token", "https://id.test/oidc");
    let story = w.gate.explain(Some(&w.issuer.token("https://api.test/").sign()), &need).await;
    has(&story, "token", "wrong_audience");
    let accepted: Vec<_> = find(&story, "token")
        .inputs
        .into_iter()
        .filter_map(|(name, value)| (name == "audience of test").then_some(value))
        .collect();
    assert_eq!(accepted, [API, UI]);
}

fn app(
    w: &World,
    need: Requirement,
) -> impl tower::Service<Request<()>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone {
    let handler = service_fn(async |request: Request<()>| {
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject);
        let tenant = request.extensions().get::<EntitlementSet>().map(|e| e.tenant().to_string());
        let text = format!("{who} of {}", tenant.as_deref().unwrap_or("nothing"));
        Ok::<_, Infallible>(Response::new(Full::from(text)))
    });
    GateLayer::new(w.gate.clone()).layer(RequireLayer::new(need).layer(handler))
}

fn request(token: Option<&str>) -> Request<()> {
    let request = Request::builder().uri("/");
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    request.body(()).expect("a request")
}

async fn text(response: Response<Full<Bytes>>) -> String {
    let body = response.into_body().collect().await.expect("in memory").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

#[tokio::test]
async fn layers_pass_what_they_found() {
    let w = world();
    let app = app(&w, w.need(&["topology_graph"]));
    let token = w.token("acme").sign();
    for _ in 0..2 {
        let response = app.clone().oneshot(request(Some(&token))).await.expect("infallible");
        assert_eq!(text(response).await, "user_1 of acme");
    }
    let response = app.clone().oneshot(request(None)).await.expect("infallible");
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"api\"");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let denial = response.extensions().get::<Denial>().expect("outer layers see why");
    assert_eq!(denial.reason.code(), "no_credential");

    let mut twice = request(Some(&token));
    let value = twice.headers()["authorization"].clone();
    twice.headers_mut().append("authorization", value);
    let response = app.oneshot(twice).await.expect("infallible");
    assert_eq!(response.status(), 401);
    let challenge = response.headers()["www-authenticate"].to_str().expect("ascii");
    assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
}

#[tokio::test]
async fn a_public_gate_does_not_look_at_credentials() {
    let w = world();
    let handler = service_fn(async |request: Request<()>| {
        assert!(request.extensions().get::<Identity>().is_none());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("open")))
    });
    let app = GateLayer::new(w.gate.clone()).requirement(Requirement::public()).layer(handler);
    for value in ["Basic dTpw", "Bearer", "Bearer rubbish", ""] {
        let mut request = request(None);
        request.headers_mut().insert("authorization", value.parse().expect("a value"));
        let response = app.clone().oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), 200, "{value}");
    }
}

/// The gate lets anybody with a valid token pass; a route that needs a tenant tells why there is none.
#[tokio::test]
async fn a_route_tells_an_unknown_tenant_from_none() {
    let w = world();
    let handler = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("open")))
    });
    let route = RequireLayer::new(Requirement::tenant()).layer(handler);
    let app = GateLayer::new(w.gate.clone()).requirement(Requirement::authenticated()).layer(route);
    for (token, expected) in [
        (w.token("nobody").sign(), "unknown_tenant"),
        (w.issuer.token(API).sign(), "no_organization"),
        (w.token("acme").sign(), "open"),
    ] {
        let response = app.clone().oneshot(request(Some(&token))).await.expect("infallible");
        let text = text(response).await;
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

/// What a database says when it fails, and who wrote what about a tenant, is for the operator.
#[tokio::test]
async fn causes_are_told_to_nobody_outside() {
    let w = world();
    let told = |decision: &Decision| {
        let denial = decision.denial().expect("a refusal").clone();
        (String::from_utf8(denial.problem().to_json()).expect("text"), denial.cause)
    };
    w.store.set_down(true);
    let (shown, cause) =
        told(&w.gate.check(Some(&w.token("globex").sign()), &Requirement::tenant()).await);
    let cause = cause.expect("the operator learns what failed");
    assert!(!cause.is_empty() && !shown.contains(&cause), "{cause}: {shown}");
    w.store.set_down(false);

    let deny = Override {
        id: "ovr_1".into(),
        feature: "topology_graph".parse().expect("a key"),
        effect: Effect::Deny,
        starts_at: SystemTime::UNIX_EPOCH,
        ends_at: None,
        reason: "scraped us in March".into(),
        ticket: None,
        created_by: "sue".into(),
        revoked_at: None,
    };
    let tenant = "acme".parse().expect("an id");
    let change = Change::AddOverride { tenant, exception: deny };
    w.store.apply(&change).expect("the tenant is there");
    let need = w.need(&["topology_graph"]);
    let (shown, cause) = told(&w.gate.check(Some(&w.token("acme").sign()), &need).await);
    assert!(shown.contains("override_deny") && !shown.contains("scraped"), "{shown}");
    assert!(cause.is_some_and(|cause| cause.contains("scraped us in March")));
}

#[tokio::test]
async fn a_requirement_outside_of_a_gate_refuses() {
    let w = world();
    let handler = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("open")))
    });
    let alone = RequireLayer::new(w.need(&["topology_graph"])).layer(handler);
    let response = alone.oneshot(request(Some(&w.token("acme").sign()))).await.expect("infallible");
    assert_eq!(response.status(), 503);
    assert!(text(response).await.contains("gate_missing"));
}

#[tokio::test]
async fn refusals_can_be_replaced() {
    let w = world();
    let handler = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("open")))
    });
    let html = |denial: Denial| {
        Response::new(Full::<Bytes>::from(format!("<p>{}</p>", denial.reason.title())))
    };
    let app = GateLayer::new(w.gate.clone()).refuse_with(html).layer(handler);
    let response = app.oneshot(request(None)).await.expect("infallible");
    assert_eq!(text(response).await, "<p>No credential was sent</p>");
}

#[tokio::test]
async fn the_inner_error_type_is_kept() {
    #[derive(Debug, PartialEq)]
    struct Mine;
    let w = world();
    let handler = service_fn(async |_: Request<()>| Err::<Response<Full<Bytes>>, _>(Mine));
    let app = GateLayer::new(w.gate.clone()).layer(handler);
    let token = w.token("acme").sign();
    assert_eq!(app.oneshot(request(Some(&token))).await.expect_err("the handler fails"), Mine);
}

#[tokio::test]
async fn a_cancelled_request_leaves_nothing_behind() {
    let w = world();
    w.issuer.keys().fault(KeyFault::Hang);
    let app = app(&w, Requirement::tenant());
    let token = w.token("acme").sign();
    let asked = app.clone().oneshot(request(Some(&token)));
    assert!(tokio::time::timeout(Duration::from_millis(50), asked).await.is_err());
    // The next one neither waits for a flight that nobody flies nor meets half an answer.
    w.issuer.keys().fault(KeyFault::None);
    let asked = async {
        loop {
            let response = app.clone().oneshot(request(Some(&token))).await.expect("infallible");
            if response.status() == 200 {
                return text(response).await;
            }
            w.clock.advance(Duration::from_secs(1));
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), asked).await;
    assert_eq!(answer.expect("it is answered"), "user_1 of acme");
}
