//! A store in an SQL database: what all of them have in common.
//!
//! One text for every SQL back end: each compiles it with its own driver, and brings what differs:
//! how a transaction begins, how news are heard, and what the driver's errors mean.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sqlx::pool::PoolConnection;

use super::watch::Watch;
use super::{
    Connection, Database, MIGRATIONS, Pool, apply, copy, is_no_store, plans, refused, rows,
    snapshot, whole,
};
use crate::catalog::Catalog;
use crate::model::{License, LicenseSource, Pin, TenantId, TenantRecord};
use crate::store::{
    Actor, Answer, AuditEntry, COUNTED, Change, Contents, Feed, Organization, Place, Receipt,
    Refusal, Store, StoreError, TenantSummary,
};

/// A database with tenants and licenses.
pub(in crate::store) struct Sql {
    readers: Pool,
    /// None if the store was opened for reading only.
    writer: Option<Pool>,
    watch: tokio::sync::Mutex<Watch>,
    /// Catalogs never change under their digest, so each is read and parsed once.
    catalogs: Mutex<HashMap<String, Option<Catalog>>>,
}

impl Sql {
    /// A store whose schema is the one that this program knows.
    pub(super) async fn new(
        readers: Pool,
        writer: Option<Pool>,
        watch: Watch,
        place: &str,
    ) -> Result<Self, StoreError> {
        fits(&readers, place).await?;
        whole(&mut *readers.acquire().await.map_err(refused)?).await?;
        let watch = tokio::sync::Mutex::new(watch);
        Ok(Self { readers, writer, watch, catalogs: Mutex::default() })
    }

    fn writer(&self) -> Result<&Pool, StoreError> {
        self.writer.as_ref().ok_or_else(|| {
            Refusal::Forbidden("the store was opened for reading only".to_owned()).into()
        })
    }

    async fn reader(&self) -> Result<PoolConnection<Database>, StoreError> {
        let mut reader = self.readers.acquire().await.map_err(refused)?;
        whole(&mut *reader).await?;
        Ok(reader)
    }

    async fn record(&self, id: &TenantId) -> Result<Option<TenantRecord>, StoreError> {
        // One transaction is one snapshot: the revision belongs to exactly these rows.
        let mut snapshot = snapshot(&self.readers).await?;
        let Some(mut record) = rows::tenant(&mut snapshot, id).await? else { return Ok(None) };
        record.licenses = rows::licenses(&mut snapshot, id).await?;
        record.overrides = rows::overrides(&mut snapshot, id).await?;
        for license in &mut record.licenses {
            if let Some(pin) = &mut license.pin {
                self.resolve_pin(&mut snapshot, pin).await?;
            }
        }
        snapshot.commit().await.map_err(refused)?;
        Ok(Some(record))
    }

    /// Finds the catalog of a pin, in memory or in the store.
    async fn resolve_pin(
        &self,
        connection: &mut Connection,
        pin: &mut Pin,
    ) -> Result<(), StoreError> {
        let known = self.remembered().get(&pin.digest).cloned();
        pin.catalog = if let Some(catalog) = known {
            catalog
        } else {
            let catalog = rows::catalog(connection, &pin.digest).await?;
            self.remembered().insert(pin.digest.clone(), catalog.clone());
            catalog
        };
        Ok(())
    }

    /// A pin that pointed into the void may have found its catalog now.
    fn look_again_for(&self, catalog: &Catalog) {
        self.remembered().remove(catalog.digest());
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<String, Option<Catalog>>> {
        self.catalogs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Sql {
    fn load<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Option<TenantRecord>> {
        Box::pin(self.record(tenant))
    }

    fn tenant_of<'a>(
        &'a self,
        issuer: &'a str,
        organization: &'a str,
    ) -> Answer<'a, Option<TenantId>> {
        Box::pin(async move {
            let mut reader = self.reader().await?;
            rows::tenant_of(&mut reader, issuer, organization).await
        })
    }

    fn tenant_count(&self) -> Answer<'_, u64> {
        Box::pin(async move {
            sqlx::query_scalar::<_, i64>(
                "SELECT count(*) FROM (SELECT 1 FROM tenants WHERE status <> 'closed' LIMIT $1) AS open",
            )
            .bind(i64::from(COUNTED))
            .fetch_one(&mut *self.reader().await?)
            .await
            .map_err(refused)
            .map(i64::unsigned_abs)
        })
    }

    fn tenants(&self) -> Answer<'_, Vec<TenantSummary>> {
        Box::pin(async move {
            let mut reader = self.reader().await?;
            rows::tenants(&mut reader).await
        })
    }

    fn organizations<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Vec<Organization>> {
        Box::pin(async move {
            let mut reader = self.reader().await?;
            rows::organizations(&mut reader, tenant).await
        })
    }

    fn mappings(&self) -> Answer<'_, Vec<(Organization, TenantId)>> {
        Box::pin(async move {
            let mut reader = self.reader().await?;
            rows::mappings(&mut reader).await
        })
    }

    fn license<'a>(&'a self, id: &'a str) -> Answer<'a, Option<(TenantId, License)>> {
        Box::pin(async move {
            let mut reader = self.reader().await?;
            rows::license(&mut reader, id).await
        })
    }

    fn license_from<'a>(
        &'a self,
        source: LicenseSource,
        reference: &'a str,
    ) -> Answer<'a, Option<(TenantId, License)>> {
        Box::pin(async move {
            let mut reader = self.reader().await?;
            rows::license_from(&mut reader, source, reference).await
        })
    }

    fn revisions(&self) -> Answer<'_, Vec<(TenantId, u64)>> {
        Box::pin(async move {
            let mut reader = self.reader().await?;
            rows::revisions(&mut reader).await
        })
    }

    fn position(&self) -> Answer<'_, Place> {
        Box::pin(async move { self.watch.lock().await.position().await })
    }

    fn holds<'a>(&'a self, place: &'a Place) -> Answer<'a, bool> {
        Box::pin(async move { self.watch.lock().await.holds(place).await })
    }

    fn news<'a>(&'a self, after: &'a Place) -> Answer<'a, Feed> {
        Box::pin(async move { self.watch.lock().await.news(after).await })
    }

    fn keep<'a>(&'a self, catalog: &'a Catalog, by: &'a Actor, at: SystemTime) -> Answer<'a, ()> {
        Box::pin(async move {
            plans::keep(self.writer()?, catalog, by, at).await?;
            self.look_again_for(catalog);
            Ok(())
        })
    }

    fn publish<'a>(
        &'a self,
        catalog: &'a Catalog,
        by: &'a Actor,
        at: SystemTime,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            plans::publish(self.writer()?, catalog, by, at).await?;
            self.look_again_for(catalog);
            Ok(())
        })
    }

    fn current_digest(&self) -> Answer<'_, Option<String>> {
        Box::pin(async move {
            sqlx::query_scalar("SELECT digest FROM \"current_catalog\"")
                .fetch_optional(&mut *self.reader().await?)
                .await
                .map_err(refused)
        })
    }

    fn current_catalog(&self) -> Answer<'_, Option<Catalog>> {
        Box::pin(async move {
            let Some(digest) = self.current_digest().await? else { return Ok(None) };
            let mut reader = self.reader().await?;
            rows::catalog(&mut reader, &digest).await
        })
    }

    fn apply<'a>(
        &'a self,
        change: &'a Change,
        by: &'a Actor,
        at: SystemTime,
    ) -> Answer<'a, Receipt> {
        Box::pin(async move { apply::apply(self.writer()?, change, by, at).await })
    }

    fn audit(&self, after: u64, limit: u32) -> Answer<'_, Vec<AuditEntry>> {
        Box::pin(async move {
            let mut reader = self.reader().await?;
            rows::audit(&mut reader, after, limit).await
        })
    }

    fn contents(&self) -> Answer<'_, Contents> {
        Box::pin(async move {
            let mut moment = snapshot(&self.readers).await?;
            copy::contents(&mut moment).await
        })
    }

    fn fill<'a>(&'a self, contents: &'a Contents) -> Answer<'a, ()> {
        Box::pin(async move { copy::fill(self.writer()?, contents).await })
    }
}

/// Refuses a database without the schema, which is none yet, or with one that this program does not
/// know.
async fn fits(readers: &Pool, place: &str) -> Result<(), StoreError> {
    let applied: Result<Vec<i64>, _> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(readers)
            .await;
    let applied = match applied {
        Ok(applied) => applied,
        Err(error) if is_no_store(&error) => {
            return Err(StoreError::Missing { place: place.to_owned() });
        }
        Err(error) => return Err(refused(error)),
    };
    let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    if applied == known {
        return Ok(());
    }
    let (has, can) = (applied.last().unwrap_or(&0), known.last().unwrap_or(&0));
    Err(StoreError::Schema(if has < can {
        format!("it has version {has}, this program knows {can}; open it once for writing")
    } else {
        format!("it has version {has}, this program knows {can}; use a newer program")
    }))
}
