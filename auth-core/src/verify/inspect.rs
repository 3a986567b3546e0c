//! What a token says, whether or not it is true: for people who ask why it was refused.

use crate::token::{
    RawToken,
    json::{Json, Object},
    raw_decode,
};

/// The decoded header and claims of a token that may be forged.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    facts: Vec<(&'static str, String)>,
}

/// What tells why; everything else in a token is the user's business.
const HEADER: [&str; 3] = ["alg", "typ", "kid"];
const CLAIMS: [&str; 10] =
    ["iss", "aud", "sub", "client_id", "organization_id", "scope", "roles", "iat", "nbf", "exp"];

/// Reads what can be read of a token, without verifying anything; `None` if it is no JWT at all.
pub fn inspect(token: &str) -> Option<Inspection> {
    let raw = RawToken::parse(token).ok()?;
    let mut inspection = Inspection::default();
    for (part, names) in [(raw.header, HEADER.as_slice()), (raw.payload, &CLAIMS)] {
        let Ok(text) = raw_decode(part) else { continue };
        let Ok(object) = Object::parse(&text) else { continue };
        for name in names {
            if let Some(value) = object.get(name) {
                inspection.facts.push((name, show(value)));
            }
        }
    }
    Some(inspection)
}

fn show(value: &Json<'_>) -> String {
    let text = match value {
        Json::Null => "null".to_owned(),
        Json::Bool(b) => b.to_string(),
        Json::Integer(n) => n.to_string(),
        Json::Number(n) => n.to_string(),
        Json::String(s) => s.escape_debug().to_string(),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().take(20).map(show).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(_) => "an object".to_owned(),
    };
    // A terminal line, not a dump.
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

impl Inspection {
    /// The header parameters and claims that decide, in a fixed order.
    pub fn facts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.facts.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The value of one of them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }
}
