//! The operator's listener.

use crate::harness::{Gateway, exchange};

#[tokio::test]
async fn metrics_have_closed_labels() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    assert_eq!(gateway.get("/topology?secret=1", Some(&token)).await.verdict(), "200");
    assert_eq!(gateway.get("/topology?secret=1", Some(&token)).await.verdict(), "200");
    assert_eq!(gateway.get("/replay", Some(&token)).await.verdict(), "403 not_in_plan");
    assert_eq!(gateway.get("/some/where/else", None).await.verdict(), "403 no_route");
    let answer = gateway.admin("/metrics").await;
    assert_eq!(answer.status, 200);
    let text = answer.body;
    for line in [
        "tiergate_decisions_total{outcome=\"allow\",reason=\"allowed\",\
         route=\"app.test GET /topology\",issuer=\"test\"} 2",
        "tiergate_decisions_total{outcome=\"deny\",reason=\"not_in_plan\",\
         route=\"app.test GET /replay\",issuer=\"test\"} 1",
        "tiergate_decisions_total{outcome=\"deny\",reason=\"no_route\",route=\"none\",\
         issuer=\"none\"} 1",
        "tiergate_jwks_keys{issuer=\"test\"} 1",
        "tiergate_store_up 1",
        "tiergate_panics_total 0",
        "tiergate_connections_total 4",
        "tiergate_token_cache_entries 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    for name in [
        "tiergate_catalog_info{digest=",
        "tiergate_build_info{version=",
        "tiergate_jwks_age_seconds",
    ] {
        assert!(text.contains(name), "{name}");
    }
    for open in ["low-co", "/some", "secret", "127.0.0.1"] {
        assert!(!text.contains(open), "{open} is a label");
    }
}

#[tokio::test]
async fn other_paths_and_methods() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.admin("/livez").await.status, 200);
    assert_eq!(gateway.admin("/").await.status, 404);
    assert_eq!(gateway.admin("/verify").await.status, 404);
    assert_eq!(gateway.admin("/decisions/x").await.status, 404);
    let post = b"POST /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(gateway.admin, post).await.status, 405);
}
