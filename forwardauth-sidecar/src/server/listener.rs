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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use super::opening::Opening;
use crate::config::Tls;

/// Answers requests of one listener.
pub(super) trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request of one peer.
    fn handle(
        &self,
        peer: IpAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;

    /// What this peer may take.
    fn terms(&self, peer: IpAddr) -> Terms;

    /// A connection was accepted.
    fn accepted(&self) {}
}

/// What a peer may take of a listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How long its connection may be idle, before the first request as well as between two.
    pub(super) idle: Duration,
    /// Most bytes of the headers of a request.
    pub(super) header_bytes: usize,
    /// Set for somebody who must not be able to use up the file descriptors: those share
    /// [`LIMITED_PLACES`] connections, and each ends this long after it was opened (over TLS: after
    /// the handshake), whatever happens on it.
    pub(super) life: Option<Duration>,
}

/// Connections wait here until they are accepted. Traefik opens one for nearly every question over
/// plain HTTP, so bursts are long.
const BACKLOG: u32 = 4096;

/// Traefik passes headers of up to 1 MiB and some slack; what is longer gets 431, which denies.
pub(super) const PROXY_HEADER_BYTES: usize = 1024 * 1024 + 256 * 1024;

/// More than any probe, scraper or command line sends.
pub(super) const SMALL_HEADER_BYTES: usize = 32 * 1024;

/// Connections of limited peers at the same time; further ones are closed as they come.
const LIMITED_PLACES: usize = 128;

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
    let places = Arc::new(Semaphore::new(LIMITED_PLACES));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                handler.accepted();
                let terms = handler.terms(peer.ip());
                let place = terms.life.map(|_| Arc::clone(&places).try_acquire_owned());
                let Ok(place) = place.transpose() else {
                    tracing::debug!(peer = %peer.ip(), "a connection too many is closed");
                    continue;
                };
                let connection = Connection {
                    handler: handler.clone(),
                    peer: peer.ip(),
                    terms,
                    watcher: graceful.watcher(),
                    _place: place,
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
    terms: Terms,
    watcher: Watcher,
    _place: Option<OwnedSemaphorePermit>,
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
        let Self { handler, peer, terms, watcher, _place } = self;
        // hyper looks at the first bytes for the version without a time limit of its own.
        let stream = Opening::new(stream, terms.idle);
        let mut builder = Builder::new(TokioExecutor::new());
        // Without a timer hyper ignores the time limits.
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(terms.idle)
            .max_buf_size(terms.header_bytes);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(terms.header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(1024)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let service = service_fn(move |request| {
            let handler = handler.clone();
            async move { Ok::<_, Infallible>(handler.handle(peer, request).await) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = watcher.watch(connection);
        let ended = match terms.life {
            None => connection.await,
            Some(life) => tokio::time::timeout(life, connection).await.unwrap_or_else(|_| {
                tracing::debug!(%peer, "a connection has lived its time");
                Ok(())
            }),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[derive(Clone)]
    struct Always(Terms);

    impl Handler for Always {
        async fn handle(&self, _: IpAddr, _: Request<Incoming>) -> Response<Full<Bytes>> {
            Response::new(Full::default())
        }

        fn terms(&self, _: IpAddr) -> Terms {
            self.0
        }
    }

    fn start(idle: Duration, life: Option<Duration>) -> SocketAddr {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let always = Always(Terms { idle, header_bytes: SMALL_HEADER_BYTES, life });
        tokio::spawn(serve(listener, None, always, std::future::pending(), Duration::ZERO));
        address
    }

    /// What a peer that sends this is told before it is sent away.
    async fn told(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(bytes).await.expect("the system takes some bytes");
        let mut told = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut told));
        // A reset is an end as well.
        let _ = end.await.expect("the connection is closed");
        told
    }

    #[tokio::test]
    async fn whoever_says_too_little_is_sent_away() {
        let address = start(Duration::from_millis(50), None);
        for bytes in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"G", b"GET /verify HTTP/1.1\r\nHo"] {
            let told = told(address, bytes).await;
            assert!(!told.starts_with(b"HTTP/1.1 2"), "{:?}", bytes.escape_ascii());
        }
    }

    #[tokio::test]
    async fn an_idle_connection_serves_until_its_time_is_up() {
        let address = start(Duration::from_millis(500), None);
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let question = b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n";
        for _ in 0..2 {
            stream.write_all(question).await.expect("it is open");
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(&answer, b"HTTP/1.1 200");
            let mut rest = [0; 512];
            let _ = stream.read(&mut rest).await.expect("the rest of the answer");
        }
    }

    /// HTTP/2 has pings, with which a connection that asks nothing would stay for ever.
    #[tokio::test]
    async fn a_limited_peer_is_sent_away_however_lively_it_is() {
        let address = start(Duration::from_mins(1), Some(Duration::from_millis(300)));
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it is open");
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("it is open");
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let lively = async {
            let mut answer = [0; 512];
            while stream.write_all(&ping).await.is_ok()
                && stream.read(&mut answer).await.is_ok_and(|read| read > 0)
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), lively).await.expect("it is closed");
    }

    #[tokio::test]
    async fn limited_peers_share_a_number_of_places() {
        let address = start(Duration::from_mins(1), Some(Duration::from_hours(1)));
        let mut open = Vec::new();
        for _ in 0..LIMITED_PLACES {
            open.push(TcpStream::connect(address).await.expect("it listens"));
        }
        assert_eq!(told(address, b"").await, b"", "one too many is closed at once");
        drop(open.pop());
        let question = b"GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n";
        for _ in 0..100 {
            if told(address, question).await.starts_with(b"HTTP/1.1 200") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a place that was given back is not given to the next");
    }
}
