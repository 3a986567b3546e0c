//! Two tenants that use the same ids see their own data and nothing else, on every path.

use serde_json::{Value, json};

use crate::support::{FULL, Running, export, in_trace, span, with};

/// Both tenants send trace `5b..` with span ids 1 and 2 from service `shop`; each value carries the
/// tenant's mark. `blue` has a second trace that `green` does not know.
async fn two_tenants() -> (Running, String) {
    let server = Running::start().await;
    for tenant in ["blue", "green"] {
        let mark = format!("mark-of-{tenant}");
        let payload = [("payload.body", mark.as_str()), ("mark", mark.as_str())];
        let mut outer = with(span(1, 0, &mark, 0), &payload);
        outer.status_message_mut(&mark);
        server.export_ok(tenant, &export("shop", vec![outer])).await;
        let inner = with(span(2, 1, &mark, 1), &payload);
        server.export_ok(tenant, &export(&format!("stock-{mark}"), vec![inner])).await;
    }
    let extra = in_trace(7, span(1, 0, "mark-of-blue", 5));
    server.export_ok("blue", &export("shop", vec![extra])).await;
    let list = server.get("blue", FULL, "/api/v1/exchanges?service=shop").await.json();
    let id = list["exchanges"][1]["id"].as_str().unwrap().to_owned();
    (server, id)
}

trait StatusMessage {
    fn status_message_mut(&mut self, message: &str);
}

impl StatusMessage for opentelemetry_proto::tonic::trace::v1::Span {
    fn status_message_mut(&mut self, message: &str) {
        self.status.get_or_insert_default().message = message.into();
    }
}

#[tokio::test]
async fn the_same_ids_lead_each_tenant_to_its_own() {
    let (server, shared) = two_tenants().await;
    let trace = shared[..32].to_owned();
    let paths = [
        ("GET", "/api/v1/exchanges".to_owned()),
        ("GET", format!("/api/v1/exchanges/{shared}")),
        ("GET", format!("/api/v1/exchanges/{shared}/lineage")),
        ("POST", format!("/api/v1/exchanges/{shared}/replay")),
        ("GET", "/api/v1/topology".to_owned()),
        ("GET", format!("/api/v1/correlations/{trace}")),
        ("GET", "/api/v1/agents".to_owned()),
        ("GET", "/api/v1/status".to_owned()),
    ];
    for (method, path) in &paths {
        for (tenant, other) in [("blue", "green"), ("green", "blue")] {
            let request = crate::support::request(method, path, tenant, FULL);
            let text = server.send(request).await.json().to_string();
            assert!(!text.contains(&format!("mark-of-{other}")), "{tenant} {path}: {text}");
            assert!(text.contains(tenant), "{tenant} {path}: {text}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn another_tenants_id_is_an_unknown_id() {
    let (server, _) = two_tenants().await;
    let list = server.get("blue", FULL, "/api/v1/exchanges").await.json();
    let own = list["exchanges"][0]["id"].as_str().unwrap().to_owned();
    assert!(own.starts_with(&"07".repeat(16)), "{own}");
    let unknown = own.replace("07", "08");
    let answers = |id: String| {
        let server = &server;
        async move {
            let mut answers: Vec<(u16, Value)> = Vec::new();
            for (method, path) in [
                ("GET", format!("/api/v1/exchanges/{id}")),
                ("GET", format!("/api/v1/exchanges/{id}/lineage")),
                ("POST", format!("/api/v1/exchanges/{id}/replay")),
                ("GET", format!("/api/v1/correlations/{}", &id[..32])),
            ] {
                let request = crate::support::request(method, &path, "green", FULL);
                let answer = server.send(request).await;
                answers.push((answer.reason().0, serde_json::from_slice(&answer.body).unwrap()));
            }
            answers
        }
    };
    let of_blue = answers(own).await;
    assert!(of_blue.iter().all(|(status, _)| *status == 404), "{of_blue:?}");
    // The whole answers are equal, so nothing in them tells whether the id exists.
    assert_eq!(of_blue, answers(unknown).await);
    server.stop().await;
}

#[tokio::test]
async fn counts_are_each_tenants_own() {
    let (server, _) = two_tenants().await;
    for (tenant, exchanges, spans) in [("blue", 3, 3), ("green", 2, 2), ("nobody", 0, 0)] {
        let status = server.get(tenant, FULL, "/api/v1/status").await.json();
        assert_eq!((&status["exchanges"], &status["spans"]), (&json!(exchanges), &json!(spans)));
        assert_eq!(status["tenant"], tenant);
        let topology = server.get(tenant, FULL, "/api/v1/topology").await.json();
        let edges = topology["edges"].as_array().unwrap();
        assert_eq!(edges.len(), usize::from(exchanges > 0), "{topology}");
        // The join over one trace id must not multiply one tenant's calls by the other's.
        assert!(edges.iter().all(|edge| edge["calls"] == 1), "{topology}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_cursor_of_another_tenant_opens_nothing() {
    let (server, _) = two_tenants().await;
    let page = server.get("blue", FULL, "/api/v1/exchanges?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let path = format!("/api/v1/exchanges?cursor={cursor}");
    let text = server.get("green", FULL, &path).await.json().to_string();
    assert!(text.contains("mark-of-green") && !text.contains("mark-of-blue"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn one_tenants_span_does_not_keep_another_from_storing_its_own() {
    let server = Running::start().await;
    server.export_ok("blue", &export("shop", vec![span(1, 0, "of blue", 0)])).await;
    server.export_ok("green", &export("shop", vec![span(1, 0, "of green", 0)])).await;
    for tenant in ["blue", "green"] {
        let list = server.get(tenant, FULL, "/api/v1/exchanges").await.json();
        assert_eq!(list["exchanges"][0]["entry"], format!("of {tenant}"));
    }
    server.stop().await;
}
