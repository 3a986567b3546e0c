//! OTLP's JSON, which is not quite protobuf's: ids are hex, not base64.
//!
//! Read by hand from a JSON value, because receivers must ignore fields that they do not know,
//! take 64-bit numbers as text or as numbers, and ought to say where a request is wrong:
//! ``resourceSpans[0].scopeSpans[0].spans[3].traceId: not hex``.

use std::cell::Cell;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use serde_json::Value;

use super::budget;
use crate::problem::{Problem, Reason};

/// Reads a request.
pub(super) fn decode(body: &[u8]) -> Result<ExportTraceServiceRequest, Problem> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Problem::new(Reason::MalformedBody, error.to_string()))?;
    let spans = Cell::new(0);
    let root = At { value: &value, path: Path::Root, spans: &spans };
    root.object()?;
    Ok(ExportTraceServiceRequest { resource_spans: root.list("resourceSpans", resource_spans)? })
}

/// A value and where it stands.
struct At<'a> {
    value: &'a Value,
    path: Path<'a>,
    /// How many spans there are in all lists so far.
    spans: &'a Cell<usize>,
}

/// Where a value stands; built while going down, written only when something is wrong.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Self, &'static str),
    Index(&'a Self, &'static str, usize),
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
    let found = at.object()?.iter().find_map(|(key, value)| {
        let decode = match key.as_str() {
            _ if value.is_null() => return None,
            "stringValue" => |at: &At<'_>| at.as_text().map(Any::StringValue),
            "boolValue" => |at: &At<'_>| at.as_bool().map(Any::BoolValue),
            "intValue" => |at: &At<'_>| at.as_signed().map(Any::IntValue),
            "doubleValue" => |at: &At<'_>| at.as_double().map(Any::DoubleValue),
            "bytesValue" => |at: &At<'_>| at.as_base64().map(Any::BytesValue),
            "arrayValue" => |at: &At<'_>| {
                let values = at.list("values", any_value)?;
                Ok(Any::ArrayValue(ArrayValue { values }))
            },
            "kvlistValue" => |at: &At<'_>| {
                let values = at.list("values", key_value)?;
                Ok(Any::KvlistValue(KeyValueList { values }))
            },
            _ => return None,
        };
        Some((value, decode as fn(&At<'_>) -> Result<Any, Problem>))
    });
    let value = match found {
        Some((value, decode)) => {
            Some(decode(&At { value, path: Path::Field(&at.path, "value"), spans: at.spans })?)
        }
        None => None,
    };
    Ok(AnyValue { value })
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of `At` named by its path is not general over the lifetime"
)]
impl At<'_> {
    fn object(&self) -> Result<&serde_json::Map<String, Value>, Problem> {
        self.value.as_object().ok_or_else(|| self.wrong("not an object"))
    }

    /// A field that is there and not null.
    fn member(&self, name: &'static str) -> Result<Option<At<'_>>, Problem> {
        let value = self.object()?.get(name).filter(|value| !value.is_null());
        Ok(value.map(|value| At { value, path: Path::Field(&self.path, name), spans: self.spans }))
    }

    fn field<T>(
        &self,
        name: &'static str,
        decode: impl Fn(&At<'_>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.member(name)?.map(|at| decode(&at)).transpose()
    }

    fn list<T>(
        &self,
        name: &'static str,
        decode: impl Fn(&At<'_>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let Some(at) = self.member(name)? else { return Ok(Vec::new()) };
        let items = at.value.as_array().ok_or_else(|| at.wrong("not an array"))?;
        if name == "spans" {
            self.spans.set(self.spans.get().saturating_add(items.len()));
            budget::check_spans(self.spans.get())?;
        }
        items
            .iter()
            .enumerate()
            .map(|(index, value)| {
                decode(&At { value, path: Path::Index(&self.path, name, index), spans: self.spans })
            })
            .collect()
    }

    fn text(&self, name: &'static str) -> Result<String, Problem> {
        Ok(self.field(name, |at| at.as_text())?.unwrap_or_default())
    }

    fn unsigned(&self, name: &'static str) -> Result<u64, Problem> {
        Ok(self.field(name, |at| at.as_unsigned())?.unwrap_or_default())
    }

    fn hex(&self, name: &'static str) -> Result<Vec<u8>, Problem> {
        Ok(self.field(name, |at| at.as_hex())?.unwrap_or_default())
    }

    /// An enumeration: OTLP wants the number, some senders write the name.
    fn named(
        &self,
        name: &'static str,
        number: impl Fn(&str) -> Option<i32>,
    ) -> Result<i32, Problem> {
        let read = |at: &At<'_>| match at.value {
            Value::String(text) => number(text).ok_or_else(|| at.wrong("not a known name")),
            value => value
                .as_i64()
                .and_then(|number| i32::try_from(number).ok())
                .ok_or_else(|| at.wrong("not a 32-bit number")),
        };
        Ok(self.field(name, read)?.unwrap_or_default())
    }

    fn as_text(&self) -> Result<String, Problem> {
        self.value.as_str().map(Into::into).ok_or_else(|| self.wrong("not text"))
    }

    fn as_bool(&self) -> Result<bool, Problem> {
        self.value.as_bool().ok_or_else(|| self.wrong("neither true nor false"))
    }

    fn as_unsigned(&self) -> Result<u64, Problem> {
        match self.value {
            Value::String(text) => text.parse().ok(),
            value => value.as_u64(),
        }
        .ok_or_else(|| self.wrong("not an unsigned 64-bit number"))
    }

    fn as_signed(&self) -> Result<i64, Problem> {
        match self.value {
            Value::String(text) => text.parse().ok(),
            value => value.as_i64(),
        }
        .ok_or_else(|| self.wrong("not a 64-bit number"))
    }

    fn as_double(&self) -> Result<f64, Problem> {
        match self.value {
            // `NaN`, `Infinity` and `-Infinity` have no other form in JSON.
            Value::String(text) => text.parse().ok(),
            value => value.as_f64(),
        }
        .ok_or_else(|| self.wrong("not a number"))
    }

    fn as_base64(&self) -> Result<Vec<u8>, Problem> {
        let text = self.value.as_str().ok_or_else(|| self.wrong("not text"))?;
        BASE64_STANDARD.decode(text).map_err(|_| self.wrong("not base64"))
    }

    fn as_hex(&self) -> Result<Vec<u8>, Problem> {
        let text = self.value.as_str().ok_or_else(|| self.wrong("not text"))?;
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
        match digits {
            Some(digits) if digits.len() % 2 == 0 => {
                Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
            }
            _ => Err(self.wrong("not hex")),
        }
    }

    fn wrong(&self, what: &str) -> Problem {
        Problem::new(Reason::MalformedBody, format!("{}: {what}", self.path))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = match self {
            Self::Root => return f.write_str("request"),
            Self::Field(parent, _) | Self::Index(parent, ..) => *parent,
        };
        if !matches!(parent, Self::Root) {
            write!(f, "{parent}.")?;
        }
        match self {
            Self::Root => Ok(()),
            Self::Field(_, name) => f.write_str(name),
            Self::Index(_, name, index) => write!(f, "{name}[{index}]"),
        }
    }
}

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
            "resourceSpans[0].resource.attributes[0].value.value: not a 64-bit number",
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
