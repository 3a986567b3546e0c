//! The gate around an axum router: one layer on the router, one requirement on a route.

use auth_core::Identity;
use auth_core::gate::{Gate, GateLayer, RequireLayer, Requirement};
use axum::routing::{get, post};
use axum::{Extension, Router};
use entitlements::{EntitlementSet, UnknownFeature};

/// Every route needs a tenant in good standing; `/replay` needs a scope and a feature besides.
///
/// # Errors
///
/// [`UnknownFeature`], when the catalog has no `exchange_replay`: a typing error stops the start.
pub fn app(gate: Gate) -> Result<Router, UnknownFeature> {
    let replay = Requirement::tenant()
        .scopes(["traces:replay"])
        .features(gate.entitlements().catalog(), ["exchange_replay"])?;
    Ok(Router::new()
        .route("/whoami", get(whoami))
        .route("/replay", post(async || "replayed").layer(RequireLayer::new(replay)))
        .layer(GateLayer::new(gate)))
}

async fn whoami(
    Extension(identity): Extension<Identity>,
    Extension(plan): Extension<EntitlementSet>,
) -> String {
    format!("{} of {} ({})", identity.subject(), plan.tenant(), plan.tier().unwrap_or("none"))
}
