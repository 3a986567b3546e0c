//! The gate around a plain hyper service: one layer on the service, one requirement on all paths but
//! those that are named.

use auth_core::Identity;
use auth_core::gate::{Gate, GateLayer, RequireLayer, Requirement};
use entitlements::EntitlementSet;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn, util::Either};

/// Serves until the listener fails. Every path needs a tenant in good standing and a feature; `/` needs
/// the tenant only.
///
/// # Errors
///
/// A feature that the catalog does not have, and what accepting a connection says.
pub async fn serve(listener: tokio::net::TcpListener, gate: Gate) -> Result<(), BoxError> {
    let need =
        Requirement::tenant().features(gate.entitlements().catalog(), ["exchange_replay"])?;
    let paid = RequireLayer::new(need).layer(service_fn(hello));
    let paths = service_fn(move |request: Request<Incoming>| {
        // What needs less is named: `/%72eplay` and `/replay/` are not `/replay`, and cost the same.
        let free = request.uri().path() == "/";
        let to = if free { Either::Right(service_fn(hello)) } else { Either::Left(paid.clone()) };
        to.oneshot(request)
    });
    let service = TowerToHyperService::new(GateLayer::new(gate).layer(paths));
    loop {
        let (io, service) = (TokioIo::new(listener.accept().await?.0), service.clone());
        tokio::spawn(http1::Builder::new().serve_connection(io, service));
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, BoxError> {
    let caller = request.extensions().get::<Identity>().ok_or("the gate is missing")?;
    let plan = request.extensions().get::<EntitlementSet>().ok_or("the gate is missing")?;
    Ok(Response::new(format!("{} of {}", caller.subject(), plan.tenant()).into()))
}
