//! Which headers make a request a tenant's, on every path.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;

use crate::support::{FULL, Running, export, request, span};

const PATHS: [(&str, &str); 10] = [
    ("POST", "/v1/traces"),
    ("GET", "/api/v1/exchanges"),
    ("GET", "/api/v1/exchanges/x"),
    ("GET", "/api/v1/exchanges/x/lineage"),
    ("POST", "/api/v1/exchanges/x/replay"),
    ("GET", "/api/v1/topology"),
    ("GET", "/api/v1/correlations/x"),
    ("GET", "/api/v1/debugger/stream"),
    ("GET", "/api/v1/agents"),
    ("GET", "/api/v1/status"),
];

fn with_headers(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = request(method, path, "acme", FULL);
    request.headers_mut().remove("x-tenant-id");
    for (name, value) in headers {
        request.headers_mut().append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    request
}

#[tokio::test]
async fn every_path_refuses_every_way_of_not_naming_one_tenant() {
    let server = Running::start().await;
    let rows: [(&[(&str, &str)], &str); 14] = [
        (&[], "tenant_header_missing"),
        (&[("x-tenant", "acme")], "tenant_header_missing"),
        (&[("x-tenant-id", "")], "tenant_header_empty"),
        (&[("x-tenant-id", "   ")], "tenant_header_empty"),
        (&[("x-tenant-id", "acme"), ("x-tenant-id", "evil")], "tenant_header_repeated"),
        (&[("x-tenant-id", "acme"), ("X-Tenant-Id", "acme")], "tenant_header_repeated"),
        (&[("x-tenant-id", "acme,evil")], "tenant_header_repeated"),
        (&[("x-tenant-id", ", acme")], "tenant_header_repeated"),
        (&[("x-tenant-id", "ACME")], "tenant_header_ill_formed"),
        (&[("x-tenant-id", "acme' OR '1'='1")], "tenant_header_ill_formed"),
        (&[("x-tenant-id", "../acme")], "tenant_header_ill_formed"),
        (&[("x-tenant-id", "acme"), ("X_Tenant_Id", "evil")], "tenant_header_alias"),
        (&[("x-tenant-id", "acme"), ("X.Tenant.Id", "evil")], "tenant_header_alias"),
        (&[("x_tenant-id", "acme")], "tenant_header_alias"),
    ];
    for (method, path) in PATHS {
        for (headers, reason) in rows {
            let answer = server.send(with_headers(method, path, headers)).await;
            assert_eq!(answer.reason(), (403, reason.to_owned()), "{method} {path} {headers:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn only_health_needs_no_tenant() {
    let server = Running::start().await;
    let answer = server.send(with_headers("GET", "/healthz", &[])).await;
    assert_eq!(answer.json()["status"], "ok");
    server.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_before_the_tenant_is_asked() {
    let server = Running::start().await;
    for path in
        ["/", "/api", "/api/v1/exchanges/", "/api/v1/exchanges/a/b/c", "/v1/metrics", "/%2e"]
    {
        let answer = server.send(with_headers("GET", path, &[])).await;
        assert_eq!(answer.reason(), (404, "no_route".into()), "{path}");
    }
    for (method, path) in PATHS {
        let answer = server.send(with_headers("PATCH", path, &[])).await;
        assert_eq!(answer.reason(), (405, "method_not_allowed".into()), "{path}");
        let allow = answer.headers["allow"].to_str().unwrap();
        assert!(allow.split(", ").any(|allowed| allowed == method), "{path}: {allow}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_feature_must_be_named_by_a_header_that_can_be_read() {
    let server = Running::start().await;
    server.export_ok("acme", &export("shop", vec![span(1, 0, "GET /", 0)])).await;
    let id = server.only_exchange("acme").await;
    let trace = &id[..32];
    let endpoints = [
        ("GET", "/api/v1/topology".into(), "topology_graph"),
        ("GET", format!("/api/v1/exchanges/{id}/lineage"), "payload_lineage=limited"),
        ("GET", format!("/api/v1/correlations/{trace}"), "cross_service_correlation"),
        ("POST", format!("/api/v1/exchanges/{id}/replay"), "exchange_replay"),
    ];
    for (method, path, feature) in &endpoints {
        let name = feature.split('=').next().unwrap();
        let good = server.send(request(method, path, "acme", feature)).await;
        assert_eq!(good.status, 200, "{path}");
        for bad in ["", "retention_days=30", &format!("{name}=?0"), &format!("{feature}, ,"), "\"x"]
        {
            let answer = server.send(request(method, path, "acme", bad)).await;
            assert_eq!(answer.reason(), (403, "not_in_plan".into()), "{path} with `{bad}`");
            let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(problem["feature"], name);
        }
        let mut twice = request(method, path, "acme", feature);
        twice.headers_mut().append("x-tenant-features", feature.parse().unwrap());
        assert_eq!(server.send(twice).await.reason().1, "not_in_plan");
        let mut alias = request(method, path, "acme", "");
        alias.headers_mut().append("x_tenant_features", feature.parse().unwrap());
        assert_eq!(server.send(alias).await.reason().1, "not_in_plan");
        let mut none = request(method, path, "acme", "");
        none.headers_mut().remove("x-tenant-features");
        assert_eq!(server.send(none).await.reason().1, "not_in_plan");
    }
    let stream = server.get("acme", "topology_graph", "/api/v1/debugger/stream").await;
    assert_eq!(stream.reason(), (403, "not_in_plan".into()));
    server.stop().await;
}
