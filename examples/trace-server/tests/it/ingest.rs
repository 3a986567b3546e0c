//! Taking spans: protobuf, JSON, gzip, partial success, retries.

use std::time::Duration;

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::{FULL, Running, TRACE, export, json_export, request, span, with};

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

/// The request of the OTLP examples, with what their readers must put up with.
fn json_body() -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "orders"}},
            {"key": "service.namespace", "value": {"stringValue": "shop"}},
            {"key": "service.instance.id", "value": {"stringValue": "orders-1"}},
            {"key": "telemetry.sdk.name", "value": {"stringValue": "opentelemetry"}},
            {"key": "telemetry.sdk.language", "value": {"stringValue": "nodejs"}},
            {"key": "telemetry.sdk.version", "value": {"stringValue": "2.2.0"}},
        ]},
        "futureField": {"x": 1},
        "scopeSpans": [{
            "scope": {"name": "my.library", "version": "1.0.0"},
            "spans": [{
                "traceId": "5B8EFFF798038103D269B633813FC60C",
                "spanId": "eee19b7ec3c1b174",
                "parentSpanId": "",
                "name": "I'm a server span",
                "startTimeUnixNano": "1767225600000000001",
                "endTimeUnixNano": 1_767_225_601_000_000_000_u64,
                "kind": 2,
                "flags": 257,
                "attributes": [
                    {"key": "count", "value": {"intValue": "9007199254740993"}},
                    {"key": "small", "value": {"intValue": 7}},
                    {"key": "ratio", "value": {"doubleValue": 0.5}},
                    {"key": "nan", "value": {"doubleValue": "NaN"}},
                    {"key": "flag", "value": {"boolValue": true}},
                    {"key": "raw", "value": {"bytesValue": "AAEC"}},
                    {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}},
                    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
                    {"key": "empty", "value": {}},
                ],
                "events": [{"timeUnixNano": "1767225600500000000", "name": "looked", "attributes": []}],
                "links": [{"traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b175"}],
                "status": {"code": "STATUS_CODE_ERROR", "message": "out of stock"},
                "traceState": "a=b",
            }],
        }],
    }]})
}

#[tokio::test]
async fn json_is_kept_as_it_was_sent() {
    let server = Running::start().await;
    let answer = server.send(json_export("acme", json_body().to_string())).await;
    assert_eq!(answer.json(), json!({}));

    let id = server.only_exchange("acme").await;
    assert!(id.starts_with("5b8efff798038103d269b633813fc60c-"), "{id}");
    let detail = server.get("acme", FULL, &format!("/api/v1/exchanges/{id}")).await.json();
    let exchange = &detail["exchange"];
    assert_eq!(exchange["service"], "shop/orders");
    assert_eq!(exchange["entry"], "I'm a server span");
    assert_eq!(exchange["started_at"], "2026-01-01T00:00:00.000000001Z");
    assert_eq!(exchange["duration_ns"], 999_999_999);
    assert_eq!((&exchange["errors"], &exchange["status"]), (&json!(1), &json!("error")));
    let span = &detail["spans"][0];
    assert_eq!(
        span["attributes"],
        json!({"count": 9_007_199_254_740_993_u64, "small": 7, "ratio": 0.5, "nan": "NaN", "flag": true,
            "raw": "AAEC", "list": ["a", 1], "map": {"k": "v"}, "empty": null})
    );
    assert_eq!(span["kind"], "server");
    assert_eq!(span["status"], "error");
    assert_eq!(span["status_message"], "out of stock");
    assert_eq!(span["trace_state"], "a=b");
    assert_eq!(span["scope"], json!({"name": "my.library", "version": "1.0.0"}));
    assert_eq!(span["events"][0]["at"], "2026-01-01T00:00:00.5Z");
    assert_eq!(span["links"][0]["span_id"], "eee19b7ec3c1b175");
    assert_eq!(detail["resources"][0]["service.instance.id"], "orders-1");

    let agents = server.get("acme", FULL, "/api/v1/agents").await.json();
    assert_eq!(
        agents["agents"][0],
        json!({"service": "shop/orders", "instance": "orders-1", "version": null, "host": null,
            "sdk": {"name": "opentelemetry", "language": "nodejs", "version": "2.2.0"},
            "first_seen_at": "2026-01-01T00:00:00Z", "last_seen_at": "2026-01-01T00:00:00Z",
            "spans": 1})
    );
    server.stop().await;
}

#[tokio::test]
async fn all_ways_of_packing_say_the_same() {
    let spans = vec![with(span(1, 0, "GET /", 0), &[("a", "b")]), span(2, 1, "query", 1)];
    let protobuf = export("shop", spans).encode_to_vec();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat();
    let nanos = |ms: u64| (1_767_225_600_000_000_000 + ms * 1_000_000).to_string();
    let json = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": [
            {"traceId": hex(&TRACE), "spanId": hex(&1_u64.to_be_bytes()), "name": "GET /", "kind": 2,
             "startTimeUnixNano": nanos(0), "endTimeUnixNano": nanos(10),
             "attributes": [{"key": "a", "value": {"stringValue": "b"}}]},
            {"traceId": hex(&TRACE), "spanId": hex(&2_u64.to_be_bytes()), "name": "query", "kind": 1,
             "parentSpanId": hex(&1_u64.to_be_bytes()),
             "startTimeUnixNano": nanos(1), "endTimeUnixNano": nanos(11)},
        ]}],
    }]})
    .to_string();

    let server = Running::start().await;
    let mut seen = Vec::new();
    for (tenant, content_type, encoding, body) in [
        ("a", "application/x-protobuf", None, Bytes::from(protobuf.clone())),
        ("b", "application/x-protobuf", Some("gzip"), gzip(&protobuf)),
        ("c", "application/json", None, Bytes::from(json.clone())),
        ("d", "Application/JSON; charset=utf-8", Some("GZIP"), gzip(json.as_bytes())),
        ("e", "application/x-protobuf", Some("identity"), Bytes::from(protobuf.clone())),
    ] {
        let mut request = request("POST", "/v1/traces", tenant, FULL);
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        if let Some(encoding) = encoding {
            request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        }
        *request.body_mut() = Full::new(body);
        let answer = server.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{tenant}");
        if content_type.ends_with("protobuf") {
            assert_eq!(answer.headers["content-type"], "application/x-protobuf");
            let response = ExportTraceServiceResponse::decode(answer.body).unwrap();
            assert_eq!(response, ExportTraceServiceResponse::default());
        } else {
            assert_eq!(answer.json(), json!({}));
        }
        let id = server.only_exchange(tenant).await;
        seen.push(server.get(tenant, FULL, &format!("/api/v1/exchanges/{id}")).await.json());
    }
    assert_eq!(seen[0]["exchange"]["spans"], 2);
    assert_eq!(seen[0]["spans"][0]["children"][0]["name"], "query");
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    server.stop().await;
}

#[tokio::test]
async fn single_bad_spans_are_counted_and_the_rest_is_kept() {
    let mut no_trace = span(2, 0, "no trace id", 0);
    no_trace.trace_id = vec![0; 16];
    let mut short = span(3, 0, "short span id", 0);
    short.span_id = vec![1; 7];
    let mut parent = span(4, 0, "odd parent", 0);
    parent.parent_span_id = vec![1; 3];
    let mut late = span(5, 0, "year 2500", 0);
    late.end_time_unix_nano = u64::MAX;
    let big = with(span(6, 0, "big", 0), &[("a", &"x".repeat(1024 * 1024))]);
    let spans = vec![span(1, 0, "good", 0), no_trace, short, parent, late, big];
    let export = export("shop", spans);

    let server = Running::start_with(|options| options.max_body_bytes *= 2).await;
    let answer = server.export("acme", &export).await;
    assert_eq!(answer.status, StatusCode::OK);
    let partial = ExportTraceServiceResponse::decode(answer.body).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 5);
    for reason in ["`trace_id`", "`span_id`", "`parent_span_id`", "2262", "1 MiB"] {
        assert!(partial.error_message.contains(reason), "{}", partial.error_message);
    }
    let status = server.get("acme", FULL, "/api/v1/status").await.json();
    assert_eq!(status["spans"], 1);

    let body = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}"#;
    let answer = server.send(json_export("acme", body)).await.json();
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1");
    server.stop().await;
}

#[tokio::test]
async fn a_retry_changes_nothing() {
    let server = Running::start().await;
    let sent = export("shop", vec![span(1, 0, "GET /", 0), span(2, 1, "query", 1)]);
    server.export_ok("acme", &sent).await;
    let before = server.get("acme", FULL, "/api/v1/status").await.json();
    server.export_ok("acme", &sent).await;
    assert_eq!(server.get("acme", FULL, "/api/v1/status").await.json(), before);
    assert_eq!(before["spans"], 2);
    server.stop().await;
}

#[tokio::test]
async fn the_entry_is_found_whatever_comes_first() {
    let server = Running::start().await;
    server.export_ok("acme", &export("shop", vec![span(3, 2, "late leaf", 9)])).await;
    server.export_ok("acme", &export("shop", vec![span(2, 1, "query", 0)])).await;
    server.export_ok("acme", &export("shop", vec![span(1, 0, "GET /cart", 0)])).await;
    let list = server.get("acme", FULL, "/api/v1/exchanges").await.json();
    assert_eq!(list["exchanges"][0]["entry"], "GET /cart");
    assert_eq!(list["exchanges"][0]["spans"], 3);
    assert_eq!(list["exchanges"][0]["duration_ns"], 19_000_000);
    server.stop().await;
}

#[tokio::test]
async fn what_arrived_outside_the_retention_is_not_shown() {
    let server = Running::start().await;
    server.export_ok("acme", &export("shop", vec![span(1, 0, "old", 0)])).await;
    let id = server.only_exchange("acme").await;
    let trace = &id[..32];
    server.advance(8);
    let week = FULL.replace("retention_days=365", "retention_days=7");
    let none = FULL.replace(", retention_days=365", "");
    for features in [&week, &none] {
        let get = |path: String| server.get("acme", features, path.leak());
        assert_eq!(get("/api/v1/exchanges".into()).await.json()["exchanges"], json!([]));
        assert_eq!(get("/api/v1/agents".into()).await.json()["agents"], json!([]));
        assert_eq!(get("/api/v1/topology".into()).await.json()["nodes"], json!([]));
        assert_eq!(get("/api/v1/status".into()).await.json()["spans"], 0);
        assert_eq!(get(format!("/api/v1/exchanges/{id}")).await.reason().1, "unknown_exchange");
        assert_eq!(get(format!("/api/v1/correlations/{trace}")).await.reason().1, "unknown_trace");
    }
    // A better plan shows it again: nothing was deleted.
    assert_eq!(server.only_exchange("acme").await, id);
    server.stop().await;
}

#[tokio::test]
async fn traces_outlive_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("traces.db").display());
    let server = Running::start_with(|options| options.store.clone_from(&store)).await;
    server.export_ok("acme", &export("shop", vec![span(1, 0, "GET /", 0)])).await;
    let id = server.only_exchange("acme").await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = file.unwrap();
        // Payloads of every tenant stand in it and in the files beside it.
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    server.stop().await;
    let server = Running::start_with(|options| options.store = store).await;
    assert_eq!(server.only_exchange("acme").await, id);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_holds_a_bounded_part_of_a_large_exchange() {
    let server = Running::start().await;
    let value = "x".repeat(900 * 1024);
    for id in 1..=40 {
        let large = with(span(id, 0, "large", id), &[("a", &value)]);
        server.export_ok("acme", &export("shop", vec![large])).await;
    }
    let id = server.only_exchange("acme").await;
    let detail = server.get("acme", FULL, &format!("/api/v1/exchanges/{id}")).await;
    assert!(detail.body.len() < 34 * 1024 * 1024, "{}", detail.body.len());
    let detail = detail.json();
    assert_eq!(detail["truncated"], true);
    assert_eq!(detail["exchange"]["spans"], 40);
    assert!(detail["spans"].as_array().unwrap().len() >= 36);
    server.stop().await;
}

#[tokio::test]
async fn a_tenant_that_sends_slowly_takes_nothing_from_others() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let server = Running::start().await;
    let begin = async |tenant: &str| {
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: a\r\nx-tenant-id: {tenant}\r\n\
             content-type: application/json\r\ncontent-length: 2\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let mut slow = Vec::new();
    for _ in 0..32 {
        slow.push(begin("acme").await);
    }
    let status = async |mut stream: tokio::net::TcpStream, rest: &[u8]| {
        // A refused body need not be taken.
        let _ = stream.write_all(rest).await;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    // Each of them has to be seen before the next one is one too many.
    let mut refused = false;
    for _ in 0..100 {
        refused = status(begin("acme").await, b"}").await == "HTTP/1.1 503";
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused);
    assert_eq!(status(begin("other").await, b"}").await, "HTTP/1.1 200");
    for stream in slow {
        assert_eq!(status(stream, b"}").await, "HTTP/1.1 200");
    }
    assert_eq!(status(begin("acme").await, b"}").await, "HTTP/1.1 200");
    server.stop().await;
}
