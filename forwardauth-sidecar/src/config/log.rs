//! `[log]`: form and amount of what is logged.

use serde::Deserialize;
use toml::Spanned;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::error::{ConfigError, Source};

/// The section as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogDocument {
    format: Option<Spanned<String>>,
    level: Option<Spanned<String>>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people at a terminal.
    Pretty,
}

/// Form and amount of what is logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// `info`, or directives such as `info,tiergate=debug`.
    pub level: String,
}

impl Log {
    pub(super) fn check(
        source: &Source<'_>,
        document: Option<&LogDocument>,
    ) -> Result<Self, ConfigError> {
        let empty = LogDocument::default();
        let document = document.unwrap_or(&empty);
        let format = match document.format.as_ref().map(|format| format.get_ref().as_str()) {
            None | Some("json") => LogFormat::Json,
            Some("pretty") => LogFormat::Pretty,
            Some(other) => {
                let span = document.format.as_ref().map_or(0..0, Spanned::span);
                return Err(source.error(
                    &span,
                    format!("`log.format`: unknown format `{other}`; write `json` or `pretty`"),
                ));
            }
        };
        let level = match &document.level {
            None => "info".to_owned(),
            Some(level) => {
                let text = level.get_ref();
                // A word alone would be taken for the name of a module that is never there.
                let known = text.contains(['=', ',']) || text.parse::<LevelFilter>().is_ok();
                if !known || EnvFilter::try_new(text).is_err() {
                    return Err(source.error(
                        &level.span(),
                        format!(
                            "`log.level`: `{text}` is no level; write `error`, `warn`, `info`, \
                             `debug` or `trace`, or directives such as `info,tiergate=debug`"
                        ),
                    ));
                }
                text.clone()
            }
        };
        Ok(Self { format, level })
    }
}
