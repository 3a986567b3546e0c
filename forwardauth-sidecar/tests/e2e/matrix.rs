//! Through Traefik to the real trace server: the tier matrix, the isolation between tenants, and the
//! command line giving the same answer.

use serde_json::{Value, json};

use crate::harness::{Answer, Stack, Upstream, client, exchange, get};

/// The matrix as it is sold, tenant by tenant.
const TIERS: [&str; 4] = ["low-co", "mid-co", "high-co", "business-co"];
const MATRIX: [(&str, [&str; 4]); 5] = [
    ("topology_graph", ["yes", "yes", "yes", "yes"]),
    ("payload_lineage", ["limited", "full", "full", "full"]),
    ("cross_service_correlation", ["no", "yes", "yes", "yes"]),
    ("live_route_debugger", ["no", "no", "yes", "yes"]),
    ("exchange_replay", ["no", "no", "yes", "yes"]),
];

/// Every tenant uses the same trace id: isolation must not rest on ids being different.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// One trace over two services, as an OTLP exporter sends it in JSON; `mark` is in all of its text.
fn trace(mark: &str) -> String {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let now = auth_core::Clock::now(&auth_core::SystemClock);
    let now = now.duration_since(std::time::UNIX_EPOCH).expect("it is later").as_nanos();
    let span = |id: &str, parent: &str, name: &str, kind: u8, attributes: Value| {
        json!({
            "traceId": TRACE, "spanId": id, "parentSpanId": parent, "name": name, "kind": kind,
            "startTimeUnixNano": (now - 20_000_000).to_string(),
            "endTimeUnixNano": now.to_string(),
            "attributes": attributes,
        })
    };
    let resource = |service: &str, spans: Value| {
        json!({
            "resource": { "attributes": [text("service.name", service)] },
            "scopeSpans": [{ "spans": spans }],
        })
    };
    let body = text("http.request.body", &format!("an order of {mark}"));
    let method = text("http.request.method", "POST");
    let url = text("url.full", "https://shop.test/orders");
    json!({
        "resourceSpans": [
            resource(&format!("orders.{mark}"), json!([
                span("00f067aa0ba902b7", "", "POST /orders", 2, json!([method, url, body])),
                span("00f067aa0ba902b8", "00f067aa0ba902b7", "POST /payments", 3, json!([])),
            ])),
            resource(&format!("payments.{mark}"), json!([
                span("00f067aa0ba902b9", "00f067aa0ba902b8", "charge", 2, json!([])),
            ])),
        ],
    })
    .to_string()
}

async fn post(stack: &Stack, token: &str, target: &str, body: &str) -> Answer {
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    exchange(stack.traefik.port(), request.as_bytes()).await
}

/// The ids of the tenant's exchanges, that of the service `orders.*` first.
async fn exchanges(stack: &Stack, token: &str) -> Vec<String> {
    let list = stack.get(token, "/api/v1/exchanges").await;
    assert_eq!(list.status, 200, "{list:?}");
    let list = list.json();
    let mut found: Vec<(bool, String)> = list["exchanges"]
        .as_array()
        .expect("the list has exchanges")
        .iter()
        .map(|exchange| {
            let service = exchange["service"].as_str().expect("an exchange names its service");
            let id = exchange["id"].as_str().expect("an exchange has an id");
            (!service.starts_with("orders."), id.to_owned())
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, id)| id).collect()
}

/// What the tenant gets when it asks for a feature.
async fn cell(stack: &Stack, token: &str, feature: &str, exchange: &str, mark: &str) -> String {
    let (answer, holds) = match feature {
        "topology_graph" => {
            let answer = stack.get(token, "/api/v1/topology").await;
            let nodes = serde_json::from_str::<Value>(&answer.body).unwrap_or_default();
            (answer, nodes["nodes"].as_array().is_some_and(|nodes| nodes.len() == 2))
        }
        "payload_lineage" => {
            let answer = stack.get(token, &format!("/api/v1/exchanges/{exchange}/lineage")).await;
            if answer.status == 200 {
                assert!(answer.body.contains("http.request.body"), "{answer:?}");
                let shown = answer.body.contains(&format!("an order of {mark}"));
                return if shown { "full" } else { "limited" }.to_owned();
            }
            (answer, false)
        }
        "cross_service_correlation" => {
            let answer = stack.get(token, &format!("/api/v1/correlations/{TRACE}")).await;
            let holds = answer.body.contains("payments.");
            (answer, holds)
        }
        "live_route_debugger" => return stream(stack, token).await,
        "exchange_replay" => {
            let target = format!("/api/v1/exchanges/{exchange}/replay");
            let answer = post(stack, token, &target, "").await;
            let holds = answer.body.contains("https://shop.test/orders");
            (answer, holds)
        }
        other => panic!("no way to ask for `{other}`"),
    };
    word(&answer, holds)
}

fn word(answer: &Answer, holds: bool) -> String {
    match answer.status {
        200 if holds => "yes".to_owned(),
        403 if answer.json()["reason"] == "not_in_plan" => "no".to_owned(),
        _ => format!("{answer:?}"),
    }
}

/// A live stream has no end: its head says whether it is given.
async fn stream(stack: &Stack, token: &str) -> String {
    let answer = client()
        .get(format!("http://127.0.0.1:{}/api/v1/debugger/stream", stack.traefik.port()))
        .bearer_auth(token)
        .send()
        .await
        .expect("the gateway answers");
    let kind =
        answer.headers().get("content-type").and_then(|v| v.to_str().ok()).map(str::to_owned);
    match (answer.status().as_u16(), kind.as_deref()) {
        (200, Some(kind)) if kind.starts_with("text/event-stream") => "yes".to_owned(),
        (403, _) => {
            let body: Value = answer.json().await.expect("a refusal is a JSON document");
            if body["reason"] == "not_in_plan" { "no".to_owned() } else { body.to_string() }
        }
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn all_twenty_cells_are_as_sold_and_the_command_line_agrees() {
    let stack = Stack::start(Upstream::TraceServer).await;
    let mut wrong = Vec::new();
    for (column, tenant) in TIERS.into_iter().enumerate() {
        let token = stack.token(tenant).await;
        let sent = post(&stack, &token, "/v1/traces", &trace(tenant)).await;
        assert_eq!(sent.status, 200, "{sent:?}");
        let exchange = exchanges(&stack, &token).await.remove(0);
        for (feature, cells) in MATRIX {
            let expected = cells[column];
            let got = cell(&stack, &token, feature, &exchange, tenant).await;
            if got != expected {
                wrong.push(format!("{feature} for {tenant}: {got}, not {expected}"));
            }
            let said = stack.check(&token, &["--feature", feature]);
            let allowed = if expected == "no" { ("deny", 1) } else { ("allow", 0) };
            if (said.0["decision"].as_str(), said.1) != (Some(allowed.0), allowed.1) {
                wrong.push(format!("the command line on {feature} for {tenant}: {said:?}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn no_tenant_sees_anothers_traces() {
    let stack = Stack::start(Upstream::TraceServer).await;
    let mut tokens = Vec::new();
    let mut ids = Vec::new();
    for tenant in TIERS {
        let token = stack.token(tenant).await;
        let sent = post(&stack, &token, "/v1/traces", &trace(tenant)).await;
        assert_eq!(sent.status, 200, "{sent:?}");
        tokens.push(token);
    }
    for token in &tokens {
        ids.push(exchanges(&stack, token).await);
    }
    let pairs = (0..TIERS.len()).flat_map(|a| (0..TIERS.len()).map(move |b| (a, b)));
    for (reader, other) in pairs.filter(|(reader, other)| reader != other) {
        let holds =
            |feature: &str| MATRIX.iter().any(|(f, cells)| *f == feature && cells[reader] != "no");
        let own = format!("orders.{}", TIERS[reader]);
        let correlation = format!("/api/v1/correlations/{TRACE}");
        let mut targets = vec!["/api/v1/exchanges", "/api/v1/topology", "/api/v1/agents"];
        targets.extend(holds("cross_service_correlation").then_some(correlation.as_str()));
        for target in targets {
            let answer = stack.get(&tokens[reader], target).await;
            assert!(answer.body.contains(&own), "{target}: {answer:?}");
            assert!(!answer.body.contains(TIERS[other]), "{target}: {answer:?}");
        }
        assert_eq!(ids[other].len(), 2);
        for id in &ids[other] {
            for tail in ["", "/lineage"] {
                let answer =
                    stack.get(&tokens[reader], &format!("/api/v1/exchanges/{id}{tail}")).await;
                assert_eq!(answer.status, 404, "{answer:?}");
            }
            let target = format!("/api/v1/exchanges/{id}/replay");
            let status = if holds("exchange_replay") { 404 } else { 403 };
            assert_eq!(post(&stack, &tokens[reader], &target, "").await.status, status);
        }
        // Naming the other tenant in a header changes nothing.
        let bearer = format!("Bearer {}", tokens[reader]);
        let lie = [("Authorization", bearer.as_str()), ("X-Tenant-Id", TIERS[other])];
        let answer = get(stack.traefik.port(), "/api/v1/exchanges", &lie).await;
        assert!(answer.body.contains(&own) && !answer.body.contains(TIERS[other]), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn a_live_stream_shows_only_the_tenants_own_spans() {
    let stack = Stack::start(Upstream::TraceServer).await;
    let (mine, theirs) = (stack.token("high-co").await, stack.token("business-co").await);
    let mut stream = client()
        .get(format!("http://127.0.0.1:{}/api/v1/debugger/stream", stack.traefik.port()))
        .bearer_auth(&mine)
        .send()
        .await
        .expect("the gateway answers");
    assert_eq!(stream.status(), 200);
    for (token, mark) in [(&theirs, "business-co"), (&mine, "high-co")] {
        let sent = post(&stack, token, "/v1/traces", &trace(mark)).await;
        assert_eq!(sent.status, 200, "{sent:?}");
    }
    let mut seen = String::new();
    while !seen.contains("payments.high-co") {
        let part = stream.chunk().await.expect("the stream goes on").expect("the stream goes on");
        seen.push_str(&String::from_utf8_lossy(&part));
    }
    assert!(!seen.contains("business-co"), "{seen}");
}
