//! Lengths of time and sizes, as people write them.

use std::time::Duration;

use toml::Spanned;

use super::error::{ConfigError, Source};

/// Reads a duration such as `24h`, with bounds that include their ends.
pub(super) fn duration(
    source: &Source<'_>,
    key: &str,
    value: &Spanned<String>,
    least: Duration,
    most: Duration,
) -> Result<Duration, ConfigError> {
    let fail = |message: String| Err(source.error(&value.span(), format!("`{key}`: {message}")));
    match entitlements::parse_duration(value.get_ref()) {
        Err(error) => fail(error.to_string()),
        Ok(length) if (least..=most).contains(&length) => Ok(length),
        Ok(_) => fail(format!(
            "`{}` is out of bounds; write a duration from `{}` to `{}`",
            value.get_ref(),
            entitlements::format_duration(least),
            entitlements::format_duration(most)
        )),
    }
}

/// Reads a size such as `16KiB`, with bounds that include their ends.
pub(super) fn size(
    source: &Source<'_>,
    key: &str,
    value: &Spanned<String>,
    least: usize,
    most: usize,
) -> Result<usize, ConfigError> {
    let fail = |message: String| Err(source.error(&value.span(), format!("`{key}`: {message}")));
    match parse_size(value.get_ref()) {
        None => fail(format!(
            "`{}` is not a size; write a whole number and a unit, as in `16KiB`, `1MiB` or `512B`",
            value.get_ref()
        )),
        Some(size) if (least..=most).contains(&size) => Ok(size),
        Some(_) => fail(format!(
            "`{}` is out of bounds; write a size from `{least}B` to `{most}B`",
            value.get_ref()
        )),
    }
}

fn parse_size(text: &str) -> Option<usize> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let unit = match unit {
        "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("16KiB"), Some(16 * 1024));
        assert_eq!(parse_size("1MiB"), Some(1024 * 1024));
        assert_eq!(parse_size("512B"), Some(512));
        for text in ["", "16", "16KB", "16 KiB", "KiB", "-1B", "1.5KiB", "99999999999999999999B"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
