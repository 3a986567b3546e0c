//! The gate around a plain hyper service.

use std::convert::Infallible;

use auth_core::{
    Identity,
    gate::{Gate, GateLayer},
};
use bytes::Bytes;
use entitlements::EntitlementSet;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tower::{ServiceBuilder, service_fn};

/// Serves until the listener fails.
///
/// # Errors
///
/// What accepting a connection says.
pub async fn serve(listener: tokio::net::TcpListener, gate: Gate) -> std::io::Result<()> {
    let service = ServiceBuilder::new().layer(GateLayer::new(gate)).service(service_fn(whoami));
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn whoami(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let identity = request.extensions().get::<Identity>().map(Identity::subject);
    let tenant = request.extensions().get::<EntitlementSet>().map(|e| e.tenant().as_str());
    let text = format!("{} of {}", identity.unwrap_or("nobody"), tenant.unwrap_or("nothing"));
    Ok(Response::new(Full::from(text)))
}
