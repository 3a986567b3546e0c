//! Points in time: microseconds in stores, RFC 3339 for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A text that is not a point in time.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is not a point in time before 9999-12-30T22:00:00Z: write RFC 3339, as in `2026-11-22T12:00:00Z`", .0.escape_debug())]
pub struct InvalidTime(String);

/// Reads RFC 3339 with an offset, as in `2026-11-22T12:00:00Z`.
///
/// # Errors
///
/// If the text has another form, names no offset, or a time beyond 9999-12-30T22:00:00Z.
pub fn parse_time(text: &str) -> Result<SystemTime, InvalidTime> {
    text.parse::<jiff::Timestamp>()
        .map(SystemTime::from)
        .map_err(|_| InvalidTime(text.chars().take(60).collect()))
}

/// Writes RFC 3339 in UTC; a time beyond the calendar's range is said to be so.
pub fn format_time(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .map_or_else(|_| "a time beyond the calendar".to_owned(), |timestamp| timestamp.to_string())
}

/// Microseconds since 1970; times beyond the range stop at its ends.
pub(crate) fn to_micros(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
        }
    }
}

/// The time that many microseconds after (or before) 1970.
pub(crate) fn from_micros(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    let at = if micros < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    at.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_survive_the_round_trip() {
        for micros in [0, 1, -1, 1_795_000_000_000_000, i64::MAX, i64::MIN + 1] {
            assert_eq!(to_micros(from_micros(micros)), micros);
        }
    }

    #[test]
    fn times_without_an_offset_are_refused() {
        assert!(parse_time("2026-11-22T12:00:00Z").is_ok());
        assert!(parse_time("2026-11-22T12:00:00+01:00").is_ok());
        for text in ["2026-11-22T12:00:00", "2026-11-22", "now", ""] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert_eq!(format_time(UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
