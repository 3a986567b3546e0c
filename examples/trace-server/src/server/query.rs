//! Query strings: known names, each at most once.

use std::collections::HashMap;
use std::str::FromStr;

use url::form_urlencoded;

use crate::model::parse_rfc3339_ns;
use crate::problem::{Problem, Reason};

/// A query's parameters.
///
/// A name that an endpoint does not know is refused: `?statu=error` would otherwise list
/// everything and look right.
#[derive(Debug)]
pub(crate) struct Query(HashMap<&'static str, String>);

impl Query {
    pub(crate) fn parse(query: Option<&str>, known: &[&'static str]) -> Result<Self, Problem> {
        let mut values = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let Some(name) = known.iter().find(|known| **known == name) else {
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                return Err(bad(format!("`{name}` is not known here; known: {known}")));
            };
            if values.insert(*name, value.into_owned()).is_some() {
                return Err(bad(format!("`{name}` is there more than once")));
            }
        }
        Ok(Self(values))
    }

    /// The value as text, unless it is empty or missing.
    pub(crate) fn text(&self, name: &'static str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The value as a time, in nanoseconds since 1970.
    pub(crate) fn time_ns(&self, name: &'static str) -> Result<Option<i64>, Problem> {
        let read = |text| {
            parse_rfc3339_ns(text)
                .ok_or_else(|| bad(format!("`{name}` is no time such as `2026-01-31T09:30:00Z`")))
        };
        self.text(name).map(read).transpose()
    }

    /// The value as a number from 1 to `max`.
    pub(crate) fn limit(&self, name: &'static str, default: u32, max: u32) -> Result<u32, Problem> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match u32::from_str(text) {
            Ok(number) if (1..=max).contains(&number) => Ok(number),
            _ => Err(bad(format!("`{name}` is no number from 1 to {max}"))),
        }
    }
}

/// A refusal of a parameter.
pub(crate) fn bad(detail: String) -> Problem {
    Problem::new(Reason::BadQuery, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_once_and_by_name() {
        let query = Query::parse(Some("service=a%2Fb+c&limit=7"), &["service", "limit"]).unwrap();
        assert_eq!(query.text("service"), Some("a/b c"));
        assert_eq!(query.limit("limit", 50, 500).unwrap(), 7);
        assert_eq!(query.time_ns("since").unwrap(), None);
    }

    #[test]
    fn the_rest_is_refused_by_name() {
        for (query, detail) in [
            ("statu=error", "`statu` is not known here; known: status, limit, since"),
            ("limit=1&limit=2", "`limit` is there more than once"),
        ] {
            let refused = Query::parse(Some(query), &["status", "limit", "since"]).unwrap_err();
            assert_eq!(refused.detail(), detail);
        }
        for limit in ["0", "501", "-1", "x", "1e3"] {
            let query = format!("limit={limit}");
            let query = Query::parse(Some(&query), &["limit"]).unwrap();
            assert!(query.limit("limit", 50, 500).is_err(), "{limit}");
        }
        let query = Query::parse(Some("since=yesterday"), &["since"]).unwrap();
        assert!(query.time_ns("since").is_err());
    }
}
