//! What spans more than one exchange: topology, correlations, agents, status.

use http::Response;
use serde_json::{Value, json};

use super::{Call, MAX_SPANS};
use crate::model::{TraceId, rfc3339_ns, rfc3339_us};
use crate::problem::{Problem, Reason};
use crate::server::body::{ResponseBody, json};
use crate::server::query::Query;
use crate::store::{AgentRow, EdgeRow, NodeRow};
use crate::view;

/// `GET /api/v1/topology`
pub(super) async fn topology(call: &Call) -> Result<Response<ResponseBody>, Problem> {
    let query = Query::parse(call.request.uri().query(), &["since"])?;
    let since_ns = query.time_ns("since")?;
    let rows = call.store.topology(since_ns.unwrap_or(i64::MIN), MAX_TOPOLOGY_SPANS).await?;
    json(&json!({
        "since": since_ns.map(rfc3339_ns),
        "nodes": rows.nodes.iter().map(node).collect::<Vec<_>>(),
        "truncated": rows.nodes.iter().map(|node| node.spans).sum::<i64>() >= MAX_TOPOLOGY_SPANS.into(),
        "edges": rows.edges.iter().map(edge).collect::<Vec<_>>(),
    }))
}

/// `GET /api/v1/correlations/{trace_id}`
pub(super) async fn correlation(call: &Call) -> Result<Response<ResponseBody>, Problem> {
    Query::parse(call.request.uri().query(), &[])?;
    let trace = TraceId::parse(&call.id).ok_or(Reason::UnknownTrace)?;
    let exchanges = call.store.exchanges_of_trace(&trace, MAX_EXCHANGES).await?;
    if exchanges.is_empty() {
        return Err(Reason::UnknownTrace.into());
    }
    let spans = call.store.spans_of_trace(&trace, MAX_SPANS).await?;
    let truncated = spans.len() >= MAX_SPANS as usize || exchanges.len() >= MAX_EXCHANGES as usize;
    json(&view::correlation::correlation(&trace, &exchanges, &spans, truncated))
}

/// `GET /api/v1/agents`
pub(super) async fn agents(call: &Call) -> Result<Response<ResponseBody>, Problem> {
    Query::parse(call.request.uri().query(), &[])?;
    let mut rows = call.store.agents(MAX_AGENTS + 1).await?;
    let truncated = rows.len() > MAX_AGENTS as usize;
    rows.truncate(MAX_AGENTS as usize);
    json(&json!({
        "agents": rows.iter().map(agent).collect::<Vec<_>>(),
        "truncated": truncated,
    }))
}

/// `GET /api/v1/status`
pub(super) async fn status(call: &Call) -> Result<Response<ResponseBody>, Problem> {
    Query::parse(call.request.uri().query(), &[])?;
    let row = call.store.status().await?;
    json(&json!({
        "tenant": call.store.tenant().as_str(),
        "exchanges": row.exchanges,
        "spans": row.spans,
        "errors": row.errors,
        "services": row.services,
        "stored_bytes": row.bytes,
        "oldest_at": row.oldest_ns.map(rfc3339_ns),
        "newest_at": row.newest_ns.map(rfc3339_ns),
        "last_received_at": row.last_received_us.map(rfc3339_us),
    }))
}

fn node(row: &NodeRow) -> Value {
    json!({
        "service": row.service,
        "spans": row.spans,
        "errors": row.errors,
        "first_at": rfc3339_ns(row.first_ns),
        "last_at": rfc3339_ns(row.last_ns),
    })
}

fn edge(row: &EdgeRow) -> Value {
    json!({
        "from": row.caller,
        "to": row.callee,
        "calls": row.calls,
        "errors": row.errors,
        "p50_ns": row.p50_ns,
        "p95_ns": row.p95_ns,
        "max_ns": row.max_ns,
    })
}

fn agent(row: &AgentRow) -> Value {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "service": row.service,
        "instance": text(&row.instance),
        "version": text(&row.version),
        "host": text(&row.host),
        "sdk": {
            "name": text(&row.sdk_name),
            "language": text(&row.sdk_language),
            "version": text(&row.sdk_version),
        },
        "first_seen_at": rfc3339_us(row.first_seen_us),
        "last_seen_at": rfc3339_us(row.last_seen_us),
        "spans": row.spans,
    })
}

const MAX_AGENTS: u32 = 1_000;
/// The newest spans that a topology is made of; its cost must not grow with the store.
const MAX_TOPOLOGY_SPANS: u32 = 100_000;
const MAX_EXCHANGES: u32 = 1_000;
