//! What is wrong with a configuration, where, and what helps.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use thiserror::Error;

use super::overlay::Origin;

/// A mistake in the configuration. Each of them stops the start.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{place}: {message}")]
pub struct ConfigError {
    place: Place,
    message: String,
}

/// Where a mistake stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// In a file as a whole.
    File(String),
    /// At a line and column of a file, both counted from one.
    Line {
        /// The file, as it was named.
        file: String,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// In a variable of the environment.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(file),
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => write!(f, "environment variable `{name}`"),
        }
    }
}

impl ConfigError {
    /// A mistake of a file as a whole, such as one that cannot be read.
    pub fn file(path: &Path, message: impl Into<String>) -> Self {
        Self { place: Place::File(path.display().to_string()), message: message.into() }
    }

    /// Where the mistake stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong, and what helps.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The text of a configuration, kept so that a span can be told as a line and a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// The file, as it was named.
    pub(super) path: &'a Path,
    /// What it contains.
    pub(super) text: &'a str,
    /// The variables whose values lie behind the text.
    pub(super) origins: &'a [Origin],
}

impl Source<'_> {
    /// A mistake at a span of the text or of a variable behind it.
    pub(super) fn error(&self, span: &Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError { place: self.place(span.start), message: message.into() }
    }

    fn place(&self, offset: usize) -> Place {
        if let Some(origin) = self.origins.iter().find(|origin| origin.span.contains(&offset)) {
            return Place::Variable(origin.name.clone());
        }
        let file = self.path.display().to_string();
        let Some(before) = self.text.get(..offset) else {
            return Place::File(file);
        };
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::Line {
            file,
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
        }
    }

    /// A mistake that the deserializer found; a key that nobody knows gets a suggestion.
    pub(super) fn deserializer_error(&self, error: &toml::de::Error) -> ConfigError {
        let message = unknown_key(error.message())
            .or_else(|| wrong_type(error.message()))
            .unwrap_or_else(|| error.message().to_owned());
        match error.span() {
            Some(span) => self.error(&span, message),
            None => ConfigError { place: Place::File(self.path.display().to_string()), message },
        }
    }
}

/// Turns serde's "unknown field `lisen`, expected one of `listen`, ..." into what a user can use.
fn unknown_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let known: Vec<_> = rest.split('`').skip(1).step_by(2).collect();
    Some(match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("unknown key `{unknown}`; did you mean `{near}`?"),
        None => format!("unknown key `{unknown}`; the keys here are `{}`", known.join("`, `")),
    })
}

/// Turns serde's "invalid type: integer `4180`, expected a string" and "missing field `tenant`" into
/// what a user can use. What stands there is not told: at the wrong place it may be a secret.
fn wrong_type(message: &str) -> Option<String> {
    if let Some(rest) = message.strip_prefix("missing field `") {
        let (key, _) = rest.split_once('`')?;
        return Some(format!("`{key}` is missing; add `{key} = ...`"));
    }
    let rest = message.strip_prefix("invalid type: ")?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let found = match found.split([' ', '`']).next()? {
        "string" => "a text",
        "integer" | "floating" => "a number",
        "boolean" => "a yes or no",
        "sequence" => "a list",
        "map" => "a table",
        _ => "something else",
    };
    let (needed, remedy) = match expected.split(' ').next()? {
        "a" if expected.contains("string") => ("a text", "write it in quotes, as in `\"24h\"`"),
        "a" if expected.contains("sequence") => ("a list", "write it in brackets, as in `[\"a\"]`"),
        "a" if expected.contains("boolean") => ("a yes or no", "write `true` or `false`"),
        "a" if expected.contains("map") => ("a table", "write keys and values in braces"),
        "struct" => ("a table", "write keys and values, as in `{ key = \"value\" }`"),
        "path" => ("a path", "write it in quotes, as in `\"plans.toml\"`"),
        "i64" | "u64" | "usize" => ("a number", "write digits without quotes"),
        _ => return None,
    };
    Some(format!("{found} stands where {needed} is needed; {remedy}"))
}

/// The candidate that is at most two edits away from `word`, if any is.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let near = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    let (distance, candidate) = near.min()?;
    // A short word is two edits away from everything.
    (distance <= 2 && distance < word.chars().count().max(2)).then_some(candidate)
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(x != y);
            let mut best = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_become_lines_and_columns() {
        let source =
            Source { path: Path::new("t.toml"), text: "a = 1\nbé = 2\nc = 3\n", origins: &[] };
        let at = |needle: &str| {
            let start = source.text.find(needle).expect("it is there");
            source.error(&(start..start + 1), "wrong").to_string()
        };
        assert_eq!(at("a"), "t.toml:1:1: wrong");
        assert_eq!(at("2"), "t.toml:2:6: wrong");
        assert_eq!(at("c"), "t.toml:3:1: wrong");
    }

    #[test]
    fn near_misses() {
        let keys = ["listen", "proxy", "trusted_proxies", "tls"];
        let near = |word| nearest(word, keys);
        assert_eq!(near("lisen"), Some("listen"));
        assert_eq!(near("porxy"), Some("proxy"));
        assert_eq!(near("trusted_proxy"), None);
        assert_eq!(near("trustd_proxies"), Some("trusted_proxies"));
        assert_eq!(near("x"), None);
        assert_eq!(near("tsl"), Some("tls"));
    }
}
