//! A JSON value that knows where it stands.

use std::cell::Cell;
use std::fmt;

use super::value::{Object, Value};
use crate::otlp::budget;
use crate::problem::{Problem, Reason};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A value and where it stands.
pub(super) struct At<'a> {
    value: &'a Value<'a>,
    path: Path<'a>,
    /// How many spans there are in all lists so far.
    spans: &'a Cell<usize>,
}

/// Where a value stands; built while going down, written only when something is wrong.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Self, &'static str),
    Index(&'a Self, &'static str, usize),
}

impl<'a> At<'a> {
    /// The whole document.
    pub(super) fn root(value: &'a Value<'a>, spans: &'a Cell<usize>) -> Self {
        Self { value, path: Path::Root, spans }
    }
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of `At` named by its path is not general over the lifetime"
)]
impl At<'_> {
    pub(super) fn object(&self) -> Result<&Object<'_>, Problem> {
        self.value.as_object().ok_or_else(|| self.wrong("not an object"))
    }

    /// A field that is there and not null.
    fn member(&self, name: &'static str) -> Result<Option<At<'_>>, Problem> {
        let value = self.object()?.get(name).filter(|value| **value != Value::Null);
        Ok(value.map(|value| At { value, path: Path::Field(&self.path, name), spans: self.spans }))
    }

    pub(super) fn field<T>(
        &self,
        name: &'static str,
        decode: impl Fn(&At<'_>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.member(name)?.map(|at| decode(&at)).transpose()
    }

    pub(super) fn list<T>(
        &self,
        name: &'static str,
        decode: impl Fn(&At<'_>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let Some(at) = self.member(name)? else { return Ok(Vec::new()) };
        let items = at.value.as_list().ok_or_else(|| at.wrong("not an array"))?;
        if name == "spans" {
            self.spans.set(self.spans.get().saturating_add(items.len()));
            budget::check_spans(self.spans.get())?;
        }
        items
            .iter()
            .enumerate()
            .map(|(index, value)| {
                decode(&At { value, path: Path::Index(&self.path, name, index), spans: self.spans })
            })
            .collect()
    }

    pub(super) fn text(&self, name: &'static str) -> Result<String, Problem> {
        Ok(self.field(name, |at| at.as_text())?.unwrap_or_default())
    }

    pub(super) fn unsigned(&self, name: &'static str) -> Result<u64, Problem> {
        Ok(self.field(name, |at| at.as_unsigned())?.unwrap_or_default())
    }

    pub(super) fn hex(&self, name: &'static str) -> Result<Vec<u8>, Problem> {
        Ok(self.field(name, |at| at.as_hex())?.unwrap_or_default())
    }

    /// An enumeration: OTLP wants the number, some senders write the name.
    pub(super) fn named(
        &self,
        name: &'static str,
        number: impl Fn(&str) -> Option<i32>,
    ) -> Result<i32, Problem> {
        let read = |at: &At<'_>| match at.value {
            Value::Text(text) => number(text).ok_or_else(|| at.wrong("not a known name")),
            value => value
                .as_i64()
                .and_then(|number| i32::try_from(number).ok())
                .ok_or_else(|| at.wrong("not a 32-bit number")),
        };
        Ok(self.field(name, read)?.unwrap_or_default())
    }

    pub(super) fn as_text(&self) -> Result<String, Problem> {
        self.value.as_str().map(Into::into).ok_or_else(|| self.wrong("not text"))
    }

    pub(super) fn as_bool(&self) -> Result<bool, Problem> {
        self.value.as_bool().ok_or_else(|| self.wrong("neither true nor false"))
    }

    fn as_unsigned(&self) -> Result<u64, Problem> {
        match self.value {
            Value::Text(text) => text.parse().ok(),
            value => value.as_u64(),
        }
        .ok_or_else(|| self.wrong("not an unsigned 64-bit number"))
    }

    pub(super) fn as_signed(&self) -> Result<i64, Problem> {
        match self.value {
            Value::Text(text) => text.parse().ok(),
            value => value.as_i64(),
        }
        .ok_or_else(|| self.wrong("not a 64-bit number"))
    }

    pub(super) fn as_double(&self) -> Result<f64, Problem> {
        match self.value {
            // `NaN`, `Infinity` and `-Infinity` have no other form in JSON.
            Value::Text(text) => text.parse().ok(),
            value => value.as_f64(),
        }
        .ok_or_else(|| self.wrong("not a number"))
    }

    pub(super) fn as_base64(&self) -> Result<Vec<u8>, Problem> {
        let text = self.value.as_str().ok_or_else(|| self.wrong("not text"))?;
        BASE64_STANDARD.decode(text).map_err(|_| self.wrong("not base64"))
    }

    fn as_hex(&self) -> Result<Vec<u8>, Problem> {
        let text = self.value.as_str().ok_or_else(|| self.wrong("not text"))?;
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
        match digits {
            Some(digits) if digits.len() % 2 == 0 => {
                Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
            }
            _ => Err(self.wrong("not hex")),
        }
    }

    fn wrong(&self, what: &str) -> Problem {
        Problem::new(Reason::MalformedBody, format!("{}: {what}", self.path))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = match self {
            Self::Root => return f.write_str("request"),
            Self::Field(parent, _) | Self::Index(parent, ..) => *parent,
        };
        if !matches!(parent, Self::Root) {
            write!(f, "{parent}.")?;
        }
        match self {
            Self::Root => Ok(()),
            Self::Field(_, name) => f.write_str(name),
            Self::Index(_, name, index) => write!(f, "{name}[{index}]"),
        }
    }
}
