//! One trace over all applications.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{duration_ns, status};
use crate::model::{TraceId, rfc3339_ns};
use crate::store::{ExchangeRow, TraceSpanRow};

/// Joins the exchanges of a trace: who called whom, and what is missing in between.
///
/// `truncated` says that the trace has more spans than were read; then links may be missing.
pub(crate) fn correlation(
    trace: &TraceId,
    exchanges: &[ExchangeRow],
    spans: &[TraceSpanRow],
    truncated: bool,
) -> Value {
    // Exchanges that are no longer shown take their spans and links with them.
    let ids: HashMap<&str, &str> =
        exchanges.iter().map(|row| (row.service.as_str(), row.exchange_id.as_str())).collect();
    let shown = || spans.iter().filter(|span| ids.contains_key(span.service.as_str()));
    // Two applications may report one span id; then the callee's caller is the other one.
    let mut by_id: HashMap<&str, Vec<&TraceSpanRow>> = HashMap::new();
    for span in shown() {
        by_id.entry(&span.span_id).or_default().push(span);
    }
    let mut links = Vec::new();
    let mut missing = BTreeSet::new();
    for span in shown() {
        let Some(parent) = span.parent_span_id.as_deref() else { continue };
        let Some(parents) = by_id.get(parent) else {
            missing.insert(parent);
            continue;
        };
        if parents.iter().any(|caller| caller.service == span.service) {
            continue;
        }
        for caller in parents {
            links.push(json!({
                "from": ids.get(caller.service.as_str()),
                "to": ids.get(span.service.as_str()),
                "caller": caller.service,
                "callee": span.service,
                "caller_span_id": caller.span_id,
                "callee_span_id": span.span_id,
                "name": span.name,
                "started_at": rfc3339_ns(span.start_ns),
                "duration_ns": duration_ns(span.start_ns, span.end_ns),
                "status": status(span.status),
            }));
        }
    }
    let started_ns = exchanges.iter().map(|row| row.started_ns).min().unwrap_or_default();
    let ended_ns = exchanges.iter().map(|row| row.ended_ns).max().unwrap_or_default();
    let services: BTreeSet<_> = exchanges.iter().map(|row| row.service.as_str()).collect();
    json!({
        "trace_id": trace,
        "started_at": rfc3339_ns(started_ns),
        "ended_at": rfc3339_ns(ended_ns),
        "duration_ns": duration_ns(started_ns, ended_ns),
        "services": services,
        "spans": exchanges.iter().map(|row| row.spans).sum::<i64>(),
        "errors": exchanges.iter().map(|row| row.errors).sum::<i64>(),
        "exchanges": exchanges.iter().map(super::exchange).collect::<Vec<_>>(),
        "links": links,
        "missing_parents": missing,
        "truncated": truncated,
    })
}
