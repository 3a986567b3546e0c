//! Credentials and entitlements, over HTTP.

use std::time::Duration;

use auth_core::testing::KeyFault;
use entitlements::store::{Change, Organization};

use crate::harness::{API, Gateway, Options, Question, UI, exchange};

#[tokio::test]
async fn a_tenant_gets_its_headers() {
    let gateway = Gateway::start().await;
    let token = gateway.token("mid-co");
    for _ in 0..2 {
        let answer = gateway.get("/topology", Some(&token)).await;
        assert_eq!(answer.verdict(), "200");
        assert_eq!(answer.body, "");
        assert_eq!(answer.header("x-tenant-id"), Some("mid-co"));
        assert_eq!(answer.header("x-tenant-tier"), Some("mid"));
        assert_eq!(
            answer.header("x-tenant-features"),
            Some(
                "topology_graph, payload_lineage=\"full\", cross_service_correlation, \
                 retention_days=30"
            )
        );
        assert_eq!(answer.header("x-auth-scopes"), Some("traces:read"));
        assert_eq!(answer.header("x-auth-roles"), Some(""));
        assert_eq!(answer.header("x-auth-assertion"), Some(""));
        assert_eq!(answer.header("x-tiergate-shard"), Some(""));
        assert!(!answer.header("x-auth-subject").expect("a subject").is_empty());
        assert_eq!(answer.header("content-encoding"), None);
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn features_follow_the_tier() {
    let gateway = Gateway::start().await;
    for (tenant, uri, verdict) in [
        ("low-co", "/topology", "200"),
        ("low-co", "/replay", "403 not_in_plan"),
        ("low-co", "/lineage", "403 level_too_low"),
        ("mid-co", "/replay", "403 not_in_plan"),
        ("mid-co", "/lineage", "200"),
        ("high-co", "/replay", "200"),
        ("nobody", "/topology", "403 unknown_tenant"),
    ] {
        let token = gateway.token(tenant);
        for _ in 0..2 {
            let answer = gateway.get(uri, Some(&token)).await;
            assert_eq!(answer.verdict(), verdict, "{tenant} {uri}");
        }
    }
    let json = gateway.get("/lineage", Some(&gateway.token("low-co"))).await.json();
    assert_eq!(json["feature"], "payload_lineage");
    assert_eq!(json["required"], "full");
    assert_eq!(json["current"], "limited");
    assert_eq!(json["unlocked_by"], serde_json::json!(["mid", "high", "business"]));
}

#[tokio::test]
async fn what_is_cached_is_judged_on_every_route() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    assert_eq!(gateway.get("/topology", Some(&token)).await.verdict(), "200");
    assert_eq!(gateway.get("/replay", Some(&token)).await.verdict(), "403 not_in_plan");
    assert_eq!(gateway.get("/me", Some(&token)).await.verdict(), "200");
    assert_eq!(gateway.get("/topology", Some(&token)).await.verdict(), "200");
    // An upgrade changes the headers of the very next answer.
    let tenant = "low-co".parse().expect("a tenant id");
    gateway.store.grant(&tenant, "high");
    let answer = gateway.get("/replay", Some(&token)).await;
    assert_eq!(answer.verdict(), "200");
    assert_eq!(answer.header("x-tenant-tier"), Some("high"));
}

#[tokio::test]
async fn spellings_of_the_credential() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    let long = format!("{}{}", "a".repeat(20 * 1024), ".b.c");
    let dots = ".".repeat(10_000);
    for (value, verdict) in [
        (format!("Bearer {token}"), "200"),
        (format!("bearer {token}"), "200"),
        (format!("BEARER {token}"), "200"),
        (format!("Bearer  {token}"), "200"),
        (format!("Bearer\t{token}"), "401 malformed_authorization"),
        (format!("Bearer {token},"), "401 malformed_authorization"),
        (format!("Bearer {token}, Bearer {token}"), "401 malformed_authorization"),
        ("Bearer".to_owned(), "401 malformed_authorization"),
        ("Bearer ".to_owned(), "401 malformed_authorization"),
        ("Basic dXNlcjpwYXNz".to_owned(), "401 malformed_authorization"),
        (format!("DPoP {token}"), "401 malformed_authorization"),
        (token.clone(), "401 malformed_authorization"),
        (format!("Bearer {long}"), "401 token_too_large"),
        (format!("Bearer a{dots}b"), "401 malformed_token"),
        // 86 characters of signature: 81 are no base64, whatever they are; 84 are 63 whole bytes.
        (format!("Bearer {}", &token[..token.len() - 5]), "401 malformed_token"),
        (format!("Bearer {}", &token[..token.len() - 2]), "401 bad_signature"),
    ] {
        let question = Question::new("/topology").line("Authorization", &value);
        for _ in 0..2 {
            let verdict_now = gateway.ask(&question).await.verdict();
            let shown: String = value.chars().take(40).collect();
            assert_eq!(verdict_now, verdict, "{shown}");
        }
    }
    let twice = Question::new("/topology").bearer(&token).bearer(&token);
    assert_eq!(gateway.ask(&twice).await.verdict(), "401 malformed_authorization");
    let elsewhere = Question::new(&format!("/topology?access_token={token}"))
        .line("Proxy-Authorization", &format!("Bearer {token}"))
        .line("Cookie", &format!("token={token}"))
        .line("Sec-WebSocket-Protocol", &format!("bearer, {token}"));
    assert_eq!(gateway.ask(&elsewhere).await.verdict(), "401 no_credential");
    // RFC 6750, section 2.2: a form is no place for a token here.
    let form = format!("access_token={token}");
    let in_the_body = Question::new("/topology")
        .head("POST /verify HTTP/1.1")
        .line("Content-Type", "application/x-www-form-urlencoded")
        .line("Content-Length", &form.len().to_string());
    let bytes = [in_the_body.bytes(), form.into_bytes()].concat();
    assert_eq!(exchange(gateway.address, &bytes).await.verdict(), "401 no_credential");
    // Large is not too large.
    let large = gateway.issuer.token(API).organization("low-co").scopes(["traces:read"]);
    let large = large.claim("padding", "x".repeat(9 * 1024)).sign();
    assert_eq!(gateway.get("/topology", Some(&large)).await.verdict(), "200");
    // A bad bearer is not forgiven for whatever else was sent.
    let both = Question::new("/topology").line("Cookie", "session=x").bearer("bad");
    assert_eq!(gateway.ask(&both).await.status, 401);
}

/// Who has no tier is refused, and gets no header of one that he claims.
#[tokio::test]
async fn a_tenant_without_a_license() {
    let gateway = Gateway::start().await;
    let organization = Organization { issuer: "https://id.test/oidc".into(), id: "org_9".into() };
    let organizations = vec![organization];
    let id = "bare-co".parse().expect("an id");
    let change = Change::AddTenant { id, name: "Bare".into(), organizations };
    gateway.store.apply(&change).expect("it is new");
    let token = gateway.token("org_9");
    let spoofed = Question::new("/topology").bearer(&token).line("X-Tenant-Tier", "business");
    let answer = gateway.ask(&spoofed).await;
    assert_eq!(answer.verdict(), "403 no_license");
    assert_eq!((answer.header("x-tenant-id"), answer.header("x-tenant-tier")), (None, None));
    // Where a valid token is enough, it passes with the lowest of everything.
    let answer = gateway.ask(&spoofed.set("X-Forwarded-Uri", "/me")).await;
    assert_eq!(answer.verdict(), "200");
    assert_eq!(answer.header("x-tenant-id"), Some("bare-co"));
    assert_eq!(answer.header("x-tenant-tier"), Some(""));
    assert_eq!(answer.header("x-tenant-features"), Some(""));
}

#[tokio::test]
async fn public_routes_do_not_look_at_credentials() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    for value in ["Bearer bad", "Basic x", &format!("Bearer {token}")] {
        let answer = gateway.ask(&Question::new("/public").line("Authorization", value)).await;
        assert_eq!(answer.verdict(), "200");
        assert_eq!(answer.header("x-tenant-id"), Some(""));
        assert_eq!(answer.header("x-auth-subject"), Some(""));
    }
}

#[tokio::test]
async fn scopes_roles_and_access() {
    let gateway = Gateway::start().await;
    let plain = gateway.issuer.token(API).organization("low-co").sign();
    let answer = gateway.get("/topology", Some(&plain)).await;
    assert_eq!(answer.verdict(), "403 insufficient_scope");
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"traces:read\""), "{challenge}");

    let nowhere = gateway.issuer.token(API).scopes(["traces:read"]).sign();
    assert_eq!(gateway.get("/topology", Some(&nowhere)).await.verdict(), "403 no_organization");
    let answer = gateway.get("/me", Some(&nowhere)).await;
    assert_eq!(answer.verdict(), "200");
    assert_eq!(answer.header("x-tenant-id"), Some(""));

    let ui = |roles: &[&str], method: &str| {
        let token = gateway.issuer.token(UI).organization("low-co");
        let token = token.roles(roles.iter().copied()).sign();
        Question::new("/ui/x")
            .set("X-Forwarded-Host", "ui.test")
            .set("X-Forwarded-Method", method)
            .bearer(&token)
    };
    let answer = gateway.ask(&ui(&["ui:viewer"], "GET")).await;
    assert_eq!(answer.verdict(), "200");
    assert_eq!(answer.header("x-auth-roles"), Some("\"viewer\""));
    assert_eq!(answer.header("x-auth-scopes"), Some(""));
    let verdict = gateway.ask(&ui(&["ui:viewer"], "POST")).await.verdict();
    assert_eq!(verdict, "403 missing_role");
    assert_eq!(gateway.ask(&ui(&["ui:admin"], "POST")).await.verdict(), "200");
    assert_eq!(gateway.ask(&ui(&["other"], "GET")).await.verdict(), "403 missing_role");
}

#[tokio::test]
async fn time_is_judged_on_every_question() {
    let gateway = Gateway::start().await;
    let token = gateway.issuer.token(API).organization("low-co").scopes(["traces:read"]);
    let token = token.lifetime(60).sign();
    assert_eq!(gateway.get("/topology", Some(&token)).await.verdict(), "200");
    gateway.clock.advance(Duration::from_secs(74));
    assert_eq!(gateway.get("/topology", Some(&token)).await.verdict(), "200");
    gateway.clock.advance(Duration::from_secs(2));
    assert_eq!(gateway.get("/topology", Some(&token)).await.verdict(), "401 token_expired");
}

#[tokio::test]
async fn our_faults_are_503() {
    let options = Options { keys: KeyFault::Fail, ..Options::default() };
    let gateway = Gateway::with(options).await;
    let token = gateway.token("low-co");
    let answer = gateway.get("/topology", Some(&token)).await;
    assert_eq!(answer.verdict(), "503 keys_unavailable");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("www-authenticate"), None);
    // What needs no keys is still told apart.
    assert_eq!(gateway.get("/topology", None).await.verdict(), "401 no_credential");
    assert_eq!(gateway.get("/topology", Some("x.y.z")).await.verdict(), "401 malformed_token");

    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    assert_eq!(gateway.get("/topology", Some(&token)).await.verdict(), "200");
    gateway.store.set_down(true);
    let unseen = gateway.token("never-seen");
    let answer = gateway.get("/topology", Some(&unseen)).await;
    assert_eq!(answer.verdict(), "503 store_unavailable");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("x-tenant-id"), None);
    // Whoever is known goes on.
    assert_eq!(gateway.get("/topology", Some(&token)).await.verdict(), "200");
}
