//! `POST /v1/traces`: OTLP over HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::{App, Call};
use crate::model::Span;
use crate::otlp::{self, Batch, Encoding, Format};
use crate::problem::{Problem, Reason};
use crate::server::body::ResponseBody;
use crate::store::TenantStore;
use crate::turns::PATIENCE;

/// Takes spans. A large batch is stored in parts; when one of them fails, those before it stay, and the
/// sender, who is told to try again, adds only what is missing: a span that is there is not stored a
/// second time.
///
/// Whatever goes wrong is said the way OTLP says it, in the request's own content
/// type, or as JSON when that is not known.
pub(super) async fn ingest(app: &App, call: Call) -> Response<ResponseBody> {
    let format = Format::from_headers(call.request.headers());
    let known = format.as_ref().copied().unwrap_or(Format::Json);
    let result = match format {
        Ok(format) => take(app, call, format).await,
        Err(problem) => Err(problem),
    };
    match result {
        Ok(batch) => otlp::success(known, &batch),
        Err(problem) => {
            let reason = problem.reason().code();
            tracing::info!(reason, detail = problem.detail(), "refused spans");
            otlp::failure(known, &problem)
        }
    }
}

async fn take(app: &App, call: Call, format: Format) -> Result<Batch, Problem> {
    let limit = app.options.max_body_bytes;
    let encoding = Encoding::from_headers(call.request.headers())?;
    refuse_by_length(call.request.headers(), limit)?;
    let _upload = app.uploads.begin(call.store.tenant()).ok_or(Reason::Overloaded)?;
    let body = collect(call.request.into_body(), limit).await?;

    // Before what all tenants share: a tenant with much to store waits for itself.
    let turn = app.writes.begin(call.store.tenant()).await?;
    let permit = tokio::time::timeout(PATIENCE, Arc::clone(&app.decoding).acquire_owned()).await;
    let Ok(Ok(permit)) = permit else { return Err(Reason::Overloaded.into()) };
    // What was decoded takes memory until it is stored, and the decoding goes on when the sender
    // hangs up: turn and permit are with it all the time.
    let decode = move || (otlp::decode(&body, format, encoding, limit), turn, permit);
    let decoded = tokio::task::spawn_blocking(decode).await;
    let (batch, _turn, _permit) = decoded.map_err(|error| {
        tracing::error!(%error, "decoding did not finish");
        Problem::from(Reason::Overloaded)
    })?;
    let mut batch = batch?;
    store(app, &call.store, std::mem::take(&mut batch.spans)).await?;
    Ok(batch)
}

/// Stores spans, and shows them to those who watch, a part at a time: there is one writer, and
/// between two parts it is the others' turn.
async fn store(app: &App, store: &TenantStore, spans: Vec<Span>) -> Result<(), Problem> {
    let mut spans = spans.into_iter();
    while spans.len() > 0 {
        let part = spans.by_ref().take(PART).collect();
        let added = store.append(part).await?;
        app.live.publish(store.tenant(), &added);
    }
    Ok(())
}

/// Refuses before reading what says that it is too large.
fn refuse_by_length(headers: &HeaderMap, limit: usize) -> Result<(), Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if usize::try_from(length).map_or(true, |length| length > limit) => {
            Err(too_large(limit))
        }
        _ => Ok(()),
    }
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, Problem> {
    let collecting = Limited::new(body, limit).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collecting).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(error)) => Err(Problem::new(Reason::MalformedBody, error.to_string())),
        Err(_) => Err(Reason::BodyTimeout.into()),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Reason::BodyTooLarge, format!("the body is over {limit} bytes"))
}

const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How many spans are stored in one transaction. Fewer would make large batches slow, more would make
/// others wait.
pub(crate) const PART: usize = 2_000;
