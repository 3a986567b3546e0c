//! Bodies that are not what they say: refused with an OTLP status, and never more than that.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use prost::Message as _;
use serde_json::Value;

use crate::support::{Answer, FULL, Running, export, json_export, request, span};

#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

async fn send(
    server: &Running,
    content_type: Option<&str>,
    encoding: Option<&str>,
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = request("POST", "/v1/traces", "acme", FULL);
    if let Some(content_type) = content_type {
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
    }
    if let Some(encoding) = encoding {
        request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
    }
    *request.body_mut() = Full::new(body.into());
    server.send(request).await
}

#[track_caller]
fn status(answer: &Answer) -> (u16, i32, String) {
    let status = if answer.headers["content-type"] == "application/json" {
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let code = i32::try_from(body["code"].as_i64().unwrap()).unwrap();
        RpcStatus { code, message: body["message"].as_str().unwrap().into() }
    } else {
        assert_eq!(answer.headers["content-type"], "application/x-protobuf");
        RpcStatus::decode(answer.body.clone()).unwrap()
    };
    (answer.status.as_u16(), status.code, status.message)
}

#[tokio::test]
async fn json_that_is_not_a_request_is_400_and_says_where() {
    let server = Running::start().await;
    for (body, place) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("null", "request: not an object"),
        ("[]", "request: not an object"),
        (r#"{"resourceSpans":1}"#, "resourceSpans: not an array"),
        (r#"{"resourceSpans":[1]}"#, "resourceSpans[0]: not an object"),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":7}]}]}]}"#,
            "resourceSpans[0].scopeSpans[0].spans[0].traceId: not text",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"abc"}]}]}]}"#,
            "spans[0].spanId: not hex",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"-1"}]}]}]}"#,
            "startTimeUnixNano: not an unsigned",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SERVER"}]}]}]}"#,
            "kind: not a known name",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a","value":{"bytesValue":"!"}}]}]}]}]}"#,
            "not base64",
        ),
    ] {
        let (http, code, message) =
            status(&send(&server, Some("application/json"), None, body).await);
        assert_eq!((http, code), (400, 3), "{body}");
        assert!(message.contains(place), "{body}: {message}");
    }
    // Deeper than any reader follows: refused, not overflowed.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(status(&send(&server, Some("application/json"), None, deep).await).0, 400);
    let latin = &b"{\"resourceSpans\":\"\xe9\"}"[..];
    assert_eq!(status(&send(&server, Some("application/json"), None, latin).await).0, 400);
    server.stop().await;
}

#[tokio::test]
async fn protobuf_that_is_not_a_request_is_400() {
    let server = Running::start().await;
    let good = export("shop", vec![span(1, 0, "GET /", 0)]).encode_to_vec();
    let corpus: [&[u8]; 6] = [
        b"\x0a",
        b"\x0a\x05abc",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"hello",
        &good[..good.len() - 1],
        b"{\"resourceSpans\":[]}",
    ];
    for body in corpus {
        let answer = send(&server, Some("application/x-protobuf"), None, body.to_vec()).await;
        let (http, code, message) = status(&answer);
        assert_eq!((http, code), (400, 3), "{body:?}");
        assert!(message.starts_with("malformed_body: "), "{message}");
    }
    // Attribute values nested in themselves.
    let mut value = AnyValue { value: Some(Any::BoolValue(true)) };
    for _ in 0..2_000 {
        value = AnyValue { value: Some(Any::ArrayValue(ArrayValue { values: vec![value] })) };
    }
    let mut nested = span(1, 0, "deep", 0);
    nested.attributes.push(KeyValue { key: "a".into(), value: Some(value), ..KeyValue::default() });
    let body = export("shop", vec![nested]).encode_to_vec();
    assert_eq!(status(&send(&server, Some("application/x-protobuf"), None, body).await).0, 400);
    let empty = send(&server, Some("application/x-protobuf"), None, Bytes::new()).await;
    assert_eq!(empty.status, 200, "an empty message is a request without spans");
    server.stop().await;
}

#[tokio::test]
async fn other_media_types_and_encodings_are_415() {
    let server = Running::start().await;
    for (content_type, encoding) in [
        (None, None),
        (Some("text/plain"), None),
        (Some("application/grpc"), None),
        (Some("application/x-protobuf, application/json"), None),
        (Some("application/json"), Some("br")),
        (Some("application/json"), Some("deflate")),
        (Some("application/json"), Some("gzip, gzip")),
    ] {
        let answer = send(&server, content_type, encoding, "{}").await;
        let (http, code, message) = status(&answer);
        assert_eq!((http, code), (415, 3), "{content_type:?} {encoding:?}");
        assert!(message.starts_with("unsupported_media_type: "), "{message}");
    }
    server.stop().await;
}

#[tokio::test]
async fn too_much_is_413_however_it_is_packed() {
    let server = Running::start().await;
    let limit = 1024 * 1024;
    let plain = send(&server, Some("application/json"), None, vec![b' '; limit + 1]).await;
    assert_eq!(status(&plain).0, 413);

    // A thousandth on the wire.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![0; 64 * limit]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < limit / 10);
    let answer = send(&server, Some("application/x-protobuf"), Some("gzip"), bomb).await;
    assert_eq!(status(&answer).0, 413);

    // Half a million spans of two bytes each.
    let spans = [0x12, 0x00].repeat(500_000);
    let wrap = |tag: u8, body: &[u8]| {
        let mut message = vec![tag];
        prost::encoding::encode_varint(body.len() as u64, &mut message);
        message.extend_from_slice(body);
        message
    };
    let flood = wrap(0x0a, &wrap(0x12, &spans));
    assert!(flood.len() < limit);
    let answer = send(&server, Some("application/x-protobuf"), None, flood).await;
    assert_eq!(status(&answer).0, 413);

    let flood = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#,
        "{},".repeat(300_000)
    );
    assert!(flood.len() < limit);
    let answer = send(&server, Some("application/json"), None, flood).await;
    assert_eq!(status(&answer).0, 413);

    let broken = send(&server, Some("application/json"), Some("gzip"), "not gzip").await;
    assert_eq!(status(&broken).0, 400);
    let answer = server.get("acme", FULL, "/api/v1/status").await;
    assert_eq!(answer.json()["spans"], 0, "the server is well, and nothing was stored");
    server.stop().await;
}

#[tokio::test]
async fn a_refused_request_stores_nothing_of_itself() {
    let server = Running::start().await;
    let body = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"good"},
        {"traceId":"zz"}]}]}]}"#;
    assert_eq!(status(&server.send(json_export("acme", body)).await).0, 400);
    assert_eq!(server.get("acme", FULL, "/api/v1/status").await.json()["spans"], 0);
    server.stop().await;
}

/// Whatever bytes come, the answer is 200, 400 or 413, and the server goes on.
#[test]
fn no_bytes_hurt() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Running::start());
    let good = export("shop", vec![span(1, 0, "GET /", 0), span(2, 1, "query", 1)]).encode_to_vec();
    let mutated =
        (0..good.len(), any::<u8>(), 0..good.len()).prop_map(move |(place, byte, cut)| {
            let mut bytes = good.clone();
            bytes[place] = byte;
            bytes.truncate(bytes.len() - cut / 4);
            bytes
        });
    let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 0..200), mutated];
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    runner
        .run(&(bytes, any::<bool>()), |(bytes, json)| {
            let content_type = if json { "application/json" } else { "application/x-protobuf" };
            let answer = runtime.block_on(send(&server, Some(content_type), None, bytes));
            prop_assert!([200, 400, 413].contains(&answer.status.as_u16()), "{}", answer.status);
            Ok(())
        })
        .unwrap();
    runtime.block_on(server.stop());
}
