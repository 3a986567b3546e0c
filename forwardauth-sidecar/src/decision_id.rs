//! The name of one decision: a UUID of version 7, on every answer, in the log and in `tiergate explain`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use uuid::Uuid;

/// A decision's name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DecisionId(Uuid);

impl DecisionId {
    /// The name as a header value.
    #[expect(clippy::missing_panics_doc, reason = "a uuid is always visible ascii")]
    pub fn header_value(self) -> HeaderValue {
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = self.0.as_hyphenated().encode_lower(&mut buffer);
        HeaderValue::from_str(text).expect("hexadecimal digits and hyphens are visible ascii")
    }

    /// Reads a name as a user gives it.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Gives each decision its name.
///
/// The time comes first, so that names sort as they were given. Behind it stand 40 random bits of
/// this process and a counter (RFC 9562, 6.2), which costs no call for random numbers. A name is
/// no secret: it opens nothing.
#[derive(Debug)]
pub struct DecisionIds {
    process: [u8; 5],
    counter: AtomicU64,
}

impl DecisionIds {
    /// Draws the random part.
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the home of the decisions' random bits")]
        let random = *Uuid::new_v4().as_bytes();
        let mut process = [0; 5];
        process.copy_from_slice(&random[..5]);
        Self { process, counter: AtomicU64::new(0) }
    }

    /// The next name.
    pub fn next(&self, now: SystemTime) -> DecisionId {
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let counter = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut bytes = [0; 10];
        // The version takes 4 bits of the first byte and the variant 2 of the third, so the
        // counter stands at the end, where nothing is taken.
        bytes[..5].copy_from_slice(&self.process);
        bytes[5..].copy_from_slice(&counter[3..]);
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        DecisionId(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }
}

impl Default for DecisionIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_are_uuids_of_version_7_and_differ() {
        let ids = DecisionIds::new();
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let names: BTreeSet<_> = (0..1000).map(|_| ids.next(now).to_string()).collect();
        assert_eq!(names.len(), 1000);
        for name in &names {
            let id = DecisionId::parse(name).expect("a uuid");
            assert_eq!(id.0.get_version_num(), 7);
            assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(id.header_value().to_str().expect("visible ascii"), name);
        }
        let later = ids.next(now + Duration::from_millis(1)).to_string();
        assert!(names.iter().all(|name| *name < later));
    }
}
