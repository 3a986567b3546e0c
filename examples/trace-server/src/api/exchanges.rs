//! Exchanges: the list, one of them, its lineage and its replay.

use http::Response;
use serde_json::json;

use super::Call;
use crate::model::ExchangeId;
use crate::problem::Problem;
use crate::server::body::{ResponseBody, json};
use crate::server::query::{Query, bad};
use crate::store::{ExchangeFilter, SinceUntil};
use crate::view;

/// `GET /api/v1/exchanges`
pub(super) async fn list(call: &Call) -> Result<Response<ResponseBody>, Problem> {
    let known = ["limit", "cursor", "service", "status", "since", "until"];
    let query = Query::parse(call.request.uri().query(), &known)?;
    let limit = query.limit("limit", DEFAULT_PAGE, MAX_PAGE)?;
    let filter = ExchangeFilter {
        window: SinceUntil {
            since_ns: query.time_ns("since")?.unwrap_or(i64::MIN),
            until_ns: query.time_ns("until")?.unwrap_or(i64::MAX),
        },
        service: query.text("service").map(Into::into),
        with_errors: query.text("status").map(status).transpose()?,
        after: query.text("cursor").map(cursor).transpose()?,
    };
    // One more than asked for tells whether there is a next page.
    let mut rows = call.store.exchanges(&filter, limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more);
    json(&json!({
        "exchanges": rows.iter().map(view::exchange).collect::<Vec<_>>(),
        "next_cursor": next.map(|row| format!("{}.{}", row.started_ns, row.exchange_id)),
    }))
}

/// `GET /api/v1/exchanges/{id}`
pub(super) async fn detail(call: &Call) -> Result<Response<ResponseBody>, Problem> {
    Query::parse(call.request.uri().query(), &[])?;
    let (row, spans) = call.exchange().await?;
    let mut resources: Vec<_> = Vec::new();
    for span in &spans {
        let attributes = view::payload::shown(&span.resource.attributes, call.payload);
        if !resources.contains(&attributes) {
            resources.push(attributes);
        }
    }
    json(&json!({
        "exchange": view::exchange(&row),
        "resources": resources,
        "truncated": view::is_truncated(&row, &spans),
        "spans": view::tree::tree(&spans, call.payload),
    }))
}

/// `GET /api/v1/exchanges/{id}/lineage`
pub(super) async fn lineage(call: &Call) -> Result<Response<ResponseBody>, Problem> {
    Query::parse(call.request.uri().query(), &[])?;
    let (row, spans) = call.exchange().await?;
    json(&view::lineage::lineage(&row, &spans, call.payload))
}

/// `POST /api/v1/exchanges/{id}/replay`
pub(super) async fn replay(call: &Call) -> Result<Response<ResponseBody>, Problem> {
    Query::parse(call.request.uri().query(), &[])?;
    let (row, spans) = call.exchange().await?;
    json(&view::replay::replay(&row, &spans, call.payload))
}

fn status(text: &str) -> Result<bool, Problem> {
    match text {
        "error" => Ok(true),
        "ok" => Ok(false),
        _ => Err(bad("`status` is neither `error` nor `ok`".into())),
    }
}

fn cursor(text: &str) -> Result<(i64, ExchangeId), Problem> {
    let parts = text
        .split_once('.')
        .and_then(|(started_ns, id)| Some((started_ns.parse().ok()?, ExchangeId::parse(id)?)));
    parts.ok_or_else(|| bad("`cursor` is not one that this server gave".into()))
}

const DEFAULT_PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;
