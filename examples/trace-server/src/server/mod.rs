//! Connections in, answers out, and an orderly end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::api::App;
use crate::clock::Clock;
use crate::live::Live;
use crate::store::{Store, StoreError};
use crate::turns::Turns;
use crate::uploads::Uploads;

pub(crate) mod body;
#[cfg(test)]
mod fairness;
pub(crate) mod query;
pub(crate) mod route;
mod sending;

use sending::Sending;

/// What a server is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Where to keep spans: `sqlite:FILE` or `sqlite::memory:`.
    pub store: String,
    /// The largest body of a request, before and after decompression.
    pub max_body_bytes: usize,
    /// How many days back a tenant sees whose features do not say.
    pub default_retention_days: u32,
    /// How long a connection may stay without a request, from its first moment on. Longer than the
    /// proxy keeps one that is idle (Traefik: 90 s), so that it is the proxy that closes and no
    /// request meets a connection that is just going.
    pub idle: Duration,
    /// How long an answer may take to be sent, until its last byte has left; live streams have
    /// `stream_life`.
    pub send: Duration,
    /// How many spans a live stream may lag behind before it misses some.
    pub stream_capacity: usize,
    /// How often a live stream that is idle shows that it is there.
    pub heartbeat: Duration,
    /// How long a live stream stays open. Its reader comes back by itself, and the gateway judges
    /// it anew: a plan that ended is noticed after this long at the latest.
    pub stream_life: Duration,
    /// Where the time comes from.
    pub clock: Clock,
}

/// A server that has its address and its store, and is ready to run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    app: Arc<App>,
    closing: watch::Sender<bool>,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be had.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error("cannot open the store: {0}")]
    Store(#[from] StoreError),
}

impl Server {
    /// Opens the store and takes the address. From here on connections wait to be accepted.
    ///
    /// # Errors
    ///
    /// When the store cannot be opened or the address is taken.
    pub async fn bind(options: Options) -> Result<Self, StartError> {
        let store = Store::open(&options.store, options.clock.clone()).await?;
        let address = options.listen;
        let listen_error = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen_error)?;
        let local_addr = listener.local_addr().map_err(listen_error)?;
        let (closing, _) = watch::channel(false);
        let app = Arc::new(App {
            store,
            live: Live::new(options.stream_capacity),
            uploads: Uploads::default(),
            router: route::router(),
            decoding: Arc::new(Semaphore::new(CONCURRENT_DECODES)),
            writes: Turns::new(TENANT_WRITES),
            reads: Turns::new(TENANT_READS),
            closing: closing.clone(),
            options,
        });
        Ok(Self { listener, local_addr, app, closing })
    }

    /// The address that the server has.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until `stop` is done; then takes no more connections, ends the live streams,
    /// finishes what is running and closes the store.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        tokio::pin!(stop);
        loop {
            let place = tokio::select! {
                () = &mut stop => break,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let stream = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
            };
            match stream {
                Ok((stream, _)) => {
                    let serving = serve(Arc::clone(&self.app), stream, graceful.watcher());
                    tokio::spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, mostly: trying again at once would only spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.listener);
        self.closing.send_replace(true);
        if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        self.app.store.close().await;
    }
}

/// Answers on one connection until it ends.
async fn serve(app: Arc<App>, stream: TcpStream, watcher: Watcher) {
    let sending = Sending::new();
    let (answering, begins) = (Arc::clone(&app), sending.clone());
    let service = service_fn(move |request| {
        let (app, sending) = (Arc::clone(&answering), begins.clone());
        async move {
            let answer = app.answer(request).await;
            let sent = sending.begin(app.options.send);
            Ok::<_, Infallible>(answer.map(|body| body.holding(sent)))
        }
    });
    // HTTP/1 only: OTLP over HTTP and the proxy ask for nothing else, and a builder that guesses the
    // version waits for the first bytes without an end. The limit counts from the connection's
    // start and from each answer to the end of the next request's headers; without a timer it is
    // silently off.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.options.idle)
        .max_buf_size(CONNECTION_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = watcher.watch(connection) => if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        },
        () = sending.overdue() => tracing::debug!("an answer was not taken in time"),
    }
}

const DRAIN: Duration = Duration::from_secs(10);
const MAX_CONNECTIONS: usize = 1024;
/// What a connection reads ahead and keeps of an answer that is not taken; headers must fit.
const CONNECTION_BUFFER: usize = 64 * 1024;
/// Batches that are decoded, or decoded and not yet stored: they are what takes memory, and more at once
/// would not be faster either.
const CONCURRENT_DECODES: usize = 4;
/// How many of those are one tenant's.
const TENANT_WRITES: usize = 1;
/// How many of the store's readers one tenant has, and answers in memory until they are sent: half of
/// the readers.
const TENANT_READS: usize = 2;
