//! What every embedder writes once: a verifier and an entitlement service.

use auth_core::keys::{HttpClient, HttpKeys};
use auth_core::{Accept, IssuerPolicy, Verifier, gate::Gate};
use entitlements::{Catalog, EntitlementService};
use tower::BoxError;

/// A gate for one issuer and one API, with tenants and licenses from `store`, such as
/// `sqlite:tiergate.db`. Starts without the identity provider; keys are fetched when a token comes.
///
/// # Errors
///
/// Whatever is wrong with the issuer's address, the plans or the store.
pub async fn gate(issuer: &str, api: &str, plans: &str, store: &str) -> Result<Gate, BoxError> {
    let policy = IssuerPolicy::new("logto", issuer).accept(Accept::organization(api));
    let keys = HttpKeys::discovery(issuer, HttpClient::new(None)?)?;
    let verifier = Verifier::builder().issuer(policy, keys).build()?;
    let entitlements = EntitlementService::connect(store, Catalog::parse(plans)?).await?;
    Ok(Gate::new(verifier, entitlements))
}
