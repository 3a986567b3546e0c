//! TOML with places: every value knows its line and column, so that every error can name them.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a plans file, where, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {message}; {remedy}")]
pub struct CatalogError {
    line: usize,
    column: usize,
    message: String,
    remedy: String,
}

impl CatalogError {
    /// The line, counted from one.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, counted from one.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// The text, kept to turn offsets into lines and columns.
#[derive(Clone, Copy)]
pub(super) struct Source<'a>(pub(super) &'a str);

/// One key with its value.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) source: Source<'a>,
    pub(super) key: &'a str,
    key_start: usize,
    value: &'a Spanned<DeValue<'a>>,
}

/// One value with its place.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    source: Source<'a>,
    start: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Source<'a> {
    /// Reads the text; a syntax error is told with its place too.
    pub(super) fn read(self) -> Result<Spanned<DeTable<'a>>, CatalogError> {
        DeTable::parse(self.0).map_err(|error| {
            let span = error.span().unwrap_or(Range { start: 0, end: 0 });
            let message = error.message().replace('\n', ", ");
            self.error(span.start, message, "write valid TOML there")
        })
    }

    pub(super) fn error(
        self,
        start: usize,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> CatalogError {
        let before = self.0.get(..start).unwrap_or(self.0);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        CatalogError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// The entries of a table in the order of the text.
    pub(super) fn entries(self, table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| Entry {
                source: self,
                key: key.get_ref(),
                key_start: key.span().start,
                value,
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_start);
        entries
    }
}

impl<'a> Entry<'a> {
    /// An error that points at the key.
    pub(super) fn error(
        &self,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> CatalogError {
        self.source.error(self.key_start, message, remedy)
    }

    pub(super) fn node(&self) -> Node<'a> {
        Node { source: self.source, start: self.value.span().start, value: self.value.get_ref() }
    }

    /// The entries of the table that this key names.
    pub(super) fn table(&self) -> Result<Vec<Self>, CatalogError> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(self.source.entries(table)),
            other => Err(self.node().error(
                format!("`{}` is {} instead of a table", self.key, article(other)),
                format!("write `[{}]` and its entries below it", self.key),
            )),
        }
    }
}

impl<'a> Node<'a> {
    pub(super) fn error(
        &self,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> CatalogError {
        self.source.error(self.start, message, remedy)
    }

    pub(super) fn text(&self, what: &str) -> Result<&'a str, CatalogError> {
        match self.value {
            DeValue::String(text) => Ok(text),
            other => Err(self.error(
                format!("{what} is {} instead of a text", article(other)),
                "put it in quotes",
            )),
        }
    }

    pub(super) fn list(&self, what: &str) -> Result<Vec<Self>, CatalogError> {
        match self.value {
            DeValue::Array(items) => Ok(items
                .iter()
                .map(|item| Self {
                    source: self.source,
                    start: item.span().start,
                    value: item.get_ref(),
                })
                .collect()),
            other => Err(self.error(
                format!("{what} is {} instead of a list", article(other)),
                "write `[.., ..]`",
            )),
        }
    }

    /// The entries of the table that stands here.
    pub(super) fn fields(&self, what: &str) -> Result<Vec<Entry<'a>>, CatalogError> {
        match self.value {
            DeValue::Table(table) => Ok(self.source.entries(table)),
            other => Err(self.error(
                format!("{what} is {} instead of a table", article(other)),
                "write `{ KEY = VALUE, .. }`",
            )),
        }
    }

    /// The line, counted from one.
    pub(super) fn line(&self) -> usize {
        self.error("", "").line
    }

    /// True if it is `true`.
    pub(super) fn is_true(&self) -> bool {
        matches!(self.value, DeValue::Boolean(true))
    }

    /// A whole number from zero on.
    pub(super) fn number(&self) -> Option<u64> {
        match self.value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        }
    }

    /// How the value looks, for messages.
    pub(super) fn shown(&self) -> String {
        match self.value {
            DeValue::String(text) => format!("`{}`", text.escape_debug()),
            DeValue::Integer(number) => format!("`{number}`"),
            DeValue::Boolean(value) => format!("`{value}`"),
            other => article(other).to_owned(),
        }
    }
}

/// The type of a value with its article.
fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
