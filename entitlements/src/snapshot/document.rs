//! The contents as lines: strict, because what this program did not write it must not guess at.
//!
//! ```text
//! { ... }                                     the head, as JSON
//! o ["https://id.test","org_1"] "acme"        an organization and the tenant that it names
//! t acme { ... }                              a tenant and its rows
//! ```
//!
//! All but the first are in the order of their bytes, so that one is found without reading others.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Entry, Snapshot, SnapshotError};
use crate::catalog::Catalog;
use crate::model::time::{from_micros, to_micros};
use crate::model::{Effect, FeatureKey, License, Override, Pin, TenantId, TenantRecord};
use crate::store::{Organization, Place};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    written_at: i64,
    age_ms: u64,
    address: Option<String>,
    /// The store, the number of its last change, and that change's mark.
    place: (String, u64, String),
    tenant_count: Option<u64>,
    catalog: String,
    /// The catalogs that licenses keep to, by their digest.
    pinned: BTreeMap<String, String>,
    extras: BTreeMap<String, String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TenantRow {
    name: String,
    status: String,
    status_reason: Option<String>,
    revision: u64,
    licenses: Vec<LicenseRow>,
    overrides: Vec<OverrideRow>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LicenseRow {
    id: String,
    kind: String,
    plan: String,
    pin: Option<String>,
    quantity: u32,
    starts_at: i64,
    ends_at: Option<i64>,
    grace_s: u64,
    suspended_at: Option<i64>,
    revoked_at: Option<i64>,
    status_reason: Option<String>,
    source: String,
    source_ref: Option<String>,
    created_at: i64,
    created_by: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct OverrideRow {
    id: String,
    feature: FeatureKey,
    effect: String,
    value: Option<String>,
    starts_at: i64,
    ends_at: Option<i64>,
    reason: String,
    ticket: Option<String>,
    created_by: String,
    revoked_at: Option<i64>,
}

/// Writes the contents.
pub(super) fn render(snapshot: &Snapshot) -> Result<Vec<u8>, SnapshotError> {
    let mut pinned = BTreeMap::new();
    for license in snapshot.tenants.iter().flat_map(|tenant| &tenant.licenses) {
        if let Some(Pin { digest, catalog: Some(catalog) }) = &license.pin {
            pinned.entry(digest.clone()).or_insert_with(|| catalog.text().to_owned());
        }
    }
    let head = Head {
        written_at: to_micros(snapshot.written_at),
        // Rounded up: a snapshot never says that it is younger than it is.
        age_ms: millis(snapshot.age.saturating_add(Duration::from_millis(1))),
        address: snapshot.address.clone(),
        place: (snapshot.place.store.clone(), snapshot.place.seq, snapshot.place.mark.clone()),
        tenant_count: snapshot.tenant_count,
        catalog: snapshot.catalog.clone(),
        pinned,
        extras: snapshot.extras.clone(),
    };
    let mut lines = Vec::with_capacity(snapshot.tenants.len() + snapshot.organizations.len());
    for tenant in &snapshot.tenants {
        let mut line = tenant_key(&tenant.id);
        serde_json::to_writer(&mut line, &tenant_row(tenant)).map_err(malformed)?;
        lines.push(line);
    }
    for (organization, tenant) in &snapshot.organizations {
        let key = organization_key(&organization.issuer, &organization.id);
        let mut line = key.ok_or_else(|| malformed("an organization without a form"))?;
        serde_json::to_writer(&mut line, tenant).map_err(malformed)?;
        lines.push(line);
    }
    lines.sort_unstable();
    let mut contents = serde_json::to_vec(&head).map_err(malformed)?;
    for line in lines {
        contents.push(b'\n');
        contents.extend(line);
    }
    Ok(contents)
}

/// How the line of a tenant begins.
pub(super) fn tenant_key(id: &TenantId) -> Vec<u8> {
    format!("t {id} ").into_bytes()
}

/// How the line of an organization begins.
pub(super) fn organization_key(issuer: &str, organization: &str) -> Option<Vec<u8>> {
    let name = serde_json::to_string(&(issuer, organization)).ok()?;
    Some(format!("o {name} ").into_bytes())
}

pub(super) fn head(line: &[u8]) -> Result<Head, SnapshotError> {
    serde_json::from_slice(line).map_err(malformed)
}

/// The catalogs of the head. One that this program does not understand is left out, which concerns
/// only the licenses that keep to it.
pub(super) fn pinned(head: &Head) -> BTreeMap<String, Catalog> {
    let mut pinned = BTreeMap::new();
    for (digest, text) in &head.pinned {
        match Catalog::parse(text) {
            Ok(catalog) if catalog.digest() == digest => {
                pinned.insert(digest.clone(), catalog);
            }
            Ok(_) => warn!(digest, "entitlements: a catalog of the snapshot has another digest"),
            Err(error) => {
                warn!(digest, %error, "entitlements: a catalog of the snapshot cannot be read");
            }
        }
    }
    pinned
}

impl Head {
    /// When it was written, and how old the knowledge was then.
    pub(super) fn moment(&self) -> (SystemTime, Duration) {
        (from_micros(self.written_at), Duration::from_millis(self.age_ms))
    }

    /// What the head says, without tenants and organizations.
    pub(super) fn snapshot(&self) -> Snapshot {
        let (written_at, age) = self.moment();
        let (store, seq, mark) = self.place.clone();
        Snapshot {
            written_at,
            age,
            address: self.address.clone(),
            place: Place { store, seq, mark },
            tenant_count: self.tenant_count,
            catalog: self.catalog.clone(),
            tenants: Vec::new(),
            organizations: Vec::new(),
            extras: self.extras.clone(),
        }
    }
}

/// What a line says.
pub(super) fn entry(
    line: &[u8],
    pinned: &BTreeMap<String, Catalog>,
) -> Result<Entry, SnapshotError> {
    let text = std::str::from_utf8(line).map_err(malformed)?;
    if let Some((id, rows)) = text.strip_prefix("t ").and_then(|rest| rest.split_once(' ')) {
        let id = id.parse().map_err(malformed)?;
        return tenant(id, rows.as_bytes(), pinned).map(|tenant| Entry::Tenant(Arc::new(tenant)));
    }
    // A tenant's id has no blank, which the name of an organization may have.
    let parts = text.strip_prefix("o ").and_then(|rest| rest.rsplit_once(' '));
    let (name, tenant) = parts.ok_or_else(|| malformed("a line of no known kind"))?;
    let (issuer, id) = serde_json::from_str(name).map_err(malformed)?;
    let tenant = serde_json::from_str(tenant).map_err(malformed)?;
    Ok(Entry::Organization(Organization { issuer, id }, tenant))
}

fn tenant_row(tenant: &TenantRecord) -> TenantRow {
    // Each field is named: a new one must not be left out silently.
    let TenantRecord { id: _, name, status, status_reason, revision, licenses, overrides } = tenant;
    TenantRow {
        name: name.clone(),
        status: status.as_str().to_owned(),
        status_reason: status_reason.clone(),
        revision: *revision,
        licenses: licenses.iter().map(license_row).collect(),
        overrides: overrides.iter().map(override_row).collect(),
    }
}

/// The rows of a tenant.
pub(super) fn tenant(
    id: TenantId,
    rows: &[u8],
    pinned: &BTreeMap<String, Catalog>,
) -> Result<TenantRecord, SnapshotError> {
    let row: TenantRow = serde_json::from_slice(rows).map_err(malformed)?;
    let licenses = row.licenses.into_iter().map(|row| license(row, pinned));
    Ok(TenantRecord {
        id,
        name: row.name,
        status: row.status.parse().map_err(malformed)?,
        status_reason: row.status_reason,
        revision: row.revision,
        licenses: licenses.collect::<Result<_, _>>()?,
        overrides: row.overrides.into_iter().map(exception).collect::<Result<_, _>>()?,
    })
}

fn license_row(license: &License) -> LicenseRow {
    let License {
        id,
        kind,
        plan,
        pin,
        quantity,
        starts_at,
        ends_at,
        grace,
        suspended_at,
        revoked_at,
        status_reason,
        source,
        source_ref,
        created_at,
        created_by,
    } = license;
    LicenseRow {
        id: id.clone(),
        kind: kind.as_str().to_owned(),
        plan: plan.clone(),
        pin: pin.as_ref().map(|pin| pin.digest.clone()),
        quantity: *quantity,
        starts_at: to_micros(*starts_at),
        ends_at: ends_at.map(to_micros),
        grace_s: grace.as_secs(),
        suspended_at: suspended_at.map(to_micros),
        revoked_at: revoked_at.map(to_micros),
        status_reason: status_reason.clone(),
        source: source.as_str().to_owned(),
        source_ref: source_ref.clone(),
        created_at: to_micros(*created_at),
        created_by: created_by.clone(),
    }
}

fn license(row: LicenseRow, pinned: &BTreeMap<String, Catalog>) -> Result<License, SnapshotError> {
    let pin = row.pin.map(|digest| {
        let catalog = pinned.get(digest.as_str()).cloned();
        Pin { digest, catalog }
    });
    Ok(License {
        id: row.id,
        kind: row.kind.parse().map_err(malformed)?,
        plan: row.plan,
        pin,
        quantity: row.quantity,
        starts_at: from_micros(row.starts_at),
        ends_at: time(row.ends_at),
        grace: Duration::from_secs(row.grace_s),
        suspended_at: time(row.suspended_at),
        revoked_at: time(row.revoked_at),
        status_reason: row.status_reason,
        source: row.source.parse().map_err(malformed)?,
        source_ref: row.source_ref,
        created_at: from_micros(row.created_at),
        created_by: row.created_by,
    })
}

fn override_row(exception: &Override) -> OverrideRow {
    let Override {
        id,
        feature,
        effect,
        starts_at,
        ends_at,
        reason,
        ticket,
        created_by,
        revoked_at,
    } = exception;
    OverrideRow {
        id: id.clone(),
        feature: feature.clone(),
        effect: effect.as_str().to_owned(),
        value: effect.value().map(str::to_owned),
        starts_at: to_micros(*starts_at),
        ends_at: ends_at.map(to_micros),
        reason: reason.clone(),
        ticket: ticket.clone(),
        created_by: created_by.clone(),
        revoked_at: revoked_at.map(to_micros),
    }
}

fn exception(row: OverrideRow) -> Result<Override, SnapshotError> {
    let effect = match (row.effect.as_str(), row.value) {
        ("raise", Some(value)) => Effect::Raise(value),
        ("set", Some(value)) => Effect::Set(value),
        ("deny", None) => Effect::Deny,
        (other, _) => return Err(malformed(format!("override effect `{other}`"))),
    };
    Ok(Override {
        id: row.id,
        feature: row.feature,
        effect,
        starts_at: from_micros(row.starts_at),
        ends_at: time(row.ends_at),
        reason: row.reason,
        ticket: row.ticket,
        created_by: row.created_by,
        revoked_at: time(row.revoked_at),
    })
}

fn time(micros: Option<i64>) -> Option<SystemTime> {
    micros.map(from_micros)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn malformed(error: impl Display) -> SnapshotError {
    SnapshotError::Malformed(error.to_string())
}
