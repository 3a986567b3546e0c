//! From rows to values; a row that cannot be read is an error, never a guess.
//!
//! One text for every SQL back end: each compiles it with its own driver.

use std::time::Duration;

use sqlx::{FromRow, Row as _};

use super::{Connection, Database, Row, corrupt, refused};
use crate::catalog::Catalog;
use crate::model::time::from_micros;
use crate::model::{Effect, License, LicenseSource, Override, Pin, TenantId, TenantRecord};
use crate::store::{AuditEntry, Organization, StoreError, TenantSummary};

pub(super) async fn tenant(
    connection: &mut Connection,
    id: &TenantId,
) -> Result<Option<TenantRecord>, StoreError> {
    let row =
        sqlx::query("SELECT name, status, status_reason, revision FROM tenants WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(connection)
            .await
            .map_err(refused)?;
    let Some(row) = row else { return Ok(None) };
    let status: String = get(&row, "status")?;
    Ok(Some(TenantRecord {
        id: id.clone(),
        name: get(&row, "name")?,
        status: status.parse().map_err(|error| corrupt("tenants.status", error))?,
        status_reason: get(&row, "status_reason")?,
        revision: get::<i64>(&row, "revision")?.unsigned_abs(),
        licenses: Vec::new(),
        overrides: Vec::new(),
    }))
}

pub(super) async fn tenants(connection: &mut Connection) -> Result<Vec<TenantSummary>, StoreError> {
    let rows =
        sqlx::query("SELECT id, name, status, revision, created_at FROM tenants ORDER BY id")
            .fetch_all(connection)
            .await
            .map_err(refused)?;
    rows.iter()
        .map(|row| {
            Ok(TenantSummary {
                id: tenant_id(row, "id")?,
                name: get(row, "name")?,
                status: get::<String>(row, "status")?
                    .parse()
                    .map_err(|error| corrupt("tenants.status", error))?,
                revision: get::<i64>(row, "revision")?.unsigned_abs(),
                created_at: from_micros(get(row, "created_at")?),
            })
        })
        .collect()
}

pub(super) async fn revisions(
    connection: &mut Connection,
) -> Result<Vec<(TenantId, u64)>, StoreError> {
    let rows = sqlx::query("SELECT id, revision FROM tenants")
        .fetch_all(connection)
        .await
        .map_err(refused)?;
    // A row that cannot be read is left out: it then differs from whatever is known of it.
    let revision = |row: &Row| {
        let id = tenant_id(row, "id").ok()?;
        Some((id, get::<i64>(row, "revision").ok()?.unsigned_abs()))
    };
    Ok(rows.iter().filter_map(revision).collect())
}

pub(super) async fn tenant_of(
    connection: &mut Connection,
    issuer: &str,
    organization: &str,
) -> Result<Option<TenantId>, StoreError> {
    let row = sqlx::query(
        "SELECT tenant_id FROM tenant_organizations WHERE issuer = $1 AND organization_id = $2",
    )
    .bind(issuer)
    .bind(organization)
    .fetch_optional(connection)
    .await
    .map_err(refused)?;
    row.as_ref().map(|row| tenant_id(row, "tenant_id")).transpose()
}

pub(super) async fn organizations(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Vec<Organization>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT issuer, organization_id FROM tenant_organizations
         WHERE tenant_id = $1 ORDER BY issuer, organization_id",
    )
    .bind(tenant.as_str())
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    Ok(rows.into_iter().map(|(issuer, id)| Organization { issuer, id }).collect())
}

/// Every organization that is mapped; one whose tenant cannot be read is left out.
pub(super) async fn mappings(
    connection: &mut Connection,
) -> Result<Vec<(Organization, TenantId)>, StoreError> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT issuer, organization_id, tenant_id FROM tenant_organizations")
            .fetch_all(connection)
            .await
            .map_err(refused)?;
    let mapping = |(issuer, id, tenant): (String, String, String)| {
        Some((Organization { issuer, id }, tenant.parse().ok()?))
    };
    Ok(rows.into_iter().filter_map(mapping).collect())
}

pub(super) async fn licenses(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Vec<License>, StoreError> {
    let rows: Vec<LicenseRow> = sqlx::query_as(
        "SELECT id, tenant_id, kind, plan, catalog_digest, quantity, starts_at, ends_at, grace_s,
                suspended_at, revoked_at, status_reason, source, source_ref, created_at, created_by
         FROM licenses WHERE tenant_id = $1 ORDER BY created_at, id",
    )
    .bind(tenant.as_str())
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    rows.into_iter().map(|row| row.read().map(|(_, license)| license)).collect()
}

pub(super) async fn license(
    connection: &mut Connection,
    id: &str,
) -> Result<Option<(TenantId, License)>, StoreError> {
    let row: Option<LicenseRow> = sqlx::query_as(
        "SELECT id, tenant_id, kind, plan, catalog_digest, quantity, starts_at, ends_at, grace_s,
                suspended_at, revoked_at, status_reason, source, source_ref, created_at, created_by
         FROM licenses WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await
    .map_err(refused)?;
    row.map(LicenseRow::read).transpose()
}

pub(super) async fn license_from(
    connection: &mut Connection,
    source: LicenseSource,
    reference: &str,
) -> Result<Option<(TenantId, License)>, StoreError> {
    let row: Option<LicenseRow> = sqlx::query_as(
        "SELECT id, tenant_id, kind, plan, catalog_digest, quantity, starts_at, ends_at, grace_s,
                suspended_at, revoked_at, status_reason, source, source_ref, created_at, created_by
         FROM licenses WHERE source = $1 AND source_ref = $2",
    )
    .bind(source.as_str())
    .bind(reference)
    .fetch_optional(connection)
    .await
    .map_err(refused)?;
    row.map(LicenseRow::read).transpose()
}

pub(super) async fn overrides(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Vec<Override>, StoreError> {
    let rows: Vec<OverrideRow> = sqlx::query_as(
        "SELECT id, tenant_id, feature, effect, value, starts_at, ends_at, reason, ticket,
                created_by, revoked_at
         FROM overrides WHERE tenant_id = $1 ORDER BY created_at, id",
    )
    .bind(tenant.as_str())
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    rows.into_iter().map(|row| row.read().map(|(_, exception)| exception)).collect()
}

pub(super) async fn exception(
    connection: &mut Connection,
    id: &str,
) -> Result<Option<(TenantId, Override)>, StoreError> {
    let row: Option<OverrideRow> = sqlx::query_as(
        "SELECT id, tenant_id, feature, effect, value, starts_at, ends_at, reason, ticket,
                created_by, revoked_at
         FROM overrides WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await
    .map_err(refused)?;
    row.map(OverrideRow::read).transpose()
}

/// The catalog under a digest. One that this program cannot read any more is none: the licenses
/// that keep to it name an unknown plan.
pub(super) async fn catalog(
    connection: &mut Connection,
    digest: &str,
) -> Result<Option<Catalog>, StoreError> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM catalogs WHERE digest = $1")
        .bind(digest)
        .fetch_optional(connection)
        .await
        .map_err(refused)?;
    Ok(body
        .and_then(|body| Catalog::parse(&body).ok())
        .filter(|catalog| catalog.digest() == digest))
}

pub(super) async fn audit(
    connection: &mut Connection,
    after: u64,
    limit: u32,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rows = sqlx::query(
        "SELECT seq, at, actor, actor_kind, tenant_id, action, object, before_json, after_json,
                reason, request_id, prev_hash, hash
         FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    rows.iter()
        .map(|row| {
            Ok(AuditEntry {
                seq: get::<i64>(row, "seq")?.unsigned_abs(),
                at: from_micros(get(row, "at")?),
                actor: get(row, "actor")?,
                actor_kind: get(row, "actor_kind")?,
                tenant: get(row, "tenant_id")?,
                action: get(row, "action")?,
                object: get(row, "object")?,
                before: get(row, "before_json")?,
                after: get(row, "after_json")?,
                reason: get(row, "reason")?,
                request_id: get(row, "request_id")?,
                prev_hash: hash(row, "prev_hash")?,
                hash: hash(row, "hash")?,
            })
        })
        .collect()
}

#[derive(FromRow)]
struct LicenseRow {
    id: String,
    tenant_id: String,
    kind: String,
    plan: String,
    catalog_digest: Option<String>,
    quantity: i64,
    starts_at: i64,
    ends_at: Option<i64>,
    grace_s: i64,
    suspended_at: Option<i64>,
    revoked_at: Option<i64>,
    status_reason: Option<String>,
    source: String,
    source_ref: Option<String>,
    created_at: i64,
    created_by: String,
}

impl LicenseRow {
    fn read(self) -> Result<(TenantId, License), StoreError> {
        let license = License {
            kind: self.kind.parse().map_err(|error| corrupt("licenses.kind", error))?,
            plan: self.plan,
            pin: self.catalog_digest.map(|digest| Pin { digest, catalog: None }),
            quantity: u32::try_from(self.quantity)
                .map_err(|error| corrupt("licenses.quantity", error))?,
            starts_at: from_micros(self.starts_at),
            ends_at: self.ends_at.map(from_micros),
            grace: Duration::from_secs(self.grace_s.unsigned_abs()),
            suspended_at: self.suspended_at.map(from_micros),
            revoked_at: self.revoked_at.map(from_micros),
            status_reason: self.status_reason,
            source: self.source.parse().map_err(|error| corrupt("licenses.source", error))?,
            source_ref: self.source_ref,
            created_at: from_micros(self.created_at),
            created_by: self.created_by,
            id: self.id,
        };
        let tenant =
            self.tenant_id.parse().map_err(|error| corrupt("licenses.tenant_id", error))?;
        Ok((tenant, license))
    }
}

#[derive(FromRow)]
struct OverrideRow {
    id: String,
    tenant_id: String,
    feature: String,
    effect: String,
    value: Option<String>,
    starts_at: i64,
    ends_at: Option<i64>,
    reason: String,
    ticket: Option<String>,
    created_by: String,
    revoked_at: Option<i64>,
}

impl OverrideRow {
    fn read(self) -> Result<(TenantId, Override), StoreError> {
        let effect = match (self.effect.as_str(), self.value) {
            ("raise", Some(value)) => Effect::Raise(value),
            ("set", Some(value)) => Effect::Set(value),
            ("deny", None) => Effect::Deny,
            (other, _) => return Err(corrupt("overrides.effect", other)),
        };
        let exception = Override {
            id: self.id,
            feature: self.feature.parse().map_err(|error| corrupt("overrides.feature", error))?,
            effect,
            starts_at: from_micros(self.starts_at),
            ends_at: self.ends_at.map(from_micros),
            reason: self.reason,
            ticket: self.ticket,
            created_by: self.created_by,
            revoked_at: self.revoked_at.map(from_micros),
        };
        let tenant =
            self.tenant_id.parse().map_err(|error| corrupt("overrides.tenant_id", error))?;
        Ok((tenant, exception))
    }
}

fn tenant_id(row: &Row, column: &str) -> Result<TenantId, StoreError> {
    get::<String>(row, column)?.parse().map_err(|error| corrupt(column, error))
}

fn hash(row: &Row, column: &str) -> Result<[u8; 32], StoreError> {
    let bytes: Vec<u8> = get(row, column)?;
    bytes.try_into().map_err(|_| corrupt(column, "a hash has 32 bytes"))
}

fn get<'r, T>(row: &'r Row, column: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, Database> + sqlx::Type<Database>,
{
    row.try_get(column).map_err(|error| corrupt(column, error))
}
