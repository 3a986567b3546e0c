//! Rows, as the statements name their columns.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use sqlx::FromRow;

use super::StoreError;
use crate::model::{Kind, Resource, Span, SpanId, Status, TraceId};

/// An exchange in short.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct ExchangeRow {
    pub exchange_id: String,
    pub trace_id: String,
    pub service: String,
    pub started_ns: i64,
    pub ended_ns: i64,
    pub spans: i64,
    pub errors: i64,
    pub entry_name: String,
}

/// A span of a trace, as far as joining exchanges needs it.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct TraceSpanRow {
    pub span_id: String,
    pub parent_span_id: Option<String>,
    pub service: String,
    pub name: String,
    pub start_ns: i64,
    pub end_ns: i64,
    pub status: i64,
}

/// An application in the topology.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct NodeRow {
    pub service: String,
    pub spans: i64,
    pub errors: i64,
    pub first_ns: i64,
    pub last_ns: i64,
}

/// Calls from one application to another.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct EdgeRow {
    pub caller: String,
    pub callee: String,
    pub calls: i64,
    pub errors: i64,
    pub p50_ns: i64,
    pub p95_ns: i64,
    pub max_ns: i64,
}

/// One instance of an application.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct AgentRow {
    pub service: String,
    pub instance: String,
    pub version: String,
    pub host: String,
    pub sdk_name: String,
    pub sdk_language: String,
    pub sdk_version: String,
    pub first_seen_us: i64,
    pub last_seen_us: i64,
    pub spans: i64,
}

/// What is stored, in numbers.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct StatusRow {
    pub exchanges: i64,
    pub spans: i64,
    pub errors: i64,
    pub bytes: i64,
    pub services: i64,
    pub oldest_ns: Option<i64>,
    pub newest_ns: Option<i64>,
    pub last_received_us: Option<i64>,
}

#[derive(FromRow)]
pub(super) struct SpanRow {
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    kind: i64,
    start_ns: i64,
    end_ns: i64,
    status: i64,
    status_message: String,
    trace_state: String,
    scope_name: String,
    scope_version: String,
    resource_id: String,
    attributes: String,
    events: String,
    links: String,
}

impl SpanRow {
    /// How much text the row holds.
    pub(super) fn bytes(&self) -> usize {
        self.attributes.len() + self.events.len() + self.links.len() + self.name.len()
    }

    pub(super) fn into_span(
        self,
        resources: &HashMap<String, Arc<Resource>>,
    ) -> Result<Span, StoreError> {
        let span_id = |text: &str| SpanId::parse(text).ok_or_else(|| corrupt("span_id"));
        Ok(Span {
            trace_id: TraceId::parse(&self.trace_id).ok_or_else(|| corrupt("trace_id"))?,
            span_id: span_id(&self.span_id)?,
            parent: self.parent_span_id.as_deref().map(span_id).transpose()?,
            resource: resources
                .get(&self.resource_id)
                .cloned()
                .ok_or_else(|| corrupt("resource_id"))?,
            name: self.name,
            kind: Kind::from_number(self.kind),
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            status: Status::from_number(self.status),
            status_message: self.status_message,
            trace_state: self.trace_state,
            scope_name: self.scope_name,
            scope_version: self.scope_version,
            attributes: from_json(&self.attributes, "attributes")?,
            events: from_json(&self.events, "events")?,
            links: from_json(&self.links, "links")?,
        })
    }
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("`{column}`: {error}")))
}

fn corrupt(column: &str) -> StoreError {
    StoreError::Corrupt(format!("`{column}` is not what was written"))
}
