//! `GET /api/v1/debugger/stream`: spans as they arrive, as server-sent events.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval_at};

use super::{App, Call};
use crate::live::{Event, Seen, Watcher};
use crate::problem::{Problem, Reason};
use crate::server::body::ResponseBody;
use crate::server::query::Query;
use crate::view::event::event;

/// Opens a stream. It carries
///
/// - `event: span` for each span; of one that is too large only the ids, with `truncated`;
/// - `event: missed` with how many spans a slow reader did not get, at the place where they were;
/// - comments as heartbeats;
/// - `event: end` with the reason, as the last thing, when the server ends the stream.
pub(super) fn stream(app: &App, call: &Call) -> Result<Response<ResponseBody>, Problem> {
    let query = Query::parse(call.request.uri().query(), &["service"])?;
    let watched = app.live.watch(call.store.tenant(), call.payload);
    let spans = watched.ok_or(Reason::TooManyStreams)?;
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
    spans: Watcher,
    sender: mpsc::Sender<Bytes>,
    closing: watch::Receiver<bool>,
    service: Option<String>,
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
                seen = self.spans.next() => match seen {
                    Seen::Span(span) => self.span(span).await,
                    Seen::Missed(missed) => {
                        self.send(event("missed", &json!({ "missed": missed }))).await
                    }
                },
                _ = heartbeat.tick() => self.send(Bytes::from_static(b": heartbeat\n\n")).await,
            };
            if sent.is_err() {
                return;
            }
        };
        // A reader that does not read is not waited for.
        let end = event("end", &json!({ "reason": reason }));
        let _ = self.sender.send_timeout(end, GOODBYE).await;
    }

    async fn span(&self, span: Event) -> Result<(), Over> {
        match &self.service {
            Some(wanted) if !span.is_of(wanted) => Ok(()),
            _ => self.send(span.text).await,
        }
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

/// How many events wait for a slow reader outside the tenant's channel, which is bounded in bytes.
const WRITE_AHEAD: usize = 1;
const GOODBYE: Duration = Duration::from_secs(1);
const STUCK: Duration = Duration::from_mins(1);
