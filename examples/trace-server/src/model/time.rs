//! Times as text.

use jiff::Timestamp;

/// Nanoseconds since 1970 as RFC 3339 text.
pub(crate) fn rfc3339_ns(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanoseconds))
        .expect("every 64-bit count of nanoseconds lies between the years 1677 and 2262")
        .to_string()
}

/// Microseconds since 1970 as RFC 3339 text.
pub(crate) fn rfc3339_us(microseconds: i64) -> String {
    let end = if microseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(microseconds).unwrap_or(end).to_string()
}

/// RFC 3339 text as nanoseconds since 1970, as far as 64 bits hold them.
pub(crate) fn parse_rfc3339_ns(text: &str) -> Option<i64> {
    let time: Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back() {
        for ns in [0, 1, 1_700_000_000_123_456_789, i64::MAX, i64::MIN] {
            assert_eq!(parse_rfc3339_ns(&rfc3339_ns(ns)), Some(ns));
        }
        assert_eq!(rfc3339_us(1_700_000_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(parse_rfc3339_ns("9999-01-01T00:00:00Z"), None);
        assert_eq!(parse_rfc3339_ns("2023-11-14"), None);
    }
}
