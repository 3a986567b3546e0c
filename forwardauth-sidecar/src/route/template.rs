//! Path templates: `/api/v1/exchanges/{id}`, `/server/{*rest}`.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

use crate::proxy::path::{CanonicalPath, PathError};

/// One segment of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Segment {
    /// Exactly this text.
    Literal(Box<str>),
    /// Any one segment that is not empty.
    Parameter,
    /// Whatever is left, be it nothing or any number of segments; only at the end.
    Rest,
}

/// A path with places to fill.
///
/// Literal segments go through the same canonicaliser as requests do, so a template can only be
/// written for paths that can be asked for, and `/caf%C3%A9` matches however a client escapes it.
#[derive(Clone, Debug)]
pub struct Template {
    text: Box<str>,
    segments: Box<[Segment]>,
}

/// Why a text is no template.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TemplateError {
    /// It does not begin with `/`.
    #[error("a path begins with `/`")]
    NotRooted,
    /// No request can have this path.
    #[error("no request can have this path, because {0}")]
    Impossible(#[from] PathError),
    /// A `?`; queries take no part in decisions.
    #[error("a query takes no part in a decision, leave it out")]
    Query,
    /// Braces that do not enclose a whole segment.
    #[error("braces enclose a whole segment: `{{id}}`, or `{{*rest}}` at the end")]
    Braces,
    /// A segment that is a placeholder elsewhere and would stand for itself here.
    #[error(
        "`{0}` would only match itself; write `{{id}}` for any one segment, `{{*rest}}` for all that \
         follow, or `%3A` and `%2A` for the characters"
    )]
    Foreign(String),
    /// A placeholder without a plain name.
    #[error("the name in braces is made of `a`-`z`, `0`-`9` and `_`")]
    Name,
    /// A name that is used twice.
    #[error("the name `{0}` is used twice")]
    NameTwice(String),
    /// `{*rest}` before the end.
    #[error("`{{*{0}}}` stands only at the end")]
    RestNotLast(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let rest = text.strip_prefix('/').ok_or(TemplateError::NotRooted)?;
        if text.contains('?') {
            return Err(TemplateError::Query);
        }
        let mut names = BTreeSet::new();
        let mut segments = Vec::new();
        // The path as a request would have it: every placeholder becomes a segment `x`.
        let mut example = String::new();
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            example.push('/');
            let inner = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let Some(inner) = inner else {
                if part.contains(['{', '}']) {
                    return Err(TemplateError::Braces);
                }
                if part.starts_with([':', '*']) {
                    return Err(TemplateError::Foreign(part.to_owned()));
                }
                let one = format!("/{part}");
                let literal = CanonicalPath::parse(one.as_bytes())?;
                segments.push(Segment::Literal(literal.as_str()[1..].into()));
                example.push_str(part);
                continue;
            };
            let name = inner.strip_prefix('*').unwrap_or(inner);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.is_empty() || !name.chars().all(plain) {
                return Err(TemplateError::Name);
            }
            if !names.insert(name) {
                return Err(TemplateError::NameTwice(name.to_owned()));
            }
            if inner.starts_with('*') {
                if parts.peek().is_some() {
                    return Err(TemplateError::RestNotLast(name.to_owned()));
                }
                segments.push(Segment::Rest);
            } else {
                segments.push(Segment::Parameter);
            }
            example.push('x');
        }
        CanonicalPath::parse(example.as_bytes())?;
        Ok(Self { text: text.into(), segments: segments.into() })
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether both match the same paths; names of placeholders make no difference.
    pub(super) fn is_same_shape(&self, other: &Self) -> bool {
        self.segments == other.segments
    }

    /// Whether this is `other` followed by `{*rest}`.
    pub(super) fn extends(&self, other: &Self) -> bool {
        self.segments
            .split_last()
            .is_some_and(|(last, front)| *last == Segment::Rest && *front == *other.segments)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &TemplateError) {
        assert_eq!(Template::parse(text).map(|t| t.to_string()), Err(expected.clone()));
    }

    #[test]
    fn templates_of_the_shipped_configuration() {
        for text in [
            "/",
            "/healthz",
            "/api/v1/exchanges/{id}/lineage",
            "/server/{*rest}",
            "/{*rest}",
            "/a/",
        ] {
            assert_eq!(Template::parse(text).expect("a template").as_str(), text);
        }
    }

    #[test]
    fn literals_are_canonical() {
        let shape = |text: &str| Template::parse(text).expect("a template");
        assert!(shape("/caf%C3%A9").is_same_shape(&shape("/caf%c3%a9")));
        assert!(shape("/%61dmin/{a}").is_same_shape(&shape("/admin/{b}")));
        assert!(!shape("/admin/").is_same_shape(&shape("/admin")));
        assert!(shape("/a/{*rest}").extends(&shape("/a")));
        assert!(!shape("/a/{*rest}").extends(&shape("/b")));
    }

    #[test]
    fn impossible_paths_are_refused() {
        refused("api", &TemplateError::NotRooted);
        refused("", &TemplateError::NotRooted);
        refused("/a/../b", &TemplateError::Impossible(PathError::DotSegment));
        refused("/a//b", &TemplateError::Impossible(PathError::EmptySegment));
        refused("/a//", &TemplateError::Impossible(PathError::EmptySegment));
        refused("/a;b", &TemplateError::Impossible(PathError::Semicolon));
        refused("/a%2fb", &TemplateError::Impossible(PathError::EscapedSeparator('/')));
        refused("/a#b", &TemplateError::Impossible(PathError::Fragment));
        refused("/a b", &TemplateError::Impossible(PathError::Space));
        refused("/a,/b", &TemplateError::Impossible(PathError::JoinedValues));
        refused("/a?b=c", &TemplateError::Query);
        refused("/a/x{id}", &TemplateError::Braces);
        refused("/a/{id}.json", &TemplateError::Braces);
        refused("/a/{}", &TemplateError::Name);
        refused("/a/{*}", &TemplateError::Name);
        refused("/a/{Id}", &TemplateError::Name);
        refused("/a/{id}/{id}", &TemplateError::NameTwice("id".to_owned()));
        refused("/a/{*rest}/b", &TemplateError::RestNotLast("rest".to_owned()));
    }
}
