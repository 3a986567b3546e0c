//! A stand-in for the sidecar that gives the answers which the sidecar must never give, so that it is
//! seen what Traefik and the shipped files make of them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Status and headers to answer with.
type StubAnswer = (u16, Vec<(String, String)>);

/// The stand-in; it ends with the test.
pub(crate) struct StubSidecar {
    port: u16,
    answer: Arc<Mutex<StubAnswer>>,
    task: JoinHandle<()>,
}

impl StubSidecar {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("127.0.0.1 has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let answer = Arc::new(Mutex::new((200, Vec::new())));
        let given = Arc::clone(&answer);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let given = Arc::clone(&given);
                tokio::spawn(async move {
                    let service = service_fn(move |_| {
                        let (status, headers) =
                            given.lock().unwrap_or_else(PoisonError::into_inner).clone();
                        async move {
                            let mut response = Response::builder().status(status);
                            for (name, value) in &headers {
                                response = response.header(name, value);
                            }
                            response.body(Full::new(Bytes::new()))
                        }
                    });
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        Self { port, answer, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on it answers so.
    pub(crate) fn answer<'a>(
        &self,
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let headers = headers.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = (status, headers);
    }
}

impl Drop for StubSidecar {
    fn drop(&mut self) {
        self.task.abort();
    }
}
