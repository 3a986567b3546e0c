//! `[tokens]`: limits of tokens and of what is remembered of them.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Source};
use super::unit::{duration, size};

/// The section as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokensDocument {
    cache_entries: Option<Spanned<i64>>,
    leeway: Option<Spanned<String>>,
    max_bytes: Option<Spanned<String>>,
    jwks_max_stale: Option<Spanned<String>>,
}

/// Limits of tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tokens {
    /// How many verified tokens are remembered.
    pub cache_entries: usize,
    /// How far the clocks of issuer and gateway may differ.
    pub leeway: Duration,
    /// The largest token that is looked at.
    pub max_bytes: usize,
    /// For how long keys go on counting when their issuer cannot be reached.
    pub jwks_max_stale: Duration,
}

impl Tokens {
    pub(super) fn check(
        source: &Source<'_>,
        document: Option<&TokensDocument>,
    ) -> Result<Self, ConfigError> {
        let empty = TokensDocument::default();
        let document = document.unwrap_or(&empty);
        let cache_entries = match &document.cache_entries {
            None => 100_000,
            Some(value) => usize::try_from(*value.get_ref())
                .ok()
                .filter(|entries| (1..=MAX_ENTRIES).contains(entries))
                .ok_or_else(|| {
                    source.error(
                        &value.span(),
                        format!("`tokens.cache_entries`: write a number from 1 to {MAX_ENTRIES}"),
                    )
                })?,
        };
        let time = |key, value: &Option<Spanned<String>>, standard, least, most| match value {
            Some(value) => duration(source, key, value, least, most),
            None => Ok(standard),
        };
        Ok(Self {
            cache_entries,
            leeway: time(
                "tokens.leeway",
                &document.leeway,
                Duration::from_secs(15),
                Duration::ZERO,
                Duration::from_mins(5),
            )?,
            max_bytes: match &document.max_bytes {
                Some(value) => size(source, "tokens.max_bytes", value, 1024, 256 * 1024)?,
                None => 16 * 1024,
            },
            jwks_max_stale: time(
                "tokens.jwks_max_stale",
                &document.jwks_max_stale,
                Duration::from_hours(12),
                Duration::from_secs(5),
                Duration::from_hours(24 * 7),
            )?,
        })
    }
}

/// An entry takes a few hundred bytes; more of them than this is a typing error.
const MAX_ENTRIES: usize = 50_000_000;
