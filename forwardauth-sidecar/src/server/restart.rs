//! What a start takes over from the process before: the snapshot of tenants, and with it the keys of
//! the issuers, so that neither the store nor an identity provider has to be there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth_core::Verifier;
use auth_core::keys::KeyDocument;
use entitlements::{EntitlementService, EntitlementServiceBuilder};
use serde::{Deserialize, Serialize};

use crate::config::Snapshot;

/// Starts the service, with the snapshot if there is one; the verifier gets the keys in it.
pub(super) fn start(
    builder: EntitlementServiceBuilder,
    snapshot: Option<&Snapshot>,
    verifier: &Verifier,
) -> EntitlementService {
    let Some(snapshot) = snapshot else {
        return builder.start();
    };
    let keys = verifier.clone();
    let service = builder
        .snapshot(&snapshot.path, snapshot.key.clone())
        .snapshot_extras(move || keys.key_documents().iter().filter_map(kept).collect())
        .start();
    for (name, text) in service.restored_extras() {
        let Some(issuer) = name.strip_prefix(KEYS) else { continue };
        match seed(verifier, issuer, text) {
            Ok(()) => tracing::info!(issuer, "keys taken from the snapshot"),
            Err(error) => tracing::warn!(issuer, error, "keys of the snapshot are not used"),
        }
    }
    service
}

/// What stands before the issuer in the name of an entry.
const KEYS: &str = "keys ";

/// The keys of an issuer as they are kept.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    fetched_at_us: u64,
    document: String,
}

fn kept(keys: &KeyDocument) -> Option<(String, String)> {
    let since = keys.fetched_at.duration_since(UNIX_EPOCH).ok()?;
    let kept = Kept {
        fetched_at_us: u64::try_from(since.as_micros()).ok()?,
        document: String::from_utf8(keys.document.to_vec()).ok()?,
    };
    Some((format!("{KEYS}{}", keys.issuer), serde_json::to_string(&kept).ok()?))
}

fn seed(verifier: &Verifier, issuer: &str, text: &str) -> Result<(), String> {
    let Kept { fetched_at_us, document } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let since = Duration::from_micros(fetched_at_us);
    let fetched_at: SystemTime =
        UNIX_EPOCH.checked_add(since).ok_or("its time is beyond the calendar")?;
    let keys = KeyDocument { issuer: issuer.into(), document: document.into(), fetched_at };
    verifier.seed_keys(&keys).map_err(|error| error.to_string())
}
