//! OTLP's JSON, which is not quite protobuf's: ids are hex, not base64.
//!
//! Read by hand from a JSON value, because receivers must ignore fields that they do not know,
//! take 64-bit numbers as text or as numbers, and ought to say where a request is wrong:
//! ``resourceSpans[0].scopeSpans[0].spans[3].traceId: not hex``.

use std::cell::Cell;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::problem::{Problem, Reason};

mod at;
mod value;

use at::At;
use value::Value;

/// Reads a request.
pub(super) fn decode(body: &[u8]) -> Result<ExportTraceServiceRequest, Problem> {
    let value: Value<'_> = serde_json::from_slice(body)
        .map_err(|error| Problem::new(Reason::MalformedBody, error.to_string()))?;
    let spans = Cell::new(0);
    let root = At::root(&value, &spans);
    root.object()?;
    Ok(ExportTraceServiceRequest { resource_spans: root.list("resourceSpans", resource_spans)? })
}

fn resource_spans(at: &At<'_>) -> Result<ResourceSpans, Problem> {
    Ok(ResourceSpans {
        resource: at.field("resource", resource)?,
        scope_spans: at.list("scopeSpans", scope_spans)?,
        schema_url: at.text("schemaUrl")?,
    })
}

fn resource(at: &At<'_>) -> Result<Resource, Problem> {
    Ok(Resource { attributes: at.list("attributes", key_value)?, ..Resource::default() })
}

fn scope_spans(at: &At<'_>) -> Result<ScopeSpans, Problem> {
    Ok(ScopeSpans {
        scope: at.field("scope", scope)?,
        spans: at.list("spans", span)?,
        schema_url: at.text("schemaUrl")?,
    })
}

fn scope(at: &At<'_>) -> Result<InstrumentationScope, Problem> {
    Ok(InstrumentationScope {
        name: at.text("name")?,
        version: at.text("version")?,
        ..InstrumentationScope::default()
    })
}

fn span(at: &At<'_>) -> Result<Span, Problem> {
    Ok(Span {
        trace_id: at.hex("traceId")?,
        span_id: at.hex("spanId")?,
        trace_state: at.text("traceState")?,
        parent_span_id: at.hex("parentSpanId")?,
        name: at.text("name")?,
        kind: at.named("kind", |name| SpanKind::from_str_name(name).map(|kind| kind as i32))?,
        start_time_unix_nano: at.unsigned("startTimeUnixNano")?,
        end_time_unix_nano: at.unsigned("endTimeUnixNano")?,
        attributes: at.list("attributes", key_value)?,
        events: at.list("events", event)?,
        links: at.list("links", link)?,
        status: at.field("status", status)?,
        ..Span::default()
    })
}

fn event(at: &At<'_>) -> Result<Event, Problem> {
    Ok(Event {
        time_unix_nano: at.unsigned("timeUnixNano")?,
        name: at.text("name")?,
        attributes: at.list("attributes", key_value)?,
        ..Event::default()
    })
}

fn link(at: &At<'_>) -> Result<Link, Problem> {
    Ok(Link {
        trace_id: at.hex("traceId")?,
        span_id: at.hex("spanId")?,
        attributes: at.list("attributes", key_value)?,
        ..Link::default()
    })
}

fn status(at: &At<'_>) -> Result<Status, Problem> {
    Ok(Status {
        message: at.text("message")?,
        code: at.named("code", |name| StatusCode::from_str_name(name).map(|code| code as i32))?,
    })
}

fn key_value(at: &At<'_>) -> Result<KeyValue, Problem> {
    Ok(KeyValue {
        key: at.text("key")?,
        value: at.field("value", any_value)?,
        ..KeyValue::default()
    })
}

fn any_value(at: &At<'_>) -> Result<AnyValue, Problem> {
    // An object without any of these, or with a kind that is newer than this list, is no value.
    at.object()?;
    for (name, decode) in KINDS {
        if let Some(value) = at.field(name, decode)? {
            return Ok(AnyValue { value: Some(value) });
        }
    }
    Ok(AnyValue::default())
}

fn array(at: &At<'_>) -> Result<Any, Problem> {
    Ok(Any::ArrayValue(ArrayValue { values: at.list("values", any_value)? }))
}

fn key_value_list(at: &At<'_>) -> Result<Any, Problem> {
    Ok(Any::KvlistValue(KeyValueList { values: at.list("values", key_value)? }))
}

/// Reads one kind of value.
type Decode = fn(&At<'_>) -> Result<Any, Problem>;

/// The kinds of value by the names of their fields.
const KINDS: [(&str, Decode); 7] = [
    ("stringValue", |at| at.as_text().map(Any::StringValue)),
    ("boolValue", |at| at.as_bool().map(Any::BoolValue)),
    ("intValue", |at| at.as_signed().map(Any::IntValue)),
    ("doubleValue", |at| at.as_double().map(Any::DoubleValue)),
    ("arrayValue", array),
    ("kvlistValue", key_value_list),
    ("bytesValue", |at| at.as_base64().map(Any::BytesValue)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(body: &str, detail: &str) {
        assert_eq!(decode(body.as_bytes()).unwrap_err().detail(), detail);
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        refused("[]", "request: not an object");
        refused(r#"{"resourceSpans":{}}"#, "resourceSpans: not an array");
        refused(
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{},{"traceId":"xy"}]}]}]}"#,
            "resourceSpans[0].scopeSpans[0].spans[1].traceId: not hex",
        );
        refused(
            r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"intValue":"1.5"}}]}}]}"#,
            "resourceSpans[0].resource.attributes[0].value.intValue: not a 64-bit number",
        );
    }

    #[test]
    fn unknown_fields_and_nulls_are_ignored() {
        let body = r#"{"resourceSpans":[{"resource":null,"new":[1],"scopeSpans":[{"spans":[
            {"name":"a","kind":"SPAN_KIND_SERVER","startTimeUnixNano":5,"endTimeUnixNano":"6",
             "attributes":[{"key":"k","value":{"new":{"a":1},"doubleValue":"NaN"}}]}]}]}]}"#;
        let request = decode(body.as_bytes()).unwrap();
        let span = &request.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((span.kind, span.start_time_unix_nano, span.end_time_unix_nano), (2, 5, 6));
        let value = span.attributes[0].value.as_ref().and_then(|any| any.value.as_ref());
        assert!(matches!(value, Some(Any::DoubleValue(number)) if number.is_nan()));
    }
}
