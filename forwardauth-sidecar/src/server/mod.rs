//! Two listeners: what the proxy asks, and what the operator asks.
//!
//! [`Server`] is the whole of a configuration; [`serve_gateway`] is the gateway's listener alone,
//! for whoever has a [`Gateway`] already.

mod admin;
mod gateway;
mod listener;
mod opening;
mod restart;
mod state;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use auth_core::Clock;
use auth_core::gate::Gate;
use bytes::Bytes;
use entitlements::EntitlementService;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::admin::Admin;
pub use self::gateway::{Gateway, Parts};
pub use self::listener::bind;
use self::listener::{Handler, PROXY_HEADER_BYTES, SMALL_HEADER_BYTES, Terms};
pub use self::state::State;
use crate::config::{Config, Tls};

/// Why a server cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The source of an issuer's keys cannot be used.
    #[error("the keys of an issuer cannot be fetched")]
    Keys(#[from] auth_core::keys::FetchError),
    /// The issuers do not go together.
    #[error("the issuers do not go together")]
    Policy(#[from] auth_core::PolicyError),
}

/// Both listeners, bound, and everything behind them.
#[derive(Debug)]
pub struct Server {
    gateway: Arc<Gateway>,
    questions: TcpListener,
    operator: TcpListener,
    tls: Option<Tls>,
    required_issuers: Arc<[String]>,
    drain_wait: Duration,
    drain_timeout: Duration,
}

impl Server {
    /// Binds both listeners and starts what keeps keys and entitlements fresh. Neither the store
    /// nor an identity provider has to be there: the server becomes ready by itself, with a snapshot
    /// at once.
    ///
    /// # Errors
    ///
    /// If an address is taken, or the issuers cannot be used.
    pub fn start(config: &Config, clock: impl Clock + Clone) -> Result<Self, StartError> {
        let verifier = config.verifier(clock.clone())?.build()?;
        let service_clock = clock.clone();
        let builder = EntitlementService::builder(config.store.url(), config.catalog.clone())
            .clock(move || service_clock.now())
            .max_stale(config.store.max_stale)
            .capacity(config.store.cache_tenants);
        let entitlements = restart::start(builder, config.store.snapshot.as_ref(), &verifier);
        Self::with_gate(config, Gate::new(verifier, entitlements), clock)
    }

    /// As [`Self::start`], with a gate of one's own.
    ///
    /// # Errors
    ///
    /// If an address is taken.
    pub fn with_gate(config: &Config, gate: Gate, clock: impl Clock) -> Result<Self, StartError> {
        let bind_to =
            |address| bind(address).map_err(|source| StartError::Bind { address, source });
        let questions = bind_to(config.gateway.listen)?;
        let operator = bind_to(config.admin.listen)?;
        let parts = Parts {
            gate,
            routes: Arc::clone(&config.routes),
            proxy: config.gateway.proxy,
            trusted_proxies: config.gateway.trusted_proxies.clone(),
            deadline: config.gateway.deadline,
            cache_entries: config.tokens.cache_entries,
        };
        let required = config.issuers.iter().filter(|issuer| issuer.required);
        Ok(Self {
            gateway: Gateway::new(parts, clock),
            questions,
            operator,
            tls: config.gateway.tls.clone(),
            required_issuers: required.map(|issuer| issuer.policy().name().to_owned()).collect(),
            drain_wait: config.gateway.drain_wait,
            drain_timeout: config.gateway.drain_timeout,
        })
    }

    /// Where the gateway listens.
    ///
    /// # Errors
    ///
    /// If the system does not know.
    pub fn gateway_address(&self) -> io::Result<SocketAddr> {
        self.questions.local_addr()
    }

    /// Where the operator asks.
    ///
    /// # Errors
    ///
    /// If the system does not know.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.operator.local_addr()
    }

    /// What answers.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Serves until `stop`; then withdraws readiness, waits until the load balancers have seen it,
    /// stops accepting and lets open requests finish. A second signal, `hurry`, ends the waiting.
    pub async fn run(self, stop: impl Future<Output = ()>, hurry: impl Future<Output = ()>) {
        let (stop_sender, stopped) = watch::channel(false);
        let wait = |mut stopped: watch::Receiver<bool>| async move {
            // An error means that the sender is gone, which also means stop.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let verifier = self.gateway.gate().verifier().clone();
        let keys = tokio::spawn(async move { verifier.keep_fresh().await });
        let admin = Admin {
            gateway: Arc::clone(&self.gateway),
            required_issuers: Arc::clone(&self.required_issuers),
        };
        let admin_stop = wait(stopped.clone());
        let admin = tokio::spawn(async move {
            listener::serve(self.operator, None, admin, admin_stop, Duration::from_secs(1)).await;
        });
        let (gateway, timeout) = (Arc::clone(&self.gateway), self.drain_timeout);
        let gateway_stop = wait(stopped);
        let questions = tokio::spawn(async move {
            serve_gateway(self.questions, self.tls.as_ref(), gateway, gateway_stop, timeout).await;
        });

        stop.await;
        self.gateway.state().drain();
        tracing::info!(wait = ?self.drain_wait, "draining");
        let finish = async {
            tokio::time::sleep(self.drain_wait).await;
            // The receivers are the listeners; without them there is nothing to stop.
            let _ = stop_sender.send(true);
            let _ = questions.await;
            let _ = admin.await;
        };
        tokio::select! {
            () = finish => tracing::info!("stopped"),
            () = hurry => tracing::warn!("stopped without waiting"),
        }
        keys.abort();
    }
}

/// Serves a gateway on a listener until `stop`, then lets open questions finish for as long as
/// `drain_timeout`.
pub async fn serve_gateway(
    listener: TcpListener,
    tls: Option<&Tls>,
    gateway: Arc<Gateway>,
    stop: impl Future<Output = ()>,
    drain_timeout: Duration,
) {
    listener::serve(listener, tls, Questions(gateway), stop, drain_timeout).await;
}

/// Answers the proxy.
#[derive(Clone, Debug)]
struct Questions(Arc<Gateway>);

impl Handler for Questions {
    async fn handle(&self, peer: IpAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
        // Method, query and body of the question itself mean nothing, and the body is never read.
        if request.uri().path() == "/verify" {
            return self.0.verify(peer, request.headers()).await;
        }
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }

    fn terms(&self, peer: IpAddr) -> Terms {
        if self.0.trusts(peer) {
            Terms { idle: KEEP_ALIVE, header_bytes: PROXY_HEADER_BYTES, life: None }
        } else {
            Terms { idle: STRANGER, header_bytes: SMALL_HEADER_BYTES, life: Some(STRANGER) }
        }
    }

    fn accepted(&self) {
        self.0.metrics().connected();
    }
}

/// Longer than the 90 s after which Traefik drops an idle connection: it must be the one that
/// closes, or it will send a question into a connection that is going away.
const KEEP_ALIVE: Duration = Duration::from_mins(2);
const _: () = assert!(KEEP_ALIVE.as_secs() > 90, "Traefik must be the one that closes");

/// For whoever is refused anyway: how long a connection may be idle, and how long it lives.
const STRANGER: Duration = Duration::from_secs(5);
