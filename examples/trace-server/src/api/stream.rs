//! `GET /api/v1/debugger/stream`: spans as they arrive, as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, interval_at};

use super::{App, Call};
use crate::features::Payload;
use crate::model::Span;
use crate::problem::{Problem, Reason};
use crate::server::body::ResponseBody;
use crate::server::query::Query;
use crate::view;

/// Opens a stream. It carries
///
/// - `event: span` for each span;
/// - `event: missed` with how many spans a slow reader did not get;
/// - comments as heartbeats;
/// - `event: end` with the reason, as the last thing, when the server ends the stream.
pub(super) fn stream(app: &App, call: &Call) -> Result<Response<ResponseBody>, Problem> {
    let query = Query::parse(call.request.uri().query(), &["service"])?;
    let spans = app.live.watch(call.store.tenant()).ok_or(Reason::TooManyStreams)?;
    let closing = app.closing.subscribe();
    if *closing.borrow() {
        return Err(Reason::Overloaded.into());
    }
    let (sender, receiver) = mpsc::channel(WRITE_AHEAD);
    let stream = Stream {
        spans,
        sender,
        closing,
        service: query.text("service").map(Into::into),
        payload: call.payload,
        heartbeat: app.options.heartbeat,
        life: app.options.stream_life,
    };
    if call.request.method() == Method::GET {
        tokio::spawn(stream.run());
    }
    let mut response = Response::new(ResponseBody::events(receiver));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers before passing them on would gather this one for ever.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct Stream {
    spans: broadcast::Receiver<Arc<Span>>,
    sender: mpsc::Sender<Bytes>,
    closing: watch::Receiver<bool>,
    service: Option<String>,
    payload: Payload,
    heartbeat: Duration,
    life: Duration,
}

/// The stream is over.
struct Over;

impl Stream {
    async fn run(mut self) {
        let end = Instant::now() + self.life;
        let mut heartbeat = interval_at(Instant::now() + self.heartbeat, self.heartbeat);
        let mut closing = self.closing.clone();
        if self.send(Bytes::from_static(b"retry: 1000\n: watching\n\n")).await.is_err() {
            return;
        }
        let reason = loop {
            let sent = tokio::select! {
                biased;
                _ = closing.changed() => break "shutdown",
                () = self.sender.closed() => return,
                () = tokio::time::sleep_until(end) => break "renew",
                received = self.spans.recv() => match received {
                    Ok(span) => self.span(&span).await,
                    Err(RecvError::Lagged(missed)) => {
                        self.send(event("missed", &json!({ "missed": missed }))).await
                    }
                    Err(RecvError::Closed) => break "closed",
                },
                _ = heartbeat.tick() => self.send(Bytes::from_static(b": heartbeat\n\n")).await,
            };
            if sent.is_err() {
                return;
            }
        };
        // A reader that does not read is not waited for.
        let _ = self.sender.try_send(event("end", &json!({ "reason": reason })));
    }

    async fn span(&self, span: &Span) -> Result<(), Over> {
        let service = &span.resource.service;
        if self.service.as_ref().is_some_and(|wanted| wanted != service) {
            return Ok(());
        }
        let mut document = view::span(span, self.payload);
        document["trace_id"] = json!(span.trace_id);
        document["exchange_id"] = json!(span.exchange_id());
        document["service"] = json!(service);
        self.send(event("span", &document)).await
    }

    /// Writes, unless the reader is gone, stuck for too long, or the server stops.
    async fn send(&self, bytes: Bytes) -> Result<(), Over> {
        let mut closing = self.closing.clone();
        tokio::select! {
            biased;
            sent = self.sender.send(bytes) => sent.map_err(|_| Over),
            // Not `Over`: the loop sees it too and says good-bye.
            _ = closing.changed() => Ok(()),
            () = tokio::time::sleep(STUCK) => Err(Over),
        }
    }
}

fn event(name: &str, data: &Value) -> Bytes {
    // JSON text holds no line break, so one `data` line is enough.
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// How many events wait for a slow reader outside the tenant's channel.
const WRITE_AHEAD: usize = 16;
const STUCK: Duration = Duration::from_mins(1);
