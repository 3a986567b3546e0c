//! What a denial looks like.

use tiergate::proxy::IDENTITY_HEADERS;

use crate::harness::{Gateway, Question};

#[tokio::test]
async fn a_denial_says_why_and_names_nobody() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    for (question, status, reason) in [
        (Question::new("/admin"), 401, "no_credential"),
        (Question::new("/admin").bearer("x.y.z"), 401, "malformed_token"),
        (Question::new("/replay").bearer(&token), 403, "not_in_plan"),
        (Question::new("/nowhere").bearer(&token), 403, "no_route"),
        (Question::new("/a/../b").bearer(&token), 400, "ambiguous_path"),
    ] {
        let answer = gateway.ask(&question).await;
        assert_eq!(answer.verdict(), format!("{status} {reason}"));
        for name in IDENTITY_HEADERS.iter().filter(|name| **name != "X-Decision-Id") {
            assert_eq!(answer.header(&name.to_lowercase()), None, "{name} of {reason}");
        }
        let id = answer.header("x-decision-id").expect("an id").to_owned();
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("location"), None);
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("x-tiergate-reason"), None);
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
        assert!(answer.body.len() < 8192);
        let json = answer.json();
        assert_eq!(json["status"], status);
        assert_eq!(json["type"], format!("urn:tiergate:problem:{reason}"));
        assert_eq!(json["instance"], format!("urn:uuid:{id}"));
        assert!(!json["remedy"].as_str().expect("a remedy").is_empty());

        // The operator finds it by its id.
        let record = gateway.admin(&format!("/decisions/{id}")).await;
        assert_eq!(record.status, 200);
        let record = record.json();
        assert_eq!(record["reason"], reason);
        assert_eq!(record["id"], id);
        assert_eq!(record["peer"], "127.0.0.1");
        let tenant = (reason == "not_in_plan").then_some("low-co");
        assert_eq!(record["tenant"].as_str(), tenant, "{reason}");
        let missing = gateway.admin("/decisions/00000000-0000-7000-8000-000000000000").await;
        assert_eq!(missing.status, 404);
    }
}

#[tokio::test]
async fn the_challenge() {
    let gateway = Gateway::start().await;
    let challenge = |answer: &crate::harness::Answer| {
        answer.header("www-authenticate").expect("a challenge").to_owned()
    };
    let none = gateway.get("/admin", None).await;
    assert_eq!(challenge(&none), "Bearer realm=\"tiergate\"");
    let bad = gateway.get("/admin", Some("x.y.z")).await;
    assert!(challenge(&bad).starts_with("Bearer realm=\"tiergate\", error=\"invalid_token\""));
}

#[tokio::test]
async fn ids_are_never_the_same() {
    let gateway = Gateway::start().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..20 {
        for uri in ["/public", "/admin"] {
            let answer = gateway.get(uri, None).await;
            assert!(ids.insert(answer.header("x-decision-id").expect("an id").to_owned()));
        }
    }
}
