//! Which attributes are payload, and how much of them is shown.
//!
//! A plan with `payload_lineage` below `full` pays for names and sizes. That would be worth
//! nothing if the values stood in the next endpoint, so every document that shows attributes
//! goes through here.

use serde_json::{Map, Value, json};

use crate::features::Payload;
use crate::model::Attributes;

/// Says whether an attribute carries (a part of) a message or body.
pub(crate) fn is_payload(key: &str) -> bool {
    PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// How large a value is: bytes of text, else bytes of its JSON.
pub(crate) fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    }
}

/// Attributes with the payload's values, or with their sizes in the values' place.
pub(crate) fn shown(attributes: &Attributes, payload: Payload) -> Map<String, Value> {
    let show = |(key, value): (&String, &Value)| {
        let value = match payload {
            Payload::Sizes if is_payload(key) => json!({ "withheld": true, "size": size(value) }),
            Payload::Sizes | Payload::Values => value.clone(),
        };
        (key.clone(), value)
    };
    attributes.0.iter().map(show).collect()
}

const PREFIXES: [&str; 4] =
    ["payload.", "messaging.message.", "http.request.body", "http.response.body"];
