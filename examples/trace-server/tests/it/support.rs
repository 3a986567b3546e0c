//! A running server, a client that sends exactly what it is told, and traces to send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use trace_server::{Clock, Options, Server};

/// All features, as a business plan has them.
pub(crate) const FULL: &str = r#"cross_service_correlation, exchange_replay, live_route_debugger, payload_lineage="full", topology_graph, retention_days=365"#;
/// The features of a low plan.
pub(crate) const LOW: &str = r#"payload_lineage="limited", topology_graph, retention_days=7"#;

/// 2026-01-01T00:00:00Z.
pub(crate) const NEW_YEAR: i64 = 1_767_225_600;
pub(crate) const TRACE: [u8; 16] = [0x5b; 16];

/// A server that runs until it is dropped or stopped.
pub(crate) struct Running {
    pub address: SocketAddr,
    /// The server's time, in seconds since 1970.
    pub now: Arc<AtomicI64>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let now = Arc::new(AtomicI64::new(NEW_YEAR));
        let reads = Arc::clone(&now);
        let mut options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            store: "sqlite::memory:".into(),
            max_body_bytes: 1024 * 1024,
            default_retention_days: 7,
            idle: Duration::from_mins(2),
            send: Duration::from_mins(1),
            stream_capacity: 8,
            heartbeat: Duration::from_millis(200),
            stream_life: Duration::from_mins(1),
            clock: Clock::new(move || {
                let seconds = u64::try_from(reads.load(Ordering::SeqCst)).unwrap();
                UNIX_EPOCH + Duration::from_secs(seconds)
            }),
        };
        change(&mut options);
        let server = Server::bind(options).await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address, now, stop, task }
    }

    /// Stops the server and waits until it has.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }

    pub(crate) fn advance(&self, days: i64) {
        self.now.fetch_add(days * 24 * 60 * 60, Ordering::SeqCst);
    }

    pub(crate) async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.open(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a request and gives back the answer before its body.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        self.connect().await.send_request(request).await.unwrap()
    }

    pub(crate) async fn get(&self, tenant: &str, features: &str, path: &str) -> Answer {
        self.send(request("GET", path, tenant, features)).await
    }

    pub(crate) async fn post(&self, tenant: &str, features: &str, path: &str) -> Answer {
        self.send(request("POST", path, tenant, features)).await
    }

    pub(crate) async fn export(&self, tenant: &str, export: &ExportTraceServiceRequest) -> Answer {
        let mut request = request("POST", "/v1/traces", tenant, FULL);
        request.headers_mut().insert("content-type", "application/x-protobuf".parse().unwrap());
        *request.body_mut() = Full::new(export.encode_to_vec().into());
        self.send(request).await
    }

    pub(crate) async fn export_ok(&self, tenant: &str, export: &ExportTraceServiceRequest) {
        let answer = self.export(tenant, export).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    }

    /// The id of the only exchange of a tenant.
    pub(crate) async fn only_exchange(&self, tenant: &str) -> String {
        let list = self.get(tenant, FULL, "/api/v1/exchanges").await.json();
        assert_eq!(list["exchanges"].as_array().unwrap().len(), 1, "{list}");
        list["exchanges"][0]["id"].as_str().unwrap().into()
    }
}

pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, StatusCode::OK, "{text}");
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The reason of a problem, after checking that it is one.
    #[track_caller]
    pub(crate) fn reason(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        let reason = problem["reason"].as_str().unwrap().to_owned();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], format!("urn:trace-server:problem:{reason}"));
        (self.status.as_u16(), reason)
    }
}

pub(crate) fn request(
    method: &str,
    path: &str,
    tenant: &str,
    features: &str,
) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "traces.example.com")
        .header("x-tenant-id", tenant)
        .header("x-tenant-features", features)
        .body(Full::default())
        .unwrap()
}

pub(crate) fn json_export(tenant: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = request("POST", "/v1/traces", tenant, FULL);
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    *request.body_mut() = Full::new(body.into());
    request
}

/// One application's spans.
pub(crate) fn export(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let attributes = vec![text("service.name", service)];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// A span of [`TRACE`] that begins `start_ms` after the new year and takes 10 ms.
pub(crate) fn span(id: u64, parent: u64, name: &str, start_ms: u64) -> Span {
    let start = u64::try_from(NEW_YEAR).unwrap() * 1_000_000_000 + start_ms * 1_000_000;
    Span {
        trace_id: TRACE.into(),
        span_id: id.to_be_bytes().into(),
        parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().into() },
        name: name.into(),
        kind: if parent == 0 { 2 } else { 1 },
        start_time_unix_nano: start,
        end_time_unix_nano: start + 10_000_000,
        ..Span::default()
    }
}

pub(crate) fn in_trace(trace: u8, mut span: Span) -> Span {
    span.trace_id = vec![trace; 16];
    span
}

pub(crate) fn failed(mut span: Span) -> Span {
    span.status = Some(Status { code: 2, message: "failed".into() });
    span
}

pub(crate) fn with(mut span: Span, attributes: &[(&str, &str)]) -> Span {
    span.attributes.extend(attributes.iter().map(|(key, value)| text(key, value)));
    span
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}
