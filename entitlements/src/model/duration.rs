//! Lengths of time as people write them: `7d`, `24h`, `90m`, `15s`, `2w`.

use std::time::Duration;

/// A text that is not a length of time.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is not a duration: write a whole number and a unit, as in `7d`, `24h`, `90m` or `15s`", .0.escape_debug())]
pub struct InvalidDuration(String);

/// Reads a whole number followed by `s`, `m`, `h`, `d` or `w`; `0` needs no unit.
///
/// # Errors
///
/// If the text has another form, or the length is over about 5 million years.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.chars().take(40).collect());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit = text.chars().last().ok_or_else(invalid)?;
    let seconds = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?.1;
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid());
    }
    let total = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(seconds));
    // Beyond this a time can no longer be moved by the length without leaving the clock's range.
    total.filter(|n| *n <= LONGEST).map(Duration::from_secs).ok_or_else(invalid)
}

/// Writes a length with the largest unit that fits without a rest.
pub fn format_duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let fitting =
        UNITS.iter().rev().find(|(name, unit)| *name != 'w' && seconds.is_multiple_of(*unit));
    match fitting {
        Some((name, unit)) if seconds > 0 => format!("{}{name}", seconds / unit),
        _ => format!("{seconds}s"),
    }
}

const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];
const LONGEST: u64 = 160_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_written() {
        for (text, seconds) in [("7d", 604_800), ("24h", 86_400), ("90m", 5_400), ("15s", 15)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "d", "7", "-1d", "1.5h", "7 d", "7D", "+7d", "99999999999999999999d", "7ä"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_print_with_their_largest_unit() {
        for (seconds, text) in [(604_800, "7d"), (3_600, "1h"), (61, "61s"), (0, "0s")] {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
    }
}
