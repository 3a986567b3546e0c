//! Server-sent events: one span, or something about the stream.

use bytes::Bytes;
use serde_json::{Value, json};

use super::span;
use crate::features::Payload;
use crate::model::{ExchangeId, Span};

/// An event as the stream carries it.
pub(crate) fn event(name: &str, data: &Value) -> Bytes {
    // JSON text holds no line break, so one `data` line is enough. What a text has room for beyond its
    // end would be kept, and not counted, for as long as the event is.
    format!("event: {name}\ndata: {data}\n\n").into_boxed_str().into_boxed_bytes().into()
}

/// `event: span`. Of a span that is too large only its ids and its size are shown.
pub(crate) fn span_event(shown: &Span, exchange_id: &ExchangeId, payload: Payload) -> Bytes {
    let mut document = span(shown, payload);
    document["trace_id"] = json!(shown.trace_id);
    document["exchange_id"] = json!(exchange_id);
    document["service"] = json!(shown.resource.service);
    let whole = event("span", &document);
    if whole.len() <= MAX_EVENT_BYTES {
        return whole;
    }
    let ids = json!({
        "span_id": shown.span_id,
        "parent_span_id": shown.parent,
        "trace_id": shown.trace_id,
        "exchange_id": exchange_id,
        "truncated": true,
        "size": whole.len(),
    });
    event("span", &ids)
}

/// A span's event is at most this large; the exchange shows the rest.
pub(crate) const MAX_EVENT_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_no_more_than_its_text() {
        for length in [1, 100, 1_000, 5_000] {
            let text = event("span", &json!({ "text": "x".repeat(length) }));
            let bytes = text.len();
            // Bytes that nobody shares become a vector of the same memory.
            assert_eq!(Vec::from(text).capacity(), bytes);
        }
    }
}
