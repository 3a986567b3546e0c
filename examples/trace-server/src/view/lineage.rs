//! Payload lineage: what became of a message on its way through an application.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::payload::{is_payload, size};
use super::tree::walk;
use crate::features::Payload;
use crate::model::{Span, SpanId, rfc3339_ns};
use crate::store::ExchangeRow;

/// The steps in order of time, a parent before its children when they began together.
///
/// With [`Payload::Sizes`] a step names its payload attributes and their sizes. With
/// [`Payload::Values`] it also shows the values and, for each name, whether it is new, the same
/// as when it was last seen, or changed, and from what.
pub(crate) fn lineage(row: &ExchangeRow, spans: &[Span], payload: Payload) -> Value {
    let mut order = walk(spans);
    // The sort is stable, so spans that began together stay in the tree's order.
    order.sort_by_key(|(place, _)| spans[*place].start_ns);
    let mut last = HashMap::new();
    let steps: Vec<_> = order
        .iter()
        .map(|(place, depth)| step(&spans[*place], *depth, payload, &mut last))
        .collect();
    json!({
        "exchange": super::exchange(row),
        "level": match payload { Payload::Sizes => "limited", Payload::Values => "full" },
        "recorded": spans.iter().any(|span| parts(span).next().is_some()),
        "truncated": super::is_truncated(row, spans),
        "steps": steps,
    })
}

fn step<'a>(
    span: &'a Span,
    depth: usize,
    payload: Payload,
    last: &mut HashMap<&'a str, (&'a SpanId, &'a Value)>,
) -> Value {
    let parts: Vec<_> = parts(span)
        .map(|(source, key, value)| {
            let mut part = json!({ "key": key, "source": source, "size": size(value) });
            if payload == Payload::Values {
                part["value"] = value.clone();
                let before = last.insert(key, (&span.span_id, value));
                part["change"] = json!(match before {
                    None => "new",
                    Some((_, before)) if before == value => "same",
                    Some(_) => "changed",
                });
                if let Some((seen_in, before)) = before {
                    part["last_seen_in"] = json!(seen_in);
                    if before != value {
                        part["previous"] = before.clone();
                    }
                }
            }
            part
        })
        .collect();
    json!({
        "span_id": span.span_id,
        "parent_span_id": span.parent,
        "depth": depth,
        "name": span.name,
        "kind": span.kind,
        "status": span.status,
        "started_at": rfc3339_ns(span.start_ns),
        "duration_ns": span.duration_ns(),
        "payload": parts,
    })
}

/// The payload attributes of a span and of its events: where from, name, value.
fn parts(span: &Span) -> impl Iterator<Item = (String, &str, &Value)> {
    let own = span.attributes.0.iter().map(|(key, value)| ("span".into(), key.as_str(), value));
    let events = span.events.iter().flat_map(|event| {
        let source = format!("event {}", event.name);
        event.attributes.0.iter().map(move |(key, value)| (source.clone(), key.as_str(), value))
    });
    own.chain(events).filter(|(_, key, _)| is_payload(key))
}
