//! From what was sent to what is stored: checks each span, and counts those it cannot keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource as SentResource;
use opentelemetry_proto::tonic::trace::v1::Span as SentSpan;
use opentelemetry_proto::tonic::trace::v1::span::{Event as SentEvent, Link as SentLink};
use prost::Message as _;

use super::attributes::attributes;
use crate::model::{Event, Kind, Link, Resource, Span, SpanId, Status, TraceId};

/// The spans of one request.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Those that can be kept.
    pub spans: Vec<Span>,
    /// How many cannot, by reason.
    rejected: BTreeMap<&'static str, u64>,
}

impl Batch {
    /// Sorts a request's spans into those that can be kept and those that cannot.
    pub(super) fn from_request(request: ExportTraceServiceRequest) -> Self {
        let mut batch = Self::default();
        for resource_spans in request.resource_spans {
            let resource = Arc::new(resource(resource_spans.resource.unwrap_or_default()));
            for scope_spans in resource_spans.scope_spans {
                let scope = scope_spans.scope.unwrap_or_default();
                for sent in scope_spans.spans {
                    match span(sent, &scope, &resource) {
                        Ok(span) => batch.spans.push(span),
                        Err(reason) => *batch.rejected.entry(reason).or_default() += 1,
                    }
                }
            }
        }
        batch
    }

    /// How many spans cannot be kept.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Why they cannot, in words; empty when there are none.
    pub(crate) fn message(&self) -> String {
        let parts: Vec<_> =
            self.rejected.iter().map(|(reason, count)| format!("{count} x {reason}")).collect();
        parts.join("; ")
    }
}

fn resource(sent: SentResource) -> Resource {
    let attributes = attributes(sent.attributes);
    let part = |key| attributes.text(key).filter(|text| !text.is_empty());
    let name = part("service.name").unwrap_or("unknown_service");
    let service = match part("service.namespace") {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.into(),
    };
    Resource { service, attributes }
}

fn span(
    sent: SentSpan,
    scope: &InstrumentationScope,
    resource: &Arc<Resource>,
) -> Result<Span, &'static str> {
    if sent.encoded_len() > MAX_SPAN_BYTES {
        return Err("a span is larger than 1 MiB");
    }
    let trace_id = TraceId::from_bytes(&sent.trace_id)
        .ok_or("`trace_id` must be 16 bytes that are not all zero")?;
    let span_id = SpanId::from_bytes(&sent.span_id)
        .ok_or("`span_id` must be 8 bytes that are not all zero")?;
    let parent = if sent.parent_span_id.iter().all(|b| *b == 0) {
        None
    } else {
        let parent = SpanId::from_bytes(&sent.parent_span_id);
        Some(parent.ok_or("`parent_span_id` must be empty or 8 bytes")?)
    };
    let time = |ns| i64::try_from(ns).map_err(|_| "a time lies after the year 2262");
    let status = sent.status.unwrap_or_default();
    Ok(Span {
        trace_id,
        span_id,
        parent,
        resource: Arc::clone(resource),
        name: sent.name,
        kind: Kind::from_number(sent.kind.into()),
        start_ns: time(sent.start_time_unix_nano)?,
        end_ns: time(sent.end_time_unix_nano)?,
        status: Status::from_number(status.code.into()),
        status_message: status.message,
        trace_state: sent.trace_state,
        scope_name: scope.name.clone(),
        scope_version: scope.version.clone(),
        attributes: attributes(sent.attributes),
        events: sent.events.into_iter().map(event).collect(),
        links: sent.links.into_iter().filter_map(link).collect(),
    })
}

fn event(sent: SentEvent) -> Event {
    Event {
        time_ns: i64::try_from(sent.time_unix_nano).unwrap_or(i64::MAX),
        name: sent.name,
        attributes: attributes(sent.attributes),
    }
}

/// A link that names no span leads nowhere and is left out.
fn link(sent: SentLink) -> Option<Link> {
    Some(Link {
        trace_id: TraceId::from_bytes(&sent.trace_id)?,
        span_id: SpanId::from_bytes(&sent.span_id)?,
        attributes: attributes(sent.attributes),
    })
}

/// A span is written and read whole; this bounds how much memory one can take.
const MAX_SPAN_BYTES: usize = 1024 * 1024;
