//! Accepts connections and serves them, until told to stop.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// Answers requests of one listener.
pub(super) trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request of one peer.
    fn handle(
        &self,
        peer: IpAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;

    /// How long the connection of this peer may be idle.
    fn idle_timeout(&self, peer: IpAddr) -> Duration;
}

/// Connections wait here until they are accepted. Traefik opens one for nearly every question over
/// plain HTTP, so bursts are long.
const BACKLOG: u32 = 4096;

/// Traefik passes headers of up to 1 MiB and some slack; what is longer gets 431, which denies.
const MAX_HEADER_BYTES: usize = 1024 * 1024 + 256 * 1024;

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Binds a listener with a long backlog.
///
/// # Errors
///
/// If the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop`, then lets open requests finish for as long as `drain_timeout`.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<&Tls>,
    handler: impl Handler,
    stop: impl Future<Output = ()>,
    drain_timeout: Duration,
) {
    let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::clone(tls.server())));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection {
                    handler: handler.clone(),
                    peer: peer.ip(),
                    watcher: graceful.watcher(),
                };
                tokio::spawn(connection.accept(stream, acceptor.clone()));
            }
            Err(error) => {
                // Out of file descriptors, mostly: waiting lets some connections end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not finish in time and are closed");
    }
}

struct Connection<H> {
    handler: H,
    peer: IpAddr,
    watcher: Watcher,
}

impl<H: Handler> Connection<H> {
    async fn accept(self, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
        // Answers are small and complete; waiting for more would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "nagle's algorithm could not be switched off");
        }
        let Some(acceptor) = acceptor else {
            return self.serve(stream).await;
        };
        match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "no tls handshake"),
            Err(_) => tracing::debug!(peer = %self.peer, "the tls handshake took too long"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let Self { handler, peer, watcher } = self;
        let idle = handler.idle_timeout(peer);
        let mut builder = Builder::new(TokioExecutor::new());
        // Without a timer hyper ignores the time limits.
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_buf_size(MAX_HEADER_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
            .max_concurrent_streams(1024)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let service = service_fn(move |request| {
            let handler = handler.clone();
            async move { Ok::<_, Infallible>(handler.handle(peer, request).await) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, %peer, "a connection ended early");
        }
    }
}
