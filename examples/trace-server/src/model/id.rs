//! Ids: of traces, spans and exchanges.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A trace's id: 32 lower-case hex digits, not all zero.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct TraceId(String);

/// A span's id: 16 lower-case hex digits, not all zero.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct SpanId(String);

/// An exchange's id: `{trace id}-{hash of the application's name}`, 49 characters that need no
/// escaping in a URL. The hash is the lower half of FNV-1a (128 bits) in hex, so that an id
/// stays the same over restarts, versions and machines.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct ExchangeId(String);

impl TraceId {
    /// Reads the 16 bytes of OTLP.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == 16 && bytes.iter().any(|b| *b != 0)).then(|| Self(hex(bytes)))
    }

    /// Reads 32 hex digits; upper case is made lower case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        (text.len() == 32 && is_hex(text) && text.bytes().any(|b| b != b'0'))
            .then(|| Self(text.to_ascii_lowercase()))
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl SpanId {
    /// Reads the 8 bytes of OTLP.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == 8 && bytes.iter().any(|b| *b != 0)).then(|| Self(hex(bytes)))
    }

    /// Reads 16 hex digits; upper case is made lower case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        (text.len() == 16 && is_hex(text) && text.bytes().any(|b| b != b'0'))
            .then(|| Self(text.to_ascii_lowercase()))
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl ExchangeId {
    /// The id of a trace as the application `service` saw it.
    pub(crate) fn new(trace: &TraceId, service: &str) -> Self {
        let hash = &content_hash(service.as_bytes())[16..];
        Self(format!("{}-{hash}", trace.as_str()))
    }

    /// Reads an id. Ids are compared as text, so only their one spelling is taken.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (trace, hash) = text.split_once('-')?;
        let lower = |part: &str| is_hex(part) && !part.bytes().any(|b| b.is_ascii_uppercase());
        (trace.len() == 32 && hash.len() == 16 && lower(trace) && lower(hash))
            .then(|| Self(text.into()))
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// FNV-1a with 128 bits, as 32 hex digits. It names content within one tenant's own data, where
/// nobody gains by making two things collide; it protects nothing.
pub(crate) fn content_hash(bytes: &[u8]) -> String {
    let hash =
        bytes.iter().fold(FNV_OFFSET, |hash, b| (hash ^ u128::from(*b)).wrapping_mul(FNV_PRIME));
    format!("{hash:032x}")
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{b:02x}");
        text
    })
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_id_never_changes() {
        // Pinned: links that people keep hold this text.
        let trace = TraceId::parse("4BF92F3577B34DA6A3CE929D0E0E4736").unwrap();
        let id = ExchangeId::new(&trace, "orders");
        assert_eq!(id.as_str(), "4bf92f3577b34da6a3ce929d0e0e4736-6eee83a12169a874");
        assert_eq!(ExchangeId::parse(id.as_str()), Some(id));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // The published test value for "a".
        assert_eq!(content_hash(b"a"), "d228cb696f1a8caf78912b704e4a8964");
        assert_eq!(content_hash(b""), "6c62272e07bb014262b821756295c58d");
    }

    #[test]
    fn ids_that_are_none() {
        for bad in ["", "0", &"0".repeat(32), &"g".repeat(32), &"a".repeat(31), &"é".repeat(16)] {
            assert_eq!(TraceId::parse(bad), None, "{bad}");
            assert_eq!(SpanId::parse(bad), None, "{bad}");
            assert_eq!(ExchangeId::parse(bad), None, "{bad}");
        }
        assert_eq!(TraceId::from_bytes(&[0; 16]), None);
        assert_eq!(SpanId::from_bytes(&[1; 16]), None);
    }
}
