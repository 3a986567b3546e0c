//! A tenant with much to store does not keep others from storing, nor does one that does not read keep
//! others from reading.
//!
//! Nothing here depends on how fast anything is: the test holds the writer, and gives it away only when
//! it knows who stands in line for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use clap::Parser as _;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::{CONCURRENT_DECODES, Server};
use crate::api::{App, PART};
use crate::args::Args;
use crate::clock::Clock;
use crate::model::{ExchangeId, TraceId};
use crate::tenant::Tenant;

const GREEDY: [&str; 2] = ["greedy-1", "greedy-2"];
/// How many requests each of them sends.
const EACH: usize = 4;

fn tenant(id: &'static str) -> Tenant {
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant-id", HeaderValue::from_static(id));
    Tenant::from_headers(&headers).unwrap()
}

fn batch(trace: u8, spans: usize) -> Bytes {
    batch_of(trace, spans, "")
}

/// Spans of one trace, each with a name.
fn batch_of(trace: u8, spans: usize, name: &str) -> Bytes {
    let span = |id: usize| Span {
        trace_id: vec![trace; 16],
        span_id: (id as u64).to_be_bytes().into(),
        name: name.into(),
        ..Span::default()
    };
    let scope_spans =
        vec![ScopeSpans { spans: (1..=spans).map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

/// A server, the time that it asks for, and a way to send spans to it.
struct Running {
    app: Arc<App>,
    address: std::net::SocketAddr,
    /// How often the server asked for the time: once for each request, and once more whenever spans
    /// stand in line for the writer.
    asked: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

impl Running {
    async fn start() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let asks = Arc::clone(&asked);
        let arguments = ["trace-server", "--listen=127.0.0.1:0", "--store=sqlite::memory:"];
        let mut options = Args::parse_from(arguments).into_options();
        options.clock = Clock::new(move || {
            asks.fetch_add(1, Ordering::SeqCst);
            UNIX_EPOCH
        });
        let server = Server::bind(options).await.unwrap();
        let (app, address) = (Arc::clone(&server.app), server.local_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { app, address, asked, _stop: stop }
    }

    fn send(&self, tenant: &'static str, body: Bytes) -> impl Future<Output = StatusCode> + use<> {
        let request = Request::post("/v1/traces")
            .header("host", "traces.example.com")
            .header("x-tenant-id", tenant)
            .header("content-type", "application/x-protobuf")
            .body(Full::new(body))
            .unwrap();
        let address = self.address;
        async move {
            let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
            let (mut sender, connection) = handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let answer = sender.send_request(request).await.unwrap();
            let status = answer.status();
            answer.into_body().collect().await.unwrap();
            status
        }
    }

    /// Waits until the server has asked for the time so often.
    async fn has_asked(&self, times: usize) {
        until(|| self.asked.load(Ordering::SeqCst) >= times).await;
        assert_eq!(self.asked.load(Ordering::SeqCst), times, "more are at work than should be");
    }
}

/// Waits for as long as it takes on the slowest machine; whoever waits for nothing learns it.
async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(25), waiting).await.expect("it never happened");
}

/// Lets a future take its place in line.
async fn stands_in_line<F: Future>(mut future: Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn the_modest_are_answered_while_the_greedy_have_work_queued() {
    let server = Running::start().await;
    let app = &server.app;
    let writer = app.store.hold_writer().await;
    let stored = Arc::new(AtomicUsize::new(0));
    let mut sending = Vec::new();
    for greedy in GREEDY {
        for trace in 1..=EACH {
            let sent = server.send(greedy, batch(u8::try_from(trace).unwrap(), PART + 1));
            let stored = Arc::clone(&stored);
            sending.push(tokio::spawn(async move {
                if sent.await == StatusCode::OK {
                    stored.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
    }

    // All of them are there, and one of each tenant has come as far as the writer.
    until(|| GREEDY.iter().all(|id| app.writes.places(&tenant(id)) == EACH)).await;
    assert_eq!(app.decoding.available_permits(), CONCURRENT_DECODES - GREEDY.len());
    server.has_asked(GREEDY.len() * (EACH + 1)).await;

    let modest = tokio::spawn(server.send("modest", batch(1, 1)));
    server.has_asked(GREEDY.len() * (EACH + 1) + 2).await;
    let mut again = Box::pin(app.store.hold_writer());
    assert!(stands_in_line(again.as_mut()).await);
    drop(writer);
    let writer = again.await;

    // Before the test were the first part of each greedy tenant's first request, and the modest one's.
    assert_eq!(modest.await.unwrap(), StatusCode::OK);
    assert_eq!(stored.load(Ordering::SeqCst), 0, "a greedy request was stored first, and whole");
    drop(writer);
    for one in sending {
        one.await.unwrap();
    }
    assert_eq!(stored.load(Ordering::SeqCst), GREEDY.len() * EACH, "the greedy are not refused");
}

#[tokio::test]
async fn a_batch_that_was_stored_in_part_is_completed_by_a_retry() {
    let server = Running::start().await;
    let acme = server.app.store.for_tenant(&tenant("acme"), 1);
    // What a sender that hung up after the first part has left behind.
    assert_eq!(server.send("acme", batch(1, PART)).await, StatusCode::OK);
    for _ in 0..2 {
        assert_eq!(server.send("acme", batch(1, PART + 1)).await, StatusCode::OK);
        let status = acme.status().await.unwrap();
        assert_eq!((status.exchanges, status.spans), (1, i64::try_from(PART).unwrap() + 1));
    }
}

#[tokio::test]
async fn a_read_lasts_until_its_answer_is_taken() {
    let server = Running::start().await;
    let acme = tenant("acme");
    // More than what the system takes off the server's hands.
    assert_eq!(server.send("acme", batch_of(1, 16, &"x".repeat(900_000))).await, StatusCode::OK);
    let trace = TraceId::from_bytes(&[1; 16]).unwrap();
    let exchange = ExchangeId::new(&trace, "unknown_service");

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let path = format!("/api/v1/exchanges/{}", exchange.as_str());
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-tenant-id: acme\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(server.app.reads.places(&acme), 1, "most of it is still in memory");
    drop(stream);
    until(|| server.app.reads.places(&acme) == 0).await;
}
