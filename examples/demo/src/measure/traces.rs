//! A little real trace data: an order that a shop's two services handle, as an OTLP exporter sends it.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::client::{Client, Tenant};

/// The trace id that every tenant uses: isolation must not rest on ids being different.
pub(super) const TRACE_ID: [u8; 16] = *b"one-trace-of-all";

/// That id as the trace server's paths name it.
pub(super) fn trace_id() -> String {
    format!("{:032x}", u128::from_be_bytes(TRACE_ID))
}

/// What only this tenant's data holds; it stands in the services' names and in the payload.
pub(super) fn mark(tenant: &Tenant) -> String {
    format!("shop-of-{}", tenant.name)
}

/// Sends one trace of two services.
pub(super) async fn send(client: &Client, tenant: &Tenant) -> Result<(), String> {
    let body = export(tenant, now()).encode_to_vec();
    let answer = client.upload("/v1/traces", tenant, "application/x-protobuf", body).await?;
    if answer.status == 200 {
        Ok(())
    } else {
        Err(format!("`{}` cannot send traces: {} {}", tenant.name, answer.status, answer.body))
    }
}

fn export(tenant: &Tenant, now: u64) -> ExportTraceServiceRequest {
    let mark = mark(tenant);
    let order = format!("{{\"order\":42,\"shop\":\"{mark}\"}}");
    let front = Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: b"order--1".to_vec(),
        name: "POST /orders".to_owned(),
        kind: 2,
        start_time_unix_nano: now - 40 * MILLISECOND,
        end_time_unix_nano: now,
        attributes: vec![
            text("http.request.method", "POST"),
            text("url.full", "https://shop.test/orders"),
            text("http.request.body", &order),
        ],
        ..Span::default()
    };
    let call = Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: b"call---1".to_vec(),
        parent_span_id: b"order--1".to_vec(),
        name: "POST /payments".to_owned(),
        kind: 3,
        start_time_unix_nano: now - 30 * MILLISECOND,
        end_time_unix_nano: now - 10 * MILLISECOND,
        attributes: vec![text("payload.amount", "42.00 EUR")],
        ..Span::default()
    };
    let back = Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: b"pay----1".to_vec(),
        parent_span_id: b"call---1".to_vec(),
        name: "charge".to_owned(),
        kind: 2,
        start_time_unix_nano: now - 25 * MILLISECOND,
        end_time_unix_nano: now - 12 * MILLISECOND,
        attributes: vec![text("payload.amount", "42.00 EUR"), text("payload.shop", &mark)],
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![
            resource(&format!("orders.{mark}"), vec![front, call]),
            resource(&format!("payments.{mark}"), vec![back]),
        ],
    }
}

fn resource(service: &str, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(Resource {
            attributes: vec![text("service.name", service), text("telemetry.sdk.name", "demo")],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock of this program: spans need a time")]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

const MILLISECOND: u64 = 1_000_000;
