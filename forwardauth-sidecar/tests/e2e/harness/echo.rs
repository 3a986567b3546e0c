//! An upstream that answers with what reached it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Answer;

/// The upstream; it ends with the test.
pub(crate) struct Echo {
    port: u16,
    hits: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<Value>>>,
    task: JoinHandle<()>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("127.0.0.1 has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let hits = Arc::new(AtomicUsize::new(0));
        let last = Arc::new(Mutex::new(None));
        let (counted, kept) = (Arc::clone(&hits), Arc::clone(&last));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (hits, last) = (Arc::clone(&counted), Arc::clone(&kept));
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        hits.fetch_add(1, Ordering::Relaxed);
                        let last = Arc::clone(&last);
                        async move {
                            let (head, body) = request.into_parts();
                            // Read to its end: an answer before that would close the connection.
                            body.collect().await?;
                            let seen = echo(&head);
                            let answer = Response::new(Full::<Bytes>::from(seen.to_string()));
                            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
                            Ok::<_, hyper::Error>(answer)
                        }
                    });
                    // A client that goes away is no concern of the upstream.
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        Self { port, hits, last, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The request that reached it last.
    pub(crate) fn last(&self) -> Option<Seen> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone().map(Seen)
    }

    /// How many requests have reached it.
    pub(crate) fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn echo(request: &Parts) -> Value {
    let headers: Vec<Value> = request
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let target = request.uri.to_string();
    json!({ "method": request.method.as_str(), "target": target, "headers": headers })
}

/// What the upstream says that it saw.
pub(crate) struct Seen(Value);

impl Seen {
    /// Reads it out of an answer; anything but the upstream's own 200 fails the test.
    #[track_caller]
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        Self(answer.json())
    }

    /// The values of a header by its exact name (in lower case), in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers().filter(|(n, _)| *n == name.to_ascii_lowercase()).map(|(_, v)| v).collect()
    }

    /// Names that differ from `name` but would be read as it by a server that makes variables of them.
    pub(crate) fn aliases(&self, name: &str) -> Vec<&str> {
        let wanted = as_variable(name);
        self.headers()
            .map(|(n, _)| n)
            .filter(|n| as_variable(n) == wanted && *n != name.to_ascii_lowercase())
            .collect()
    }

    /// All headers, names in lower case.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0["headers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)))
    }

    /// The method that the upstream was asked with.
    pub(crate) fn method(&self) -> &str {
        self.0["method"].as_str().unwrap_or_default()
    }

    /// The request target that the upstream got.
    pub(crate) fn target(&self) -> &str {
        self.0["target"].as_str().unwrap_or_default()
    }
}

/// How CGI, WSGI and PHP name a header: letters and digits stay, all else is an underscore.
fn as_variable(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}
