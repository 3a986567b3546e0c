//! What is stored: spans, the resources that sent them, and the exchanges that they make up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod id;
mod time;

pub(crate) use id::{ExchangeId, SpanId, TraceId, content_hash};
pub(crate) use time::{parse_rfc3339_ns, rfc3339_ns, rfc3339_us};

/// One operation, as an application reported it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_field_names, reason = "`span_id` is what OTLP calls it")]
pub(crate) struct Span {
    /// The trace that the span is part of.
    pub trace_id: TraceId,
    /// The span's own id.
    pub span_id: SpanId,
    /// The span that caused it, perhaps in another application.
    pub parent: Option<SpanId>,
    /// What sent the span.
    pub resource: Arc<Resource>,
    /// What was done.
    pub name: String,
    /// On which side of a call.
    pub kind: Kind,
    /// When it began, in nanoseconds since 1970.
    pub start_ns: i64,
    /// When it ended, in nanoseconds since 1970.
    pub end_ns: i64,
    /// How it ended.
    pub status: Status,
    /// What the application said about how it ended.
    pub status_message: String,
    /// The W3C trace state.
    pub trace_state: String,
    /// The library that made the span.
    pub scope_name: String,
    /// That library's version.
    pub scope_version: String,
    /// The span's attributes.
    pub attributes: Attributes,
    /// What happened while it ran.
    pub events: Vec<Event>,
    /// Spans that it names besides its parent.
    pub links: Vec<Link>,
}

/// Attributes by name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Attributes(pub Map<String, Value>);

/// What sent a span.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resource {
    /// The application: `service.name`, with `service.namespace` and a slash before it if set.
    pub service: String,
    /// The resource's attributes.
    pub attributes: Attributes,
}

/// Something that happened while a span ran.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Event {
    /// When, in nanoseconds since 1970.
    pub time_ns: i64,
    /// What.
    pub name: String,
    /// More about it.
    pub attributes: Attributes,
}

/// A span that another span names besides its parent.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Link {
    /// The trace of the other span.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// More about it.
    pub attributes: Attributes,
}

/// On which side of a call a span stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Not said.
    Unspecified,
    /// Inside the application.
    Internal,
    /// Answers a request.
    Server,
    /// Sends a request.
    Client,
    /// Sends a message.
    Producer,
    /// Takes a message.
    Consumer,
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Not said.
    Unset,
    /// Well.
    Ok,
    /// Badly.
    Error,
}

impl Span {
    /// The exchange that the span is part of.
    pub(crate) fn exchange_id(&self) -> ExchangeId {
        ExchangeId::new(&self.trace_id, &self.resource.service)
    }

    /// How long it took; 0 when it ended before it began, which clocks that are set can do.
    pub(crate) fn duration_ns(&self) -> i64 {
        self.end_ns.saturating_sub(self.start_ns).max(0)
    }

    /// How likely the span is where the exchange was entered; smaller is likelier.
    pub(crate) fn entry_rank(&self) -> i64 {
        match (&self.parent, self.kind) {
            (None, _) => 0,
            (Some(_), Kind::Server | Kind::Consumer) => 1,
            (Some(_), _) => 2,
        }
    }
}

impl Attributes {
    /// The value as text, when the attribute is there and is text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }
}

impl Kind {
    /// The number that OTLP and the store use.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Unspecified => 0,
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
            Self::Producer => 4,
            Self::Consumer => 5,
        }
    }

    /// Reads the number; one that is not known says nothing, as OTLP asks of receivers.
    pub(crate) fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }
}

impl Status {
    /// The number that OTLP and the store use.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Unset => 0,
            Self::Ok => 1,
            Self::Error => 2,
        }
    }

    /// Reads the number; one that is not known says nothing.
    pub(crate) fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }
}
