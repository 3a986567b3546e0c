//! What is shown of what is stored: pure functions from rows to JSON documents.

use serde_json::{Value, json};

use crate::features::Payload;
use crate::model::{Link, Span, Status, rfc3339_ns};
use crate::store::ExchangeRow;

pub(crate) mod correlation;
pub(crate) mod event;
pub(crate) mod lineage;
pub(crate) mod payload;
pub(crate) mod replay;
pub(crate) mod tree;

/// An exchange in short.
pub(crate) fn exchange(row: &ExchangeRow) -> Value {
    json!({
        "id": row.exchange_id,
        "trace_id": row.trace_id,
        "service": row.service,
        "entry": row.entry_name,
        "started_at": rfc3339_ns(row.started_ns),
        "ended_at": rfc3339_ns(row.ended_ns),
        "duration_ns": duration_ns(row.started_ns, row.ended_ns),
        "spans": row.spans,
        "errors": row.errors,
        "status": if row.errors > 0 { "error" } else { "ok" },
    })
}

/// Says whether the exchange has more spans than were read.
pub(crate) fn is_truncated(row: &ExchangeRow, spans: &[Span]) -> bool {
    usize::try_from(row.spans).is_ok_and(|all| all > spans.len())
}

/// A span without its children.
pub(crate) fn span(span: &Span, payload: Payload) -> Value {
    let events: Vec<_> = span
        .events
        .iter()
        .map(|event| {
            json!({
                "at": rfc3339_ns(event.time_ns),
                "name": event.name,
                "attributes": payload::shown(&event.attributes, payload),
            })
        })
        .collect();
    json!({
        "span_id": span.span_id,
        "parent_span_id": span.parent,
        "name": span.name,
        "kind": span.kind,
        "started_at": rfc3339_ns(span.start_ns),
        "ended_at": rfc3339_ns(span.end_ns),
        "duration_ns": span.duration_ns(),
        "status": span.status,
        "status_message": span.status_message,
        "trace_state": span.trace_state,
        "scope": { "name": span.scope_name, "version": span.scope_version },
        "attributes": payload::shown(&span.attributes, payload),
        "events": events,
        "links": span.links.iter().map(|one| link(one, payload)).collect::<Vec<_>>(),
    })
}

/// How long something took; 0 when it ended before it began.
pub(crate) fn duration_ns(start_ns: i64, end_ns: i64) -> i64 {
    end_ns.saturating_sub(start_ns).max(0)
}

/// The word for a stored status.
pub(crate) fn status(number: i64) -> Status {
    Status::from_number(number)
}

fn link(link: &Link, payload: Payload) -> Value {
    json!({
        "trace_id": link.trace_id,
        "span_id": link.span_id,
        "attributes": payload::shown(&link.attributes, payload),
    })
}
