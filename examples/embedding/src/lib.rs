//! The crates inside a service of one's own.
//!
//! [`gate`] is what every embedder writes once: a verifier and an entitlement service.
//! [`with_axum`] and [`with_hyper`] put it around a service; nothing else is needed, no sidecar and
//! no proxy.

pub mod with_axum;
pub mod with_hyper;

use auth_core::{
    Accept, IssuerPolicy, Verifier,
    gate::Gate,
    keys::{HttpClient, HttpKeys},
};
use entitlements::{Catalog, EntitlementService};

/// A gate for one issuer and one API, with tenants and licenses from `store`, such as
/// `sqlite:tiergate.db`. Starts without the identity provider; keys are fetched when a token comes.
///
/// # Errors
///
/// Whatever is wrong with the issuer's address, the plans or the store.
pub async fn gate(
    issuer: &str,
    audience: &str,
    plans: &str,
    store: &str,
) -> Result<Gate, Box<dyn std::error::Error + Send + Sync>> {
    let policy = IssuerPolicy::new("logto", issuer).accept(Accept::organization(audience));
    let keys = HttpKeys::discovery(issuer, HttpClient::new(None)?)?;
    let verifier = Verifier::builder().issuer(policy, keys).build()?;
    let entitlements = EntitlementService::connect(store, Catalog::parse(plans)?).await?;
    Ok(Gate::new(verifier, entitlements))
}
