//! The catalogs of a store, and which one is current.
//!
//! One text for every SQL back end: each compiles it with its own driver.

use std::time::SystemTime;

use super::{Connection, NOW, Pool, refused, writing};
use crate::catalog::Catalog;
use crate::model::LicenseKind;
use crate::model::time::to_micros;
use crate::store::orphans::known_to;
use crate::store::{Actor, HeldPlan, StoreError};

/// Keeps a catalog under its digest.
pub(super) async fn keep(
    writer: &Pool,
    catalog: &Catalog,
    by: &Actor,
    at: SystemTime,
) -> Result<(), StoreError> {
    let mut transaction = writing(writer).await?;
    insert(&mut transaction, catalog, by, at).await?;
    transaction.commit().await.map_err(refused)
}

/// Keeps a catalog and makes it the current one, unless it would orphan a license.
pub(super) async fn publish(
    writer: &Pool,
    catalog: &Catalog,
    by: &Actor,
    at: SystemTime,
) -> Result<(), StoreError> {
    // Nobody grants a license between the look and the commit: there is one writer at a time.
    let mut transaction = writing(writer).await?;
    let now: i64 = sqlx::query_scalar(NOW).fetch_one(&mut *transaction).await.map_err(refused)?;
    // A writer's clock that is ahead ends no license.
    known_to(catalog, held(&mut transaction, now.min(to_micros(at))).await?)?;
    insert(&mut transaction, catalog, by, at).await?;
    sqlx::query(
        "INSERT INTO \"current_catalog\" (one, digest) VALUES (1, $1)
         ON CONFLICT (one) DO UPDATE SET digest = excluded.digest",
    )
    .bind(catalog.digest())
    .execute(&mut *transaction)
    .await
    .map_err(refused)?;
    transaction.commit().await.map_err(refused)
}

async fn insert(
    connection: &mut Connection,
    catalog: &Catalog,
    by: &Actor,
    at: SystemTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO catalogs (digest, name, body, published_at, published_by)
         SELECT $1, $2, $3, $4, $5
         WHERE NOT EXISTS (SELECT 1 FROM catalogs WHERE digest = $1)",
    )
    .bind(catalog.digest())
    .bind(catalog.name())
    .bind(catalog.text())
    .bind(to_micros(at))
    .bind(&by.name)
    .execute(connection)
    .await
    .map_err(refused)?;
    Ok(())
}

/// What is named by the licenses that follow the current catalog and are, or may be, in force at a
/// moment or later.
async fn held(connection: &mut Connection, at: i64) -> Result<Vec<HeldPlan>, StoreError> {
    // Divided, not multiplied: a grace of any length must not overflow.
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT l.kind, l.plan, count(*) FROM licenses l JOIN tenants t ON t.id = l.tenant_id
         WHERE t.status <> 'closed' AND l.revoked_at IS NULL AND l.catalog_digest IS NULL
           AND (l.ends_at IS NULL OR l.ends_at > $1 OR l.grace_s > ($1 - l.ends_at) / 1000000)
         GROUP BY l.kind, l.plan ORDER BY l.kind, l.plan",
    )
    .bind(at)
    .fetch_all(connection)
    .await
    .map_err(refused)?;
    // A kind that nobody can read stops its tenant, and not the plans of all.
    let read = |(kind, plan, licenses): (String, String, i64)| {
        let kind: LicenseKind = kind.parse().ok()?;
        Some(HeldPlan { kind, plan, licenses: licenses.unsigned_abs() })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
