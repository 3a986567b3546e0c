//! The five features, from spans that were really sent.

use serde_json::{Value, json};

use crate::support::{FULL, LOW, Running, export, failed, in_trace, span, with};

fn took(
    mut span: opentelemetry_proto::tonic::trace::v1::Span,
    ms: u64,
) -> opentelemetry_proto::tonic::trace::v1::Span {
    span.end_time_unix_nano = span.start_time_unix_nano + ms * 1_000_000;
    span
}

/// `web` calls `orders` a hundred times, which took 1 to 100 ms and failed four times, and `orders`
/// calls `stock` once.
async fn shop() -> Running {
    let server = Running::start().await;
    for n in 1..=100_u8 {
        let at = u64::from(n) * 1_000;
        let web = in_trace(n, span(1, 0, "GET /checkout", at));
        server.export_ok("acme", &export("web", vec![web])).await;
        let mut orders = took(in_trace(n, span(2, 1, "POST /orders", at + 1)), n.into());
        if n % 25 == 0 {
            orders = failed(orders);
        }
        let inner = in_trace(n, span(3, 2, "validate", at + 2));
        server.export_ok("acme", &export("orders", vec![orders, inner])).await;
    }
    let stock = in_trace(100, span(4, 3, "reserve", 100_003));
    server.export_ok("acme", &export("stock", vec![stock])).await;
    server
}

#[tokio::test]
async fn the_topology_counts_calls_between_applications() {
    let server = shop().await;
    let topology = server.get("acme", LOW, "/api/v1/topology").await.json();
    let nodes: Vec<_> = topology["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            (node["service"].as_str().unwrap(), node["spans"].as_i64(), node["errors"].as_i64())
        })
        .collect();
    assert_eq!(
        nodes,
        [("orders", Some(200), Some(4)), ("stock", Some(1), Some(0)), ("web", Some(100), Some(0))]
    );
    assert_eq!(
        topology["edges"],
        json!([
            {"from": "orders", "to": "stock", "calls": 1, "errors": 0,
             "p50_ns": 10_000_000, "p95_ns": 10_000_000, "max_ns": 10_000_000},
            {"from": "web", "to": "orders", "calls": 100, "errors": 4,
             "p50_ns": 50_000_000, "p95_ns": 95_000_000, "max_ns": 100_000_000},
        ])
    );
    let late = server.get("acme", LOW, "/api/v1/topology?since=2026-01-01T00:01:31Z").await.json();
    assert_eq!(late["edges"][1]["calls"], 10);
    assert_eq!(
        (&late["since"], &late["truncated"]),
        (&json!("2026-01-01T00:01:31Z"), &json!(false))
    );
    server.stop().await;
}

/// The services of the nodes, and those of the edges' ends.
fn services(topology: &Value) -> (Vec<&str>, Vec<(&str, &str)>) {
    let nodes = topology["nodes"].as_array().unwrap().iter();
    let edges = topology["edges"].as_array().unwrap().iter();
    (
        nodes.map(|node| node["service"].as_str().unwrap()).collect(),
        edges.map(|e| (e["from"].as_str().unwrap(), e["to"].as_str().unwrap())).collect(),
    )
}

#[tokio::test]
async fn an_edge_leads_from_a_node_to_a_node() {
    let server = Running::start().await;
    // Long ago by the server's clock, so that a low plan no longer shows it.
    server.export_ok("acme", &export("web", vec![span(1, 0, "GET /", 0)])).await;
    server.advance(8);
    server.export_ok("acme", &export("orders", vec![span(2, 1, "POST /orders", 60_000)])).await;
    server.export_ok("acme", &export("stock", vec![span(3, 2, "reserve", 61_000)])).await;
    let low = server.get("acme", LOW, "/api/v1/topology").await.json();
    assert_eq!(services(&low), (vec!["orders", "stock"], vec![("orders", "stock")]));
    let full = server.get("acme", FULL, "/api/v1/topology").await.json();
    let edges = vec![("orders", "stock"), ("web", "orders")];
    assert_eq!(services(&full), (vec!["orders", "stock", "web"], edges));
    // `web` began before, and nothing of it is among the nodes.
    let path = "/api/v1/topology?since=2026-01-01T00:00:30Z";
    let late = server.get("acme", FULL, path).await.json();
    assert_eq!(services(&late), (vec!["orders", "stock"], vec![("orders", "stock")]));
    server.stop().await;
}

#[tokio::test]
async fn a_correlation_joins_the_exchanges_of_a_trace() {
    let server = shop().await;
    let trace = "64".repeat(16);
    let path = format!("/api/v1/correlations/{trace}");
    let joined = server.get("acme", FULL, &path).await.json();
    assert_eq!(joined["services"], json!(["orders", "stock", "web"]));
    assert_eq!((&joined["spans"], &joined["errors"]), (&json!(4), &json!(1)));
    let of = |service: &str| {
        let all = joined["exchanges"].as_array().unwrap();
        all.iter().find(|one| one["service"] == service).unwrap()["id"].clone()
    };
    let links = joined["links"].as_array().unwrap();
    assert_eq!(links.len(), 2);
    assert_eq!((&links[0]["from"], &links[0]["to"]), (&of("web"), &of("orders")));
    assert_eq!(links[0]["status"], "error");
    assert_eq!((&links[1]["from"], &links[1]["to"]), (&of("orders"), &of("stock")));
    assert_eq!(joined["missing_parents"], json!([]));
    assert_eq!(joined["truncated"], false);

    // Upper case is the same trace; a span whose parent never came is said so.
    server.export_ok("acme", &export("mail", vec![span(9, 77, "send", 0)])).await;
    let path = format!("/api/v1/correlations/{}", "5B".repeat(16));
    let lonely = server.get("acme", FULL, &path).await.json();
    assert_eq!(lonely["missing_parents"], json!(["000000000000004d"]));
    server.stop().await;
}

async fn with_payload() -> (Running, String) {
    let server = Running::start().await;
    let spans = vec![
        with(
            span(1, 0, "POST /orders", 0),
            &[
                ("http.request.method", "POST"),
                ("url.scheme", "https"),
                ("server.address", "shop.example.com"),
                ("url.path", "/orders"),
                ("url.query", "dry=1"),
                ("http.request.header.content-type", "application/json"),
                ("http.request.header.authorization", "Bearer secret"),
                ("http.request.body", "{\"sku\":1}"),
            ],
        ),
        with(span(2, 1, "parse", 1), &[("payload.body", "sku 1"), ("step", "one")]),
        with(span(3, 1, "enrich", 2), &[("payload.body", "sku 1, blue")]),
        with(span(4, 1, "store", 3), &[("payload.body", "sku 1, blue")]),
    ];
    server.export_ok("acme", &export("orders", spans)).await;
    let id = server.only_exchange("acme").await;
    (server, id)
}

#[tokio::test]
async fn full_lineage_shows_values_and_what_changed() {
    let (server, id) = with_payload().await;
    let lineage = server.get("acme", FULL, &format!("/api/v1/exchanges/{id}/lineage")).await.json();
    assert_eq!((&lineage["level"], &lineage["recorded"]), (&json!("full"), &json!(true)));
    let steps = lineage["steps"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["POST /orders", "parse", "enrich", "store"]);
    assert_eq!(
        steps[2]["payload"],
        json!([{"key": "payload.body", "source": "span", "size": 11, "value": "sku 1, blue",
            "change": "changed", "previous": "sku 1", "last_seen_in": "0000000000000002"}])
    );
    let changes: Vec<&Value> = steps.iter().map(|step| &step["payload"][0]["change"]).collect();
    assert_eq!(changes, ["new", "new", "changed", "same"]);
    server.stop().await;
}

#[tokio::test]
async fn limited_lineage_shows_names_and_sizes_and_no_value_anywhere() {
    let (server, id) = with_payload().await;
    let limited = FULL.replace("\"full\"", "\"limited\"");
    let lineage =
        server.get("acme", &limited, &format!("/api/v1/exchanges/{id}/lineage")).await.json();
    assert_eq!(lineage["level"], "limited");
    assert_eq!(
        lineage["steps"][2]["payload"],
        json!([{"key": "payload.body", "source": "span", "size": 11}])
    );
    // The values must not be had by another door either.
    for (method, path) in [
        ("GET", format!("/api/v1/exchanges/{id}/lineage")),
        ("GET", format!("/api/v1/exchanges/{id}")),
        ("POST", format!("/api/v1/exchanges/{id}/replay")),
        ("GET", format!("/api/v1/correlations/{}", &id[..32])),
        ("GET", "/api/v1/exchanges".into()),
    ] {
        let request = crate::support::request(method, &path, "acme", &limited);
        let text = server.send(request).await.json().to_string();
        assert!(!text.contains("sku"), "{path}: {text}");
    }
    let detail = server.get("acme", &limited, &format!("/api/v1/exchanges/{id}")).await.json();
    let parse = &detail["spans"][0]["children"][0]["attributes"];
    assert_eq!(*parse, json!({"payload.body": {"withheld": true, "size": 5}, "step": "one"}));
    server.stop().await;
}

#[tokio::test]
async fn a_replay_answers_with_the_request_and_what_is_missing() {
    let (server, id) = with_payload().await;
    let path = format!("/api/v1/exchanges/{id}/replay");
    let replay = server.post("acme", FULL, &path).await.json();
    assert_eq!(replay["sent"], false);
    assert_eq!(
        replay["request"],
        json!({"kind": "http", "method": "POST", "url": "https://shop.example.com/orders?dry=1",
            "headers": {"content-type": "application/json"}, "body": "{\"sku\":1}"})
    );
    // A recorded credential is named as missing, never shown.
    assert_eq!(replay["missing"][0]["part"], "header authorization");
    assert_eq!(replay["complete"], false);
    assert!(!replay.to_string().contains("secret"));

    server.export_ok("bare", &export("orders", vec![span(1, 0, "POST /orders", 0)])).await;
    let bare = server.only_exchange("bare").await;
    let replay =
        server.post("bare", FULL, &format!("/api/v1/exchanges/{bare}/replay")).await.json();
    let missing = replay["missing"].as_array().unwrap().iter();
    let missing: Vec<_> = missing.map(|part| part["part"].as_str().unwrap()).collect();
    assert_eq!(missing, ["method", "url", "headers", "body"]);
    assert_eq!(server.get("acme", FULL, &path).await.reason().0, 405);
    server.stop().await;
}

#[tokio::test]
async fn a_message_is_replayed_to_its_destination() {
    let server = Running::start().await;
    let mut consumer = with(
        span(1, 9, "orders process", 0),
        &[
            ("messaging.system", "kafka"),
            ("messaging.destination.name", "orders"),
            ("messaging.message.body", "hello"),
        ],
    );
    consumer.kind = 5;
    server.export_ok("acme", &export("billing", vec![consumer])).await;
    let id = server.only_exchange("acme").await;
    let replay = server.post("acme", FULL, &format!("/api/v1/exchanges/{id}/replay")).await.json();
    assert_eq!(
        replay["request"],
        json!({"kind": "message", "system": "kafka", "destination": "orders", "body": "hello"})
    );
    assert_eq!(replay["complete"], true);
    server.stop().await;
}
