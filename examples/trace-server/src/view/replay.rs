//! The request that a replay would send.
//!
//! Built from the exchange's entry span by OpenTelemetry's semantic conventions, the stable ones
//! first and the older HTTP names after them. What was not recorded is listed, not guessed.

use serde_json::{Map, Value, json};

use super::payload;
use crate::features::Payload;
use crate::model::{Kind, Span};
use crate::store::ExchangeRow;

/// The request, and what is missing to send it.
pub(crate) fn replay(row: &ExchangeRow, spans: &[Span], payload: Payload) -> Value {
    let mut missing = Missing(Vec::new());
    let entry = spans.iter().min_by_key(|span| (span.entry_rank(), span.start_ns));
    let request = entry.map(|entry| {
        if entry.kind == Kind::Consumer || entry.attributes.text("messaging.system").is_some() {
            message(entry, payload, &mut missing)
        } else {
            http(entry, payload, &mut missing)
        }
    });
    json!({
        "exchange": super::exchange(row),
        "sent": false,
        "note": "this server sends nothing; it answers with the request that a replay would send",
        "entry_span_id": entry.map(|entry| &entry.span_id),
        "request": request,
        "complete": missing.0.is_empty() && entry.is_some(),
        "missing": missing.0,
    })
}

fn http(span: &Span, payload: Payload, missing: &mut Missing) -> Value {
    let method = text(span, &["http.request.method", "http.method"]);
    if method.is_none() {
        missing.add("method", "not recorded", "set `http.request.method` on the entry span");
    }
    let url = url(span);
    if url.is_none() {
        missing.add("url", "not recorded", "set `url.full`, or `url.path` and `server.address`");
    }
    let headers = headers(span, missing);
    let bodiless = matches!(method, Some("GET" | "HEAD" | "OPTIONS" | "DELETE"));
    let body = body(span, payload, missing, bodiless);
    json!({ "kind": "http", "method": method, "url": url, "headers": headers, "body": body })
}

fn message(span: &Span, payload: Payload, missing: &mut Missing) -> Value {
    let destination = text(span, &["messaging.destination.name", "messaging.destination"]);
    if destination.is_none() {
        missing.add("destination", "not recorded", "set `messaging.destination.name`");
    }
    let body = body(span, payload, missing, false);
    json!({
        "kind": "message",
        "system": text(span, &["messaging.system"]),
        "destination": destination,
        "body": body,
    })
}

/// The URL, whole or from its parts.
fn url(span: &Span) -> Option<String> {
    if let Some(url) = text(span, &["url.full", "http.url"]) {
        return Some(url.into());
    }
    let mut target: String = text(span, &["url.path", "http.target"])?.into();
    if let Some(query) = text(span, &["url.query"]).filter(|query| !query.is_empty()) {
        target = format!("{target}?{query}");
    }
    let scheme = text(span, &["url.scheme", "http.scheme"]).unwrap_or("http");
    let host = text(span, &["server.address", "http.host", "net.host.name"])?;
    let port = ["server.port", "net.host.port"].iter().find_map(|key| span.attributes.0.get(*key));
    let port = match port {
        Some(port) if !host.contains(':') => format!(":{}", port.to_string().trim_matches('"')),
        _ => String::new(),
    };
    Some(format!("{scheme}://{host}{port}{target}"))
}

/// The headers, but for those that prove who sent them: a replay must bring its own.
fn headers(span: &Span, missing: &mut Missing) -> Map<String, Value> {
    let mut headers = Map::new();
    let mut recorded = false;
    for (key, value) in &span.attributes.0 {
        let Some(name) = key.strip_prefix("http.request.header.") else { continue };
        recorded = true;
        // Older SDKs write `-` as `_`.
        let name = name.replace('_', "-").to_ascii_lowercase();
        if CREDENTIALS.contains(&name.as_str()) {
            let part = format!("header {name}");
            missing.add(&part, "a credential is not replayed", "send a fresh one");
        } else {
            headers.insert(name, value.clone());
        }
    }
    if !recorded {
        missing.add("headers", "not recorded", "let the SDK capture request headers");
    }
    headers
}

/// The body, as far as it was recorded and may be shown.
fn body(span: &Span, payload: Payload, missing: &mut Missing, bodiless: bool) -> Value {
    let recorded = BODIES.iter().find_map(|key| span.attributes.0.get(*key));
    match (recorded, payload) {
        (Some(body), Payload::Values) => body.clone(),
        (Some(body), Payload::Sizes) => {
            let why = "withheld: the plan shows sizes of payloads only";
            missing.add("body", why, "ask for a plan with `payload_lineage=full`");
            json!({ "withheld": true, "size": payload::size(body) })
        }
        (None, _) => {
            if !bodiless {
                missing.add("body", "not recorded", "set `http.request.body` or `payload.body`");
            }
            Value::Null
        }
    }
}

fn text<'a>(span: &'a Span, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| span.attributes.text(key))
}

/// What a replay would lack.
struct Missing(Vec<Value>);

impl Missing {
    fn add(&mut self, part: &str, why: &str, remedy: &str) {
        self.0.push(json!({ "part": part, "why": why, "remedy": remedy }));
    }
}

const BODIES: [&str; 7] = [
    "http.request.body",
    "http.request.body.content",
    "http.request.body.text",
    "payload.request.body",
    "payload.in",
    "payload.body",
    "messaging.message.body",
];
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];
