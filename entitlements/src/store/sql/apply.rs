//! One change in one transaction: rows, revision, feed and audit entry, or nothing.
//!
//! One text for every SQL back end: each compiles it with its own driver.

use std::time::SystemTime;

use super::{Connection, NOW, Pool, refused, rows, writing};
use crate::model::time::{from_micros, to_micros};
use crate::model::{License, Override, TenantId, TenantStatus};
use crate::store::change::{
    Done, license_json, organization_json, override_json, status_json, tenant_json,
};
use crate::store::{Actor, AuditEntry, Change, Organization, Receipt, Refusal, StoreError};

pub(super) async fn apply(
    writer: &Pool,
    change: &Change,
    by: &Actor,
    at: SystemTime,
) -> Result<Receipt, StoreError> {
    change.check()?;
    let mut transaction = writing(writer).await?;
    // A change is made now, and the database says when that is: a writer whose clock is ahead must
    // not postpone a revocation.
    let now: i64 = sqlx::query_scalar(NOW).fetch_one(&mut *transaction).await.map_err(refused)?;
    let change = &begun(change, at, from_micros(now));
    let at = at.min(from_micros(now));
    let done = rows_changed(&mut transaction, change, by, at).await?;
    append(&mut transaction, change, &done, by, at).await?;
    let revision: i64 = sqlx::query_scalar("SELECT revision FROM tenants WHERE id = $1")
        .bind(done.tenant.as_str())
        .fetch_one(&mut *transaction)
        .await
        .map_err(refused)?;
    transaction.commit().await.map_err(refused)?;
    Ok(Receipt { tenant: done.tenant, revision: revision.unsigned_abs() })
}

/// The change with what begins by the writer's clock at this moment beginning by the database's. A
/// start that was chosen, and so differs from when the row was made, stays as it is.
fn begun(change: &Change, at: SystemTime, now: SystemTime) -> Change {
    let mut change = change.clone();
    let ahead = |starts_at: SystemTime, at: SystemTime| starts_at <= at && now < starts_at;
    match &mut change {
        Change::GrantLicense { license, .. } => {
            if license.starts_at == license.created_at && now < license.starts_at {
                license.starts_at = now;
            }
            license.created_at = license.created_at.min(now);
        }
        Change::AddOverride { exception, .. } if ahead(exception.starts_at, at) => {
            exception.starts_at = now;
        }
        _ => {}
    }
    change
}

async fn rows_changed(
    tx: &mut Connection,
    change: &Change,
    by: &Actor,
    at: SystemTime,
) -> Result<Done, StoreError> {
    match change {
        Change::AddTenant { id, name, organizations } => {
            add_tenant(tx, id, name, organizations, at).await
        }
        Change::MapOrganization { tenant, organization } => {
            open_tenant(tx, tenant).await?;
            map(tx, tenant, organization, at).await?;
            Ok(Done {
                tenant: tenant.clone(),
                object: format!("organization {organization}"),
                before: None,
                after: Some(organization_json(tenant, organization)),
            })
        }
        Change::UnmapOrganization { organization } => unmap(tx, organization).await,
        Change::SetTenantStatus { tenant, status, reason } => {
            set_status(tx, tenant, *status, reason.as_deref(), at).await
        }
        Change::GrantLicense { tenant, license } => grant(tx, tenant, license, by).await,
        Change::RevokeLicense { license, reason } => {
            let (tenant, before) = known_license(tx, license).await?;
            if before.revoked_at.is_some() {
                return Err(
                    Refusal::Forbidden(format!("license `{license}` is revoked already")).into()
                );
            }
            sqlx::query("UPDATE licenses SET revoked_at = $2, status_reason = $3 WHERE id = $1")
                .bind(license)
                .bind(to_micros(at))
                .bind(reason)
                .execute(&mut *tx)
                .await
                .map_err(refused)?;
            license_done(tx, tenant, &before).await
        }
        Change::SuspendLicense { license, reason } => {
            let (tenant, before) = known_license(tx, license).await?;
            if before.suspended_at.is_some() || before.revoked_at.is_some() {
                let message = format!("license `{license}` is suspended or revoked already");
                return Err(Refusal::Forbidden(message).into());
            }
            sqlx::query("UPDATE licenses SET suspended_at = $2, status_reason = $3 WHERE id = $1")
                .bind(license)
                .bind(to_micros(at))
                .bind(reason)
                .execute(&mut *tx)
                .await
                .map_err(refused)?;
            license_done(tx, tenant, &before).await
        }
        Change::ResumeLicense { license } => {
            let (tenant, before) = known_license(tx, license).await?;
            if before.suspended_at.is_none() || before.revoked_at.is_some() {
                let message = format!("license `{license}` is not suspended");
                return Err(Refusal::Forbidden(message).into());
            }
            sqlx::query(
                "UPDATE licenses SET suspended_at = NULL, status_reason = NULL WHERE id = $1",
            )
            .bind(license)
            .execute(&mut *tx)
            .await
            .map_err(refused)?;
            license_done(tx, tenant, &before).await
        }
        Change::AddOverride { tenant, exception } => {
            known_tenant(tx, tenant).await?;
            add_override(tx, tenant, exception, at).await
        }
        Change::RevokeOverride { id, .. } => revoke_override(tx, id, by, at).await,
    }
}

async fn add_tenant(
    tx: &mut Connection,
    id: &TenantId,
    name: &str,
    organizations: &[Organization],
    at: SystemTime,
) -> Result<Done, StoreError> {
    if rows::tenant(tx, id).await?.is_some() {
        return Err(Refusal::Exists { what: "tenant", name: id.to_string() }.into());
    }
    sqlx::query("INSERT INTO tenants (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)")
        .bind(id.as_str())
        .bind(name)
        .bind(to_micros(at))
        .execute(&mut *tx)
        .await
        .map_err(refused)?;
    for organization in organizations {
        map(tx, id, organization, at).await?;
    }
    Ok(Done {
        tenant: id.clone(),
        object: format!("tenant {id}"),
        before: None,
        after: Some(tenant_json(name, TenantStatus::Active, organizations)),
    })
}

async fn map(
    tx: &mut Connection,
    tenant: &TenantId,
    organization: &Organization,
    at: SystemTime,
) -> Result<(), StoreError> {
    if let Some(holder) = rows::tenant_of(tx, &organization.issuer, &organization.id).await? {
        let message = format!(
            "organization `{}` of issuer `{}` is mapped to tenant `{holder}` already",
            organization.id.escape_debug(),
            organization.issuer.escape_debug()
        );
        return Err(Refusal::Forbidden(message).into());
    }
    sqlx::query(
        "INSERT INTO tenant_organizations (issuer, organization_id, tenant_id, created_at)
         VALUES ($1, $2, $3, $4)",
    )
    .bind(&organization.issuer)
    .bind(&organization.id)
    .bind(tenant.as_str())
    .bind(to_micros(at))
    .execute(tx)
    .await
    .map_err(refused)?;
    Ok(())
}

async fn unmap(tx: &mut Connection, organization: &Organization) -> Result<Done, StoreError> {
    let Some(tenant) = rows::tenant_of(tx, &organization.issuer, &organization.id).await? else {
        let name = organization.to_string();
        return Err(Refusal::NotFound { what: "mapped organization", name }.into());
    };
    sqlx::query("DELETE FROM tenant_organizations WHERE issuer = $1 AND organization_id = $2")
        .bind(&organization.issuer)
        .bind(&organization.id)
        .execute(tx)
        .await
        .map_err(refused)?;
    Ok(Done {
        object: format!("organization {organization}"),
        before: Some(organization_json(&tenant, organization)),
        after: None,
        tenant,
    })
}

async fn set_status(
    tx: &mut Connection,
    tenant: &TenantId,
    status: TenantStatus,
    reason: Option<&str>,
    at: SystemTime,
) -> Result<Done, StoreError> {
    let Some(before) = rows::tenant(tx, tenant).await? else {
        return Err(Refusal::NotFound { what: "tenant", name: tenant.to_string() }.into());
    };
    if before.status == status {
        return Err(Refusal::Forbidden(format!("tenant `{tenant}` is {status} already")).into());
    }
    sqlx::query(
        "UPDATE tenants SET status = $2, status_reason = $3, updated_at = $4 WHERE id = $1",
    )
    .bind(tenant.as_str())
    .bind(status.as_str())
    .bind(reason)
    .bind(to_micros(at))
    .execute(tx)
    .await
    .map_err(refused)?;
    Ok(Done {
        tenant: tenant.clone(),
        object: format!("tenant {tenant}"),
        before: Some(status_json(before.status, before.status_reason.as_deref())),
        after: Some(status_json(status, reason)),
    })
}

async fn grant(
    tx: &mut Connection,
    tenant: &TenantId,
    license: &License,
    by: &Actor,
) -> Result<Done, StoreError> {
    open_tenant(tx, tenant).await?;
    sqlx::query(
        "INSERT INTO licenses (id, tenant_id, kind, plan, catalog_digest, quantity, starts_at, ends_at,
                               grace_s, source, source_ref, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(&license.id)
    .bind(tenant.as_str())
    .bind(license.kind.as_str())
    .bind(&license.plan)
    .bind(license.pin.as_ref().map(|pin| pin.digest.as_str()))
    .bind(i64::from(license.quantity))
    .bind(to_micros(license.starts_at))
    .bind(license.ends_at.map(to_micros))
    .bind(i64::try_from(license.effective_grace().as_secs()).unwrap_or(i64::MAX))
    .bind(license.source.as_str())
    .bind(&license.source_ref)
    .bind(to_micros(license.created_at))
    .bind(&by.name)
    .execute(tx)
    .await
    .map_err(refused)?;
    Ok(Done {
        tenant: tenant.clone(),
        object: format!("license {}", license.id),
        before: None,
        after: Some(license_json(license)),
    })
}

async fn add_override(
    tx: &mut Connection,
    tenant: &TenantId,
    exception: &Override,
    at: SystemTime,
) -> Result<Done, StoreError> {
    sqlx::query(
        "INSERT INTO overrides (id, tenant_id, feature, effect, value, starts_at, ends_at, permanent,
                                reason, ticket, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(&exception.id)
    .bind(tenant.as_str())
    .bind(exception.feature.as_str())
    .bind(exception.effect.as_str())
    .bind(exception.effect.value())
    .bind(to_micros(exception.starts_at))
    .bind(exception.ends_at.map(to_micros))
    .bind(i64::from(exception.ends_at.is_none()))
    .bind(&exception.reason)
    .bind(&exception.ticket)
    .bind(to_micros(at))
    .bind(&exception.created_by)
    .execute(tx)
    .await
    .map_err(refused)?;
    Ok(Done {
        tenant: tenant.clone(),
        object: format!("override {}", exception.id),
        before: None,
        after: Some(override_json(exception)),
    })
}

async fn revoke_override(
    tx: &mut Connection,
    id: &str,
    by: &Actor,
    at: SystemTime,
) -> Result<Done, StoreError> {
    let Some((tenant, before)) = rows::exception(tx, id).await? else {
        return Err(Refusal::NotFound { what: "override", name: id.to_owned() }.into());
    };
    if before.revoked_at.is_some() {
        return Err(Refusal::Forbidden(format!("override `{id}` is revoked already")).into());
    }
    sqlx::query("UPDATE overrides SET revoked_at = $2, revoked_by = $3 WHERE id = $1")
        .bind(id)
        .bind(to_micros(at))
        .bind(&by.name)
        .execute(tx)
        .await
        .map_err(refused)?;
    let after = Override { revoked_at: Some(at), ..before.clone() };
    Ok(Done {
        tenant,
        object: format!("override {id}"),
        before: Some(override_json(&before)),
        after: Some(override_json(&after)),
    })
}

async fn known_tenant(tx: &mut Connection, id: &TenantId) -> Result<TenantStatus, StoreError> {
    match rows::tenant(tx, id).await? {
        Some(record) => Ok(record.status),
        None => Err(Refusal::NotFound { what: "tenant", name: id.to_string() }.into()),
    }
}

async fn open_tenant(tx: &mut Connection, id: &TenantId) -> Result<(), StoreError> {
    match known_tenant(tx, id).await? {
        TenantStatus::Closed => Err(Refusal::Forbidden(format!("tenant `{id}` is closed")).into()),
        TenantStatus::Active | TenantStatus::Suspended => Ok(()),
    }
}

async fn known_license(tx: &mut Connection, id: &str) -> Result<(TenantId, License), StoreError> {
    match rows::license(tx, id).await? {
        Some(found) => Ok(found),
        None => Err(Refusal::NotFound { what: "license", name: id.to_owned() }.into()),
    }
}

async fn license_done(
    tx: &mut Connection,
    tenant: TenantId,
    before: &License,
) -> Result<Done, StoreError> {
    let (_, after) = known_license(tx, &before.id).await?;
    Ok(Done {
        tenant,
        object: format!("license {}", before.id),
        before: Some(license_json(before)),
        after: Some(license_json(&after)),
    })
}

/// Chains the audit entry to the head of the log.
async fn append(
    tx: &mut Connection,
    change: &Change,
    done: &Done,
    by: &Actor,
    at: SystemTime,
) -> Result<(), StoreError> {
    let last: i64 = sqlx::query_scalar("SELECT COALESCE(max(seq), 0) FROM audit_log")
        .fetch_one(&mut *tx)
        .await
        .map_err(refused)?;
    let before_last = last.unsigned_abs().saturating_sub(1);
    let head = rows::audit(tx, before_last, 1).await?.pop().map(|entry| (entry.seq, entry.hash));
    let entry = AuditEntry::following(head, change, done, by, at);
    sqlx::query(
        "INSERT INTO audit_log (seq, at, actor, actor_kind, tenant_id, action, object, before_json,
                                after_json, reason, request_id, prev_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(i64::try_from(entry.seq).unwrap_or(i64::MAX))
    .bind(to_micros(entry.at))
    .bind(&entry.actor)
    .bind(&entry.actor_kind)
    .bind(&entry.tenant)
    .bind(&entry.action)
    .bind(&entry.object)
    .bind(&entry.before)
    .bind(&entry.after)
    .bind(&entry.reason)
    .bind(&entry.request_id)
    .bind(entry.prev_hash.as_slice())
    .bind(entry.hash.as_slice())
    .execute(tx)
    .await
    .map_err(refused)?;
    Ok(())
}
