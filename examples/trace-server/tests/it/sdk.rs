//! The official SDK as a sender: what it exports is what the API shows.

use std::collections::HashMap;

use opentelemetry::trace::{
    Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    Compression, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, SimpleSpanProcessor};
use serde_json::json;

use crate::support::{FULL, Running};

fn provider(server: &Running, compression: Option<Compression>) -> SdkTracerProvider {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{}/v1/traces", server.address))
        // What the gateway says of the tenant whose token the exporter sends.
        .with_headers(HashMap::from([("x-tenant-id".into(), "acme".into())]));
    let exporter = match compression {
        Some(compression) => exporter.with_compression(compression),
        None => exporter,
    };
    let resource = Resource::builder()
        .with_service_name("orders")
        .with_attribute(KeyValue::new("service.instance.id", "orders-1"))
        .build();
    SdkTracerProvider::builder()
        .with_resource(resource)
        // It exports on the thread that ends the span, so that its client finds this test's runtime.
        .with_span_processor(SimpleSpanProcessor::new(exporter.build().unwrap()))
        .build()
}

async fn exported(compression: Option<Compression>) {
    let server = Running::start().await;
    let provider = provider(&server, compression);
    let tracer = provider.tracer("checkout");
    let parent = tracer.span_builder("POST /orders").with_kind(SpanKind::Server).start(&tracer);
    let context = Context::new().with_span(parent);
    let mut child = tracer.start_with_context("reserve", &context);
    child.set_attribute(KeyValue::new("payload.body", "sku 1"));
    child.set_attribute(KeyValue::new("items", 3_i64));
    child.add_event("looked", vec![KeyValue::new("shelf", "a")]);
    child.set_status(Status::error("out of stock"));
    child.end();
    context.span().end();
    provider.force_flush().unwrap();
    provider.shutdown().unwrap();

    let id = server.only_exchange("acme").await;
    let detail = server.get("acme", FULL, &format!("/api/v1/exchanges/{id}")).await.json();
    let exchange = &detail["exchange"];
    assert_eq!(exchange["trace_id"], context.span().span_context().trace_id().to_string());
    assert_eq!((&exchange["service"], &exchange["spans"]), (&json!("orders"), &json!(2)));
    assert_eq!((&exchange["entry"], &exchange["errors"]), (&json!("POST /orders"), &json!(1)));
    let root = &detail["spans"][0];
    assert_eq!((&root["kind"], &root["scope"]["name"]), (&json!("server"), &json!("checkout")));
    let child = &root["children"][0];
    assert_eq!((&child["name"], &child["status"]), (&json!("reserve"), &json!("error")));
    assert_eq!(child["status_message"], "out of stock");
    assert_eq!(child["attributes"], json!({"payload.body": "sku 1", "items": 3}));
    assert_eq!(child["events"][0]["attributes"], json!({"shelf": "a"}));
    let agents = server.get("acme", FULL, "/api/v1/agents").await.json();
    assert_eq!(agents["agents"][0]["sdk"]["language"], "rust");
    assert_eq!(agents["agents"][0]["instance"], "orders-1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_sdk_is_understood() {
    exported(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_sdk_is_understood_when_it_compresses() {
    exported(Some(Compression::Gzip)).await;
}
