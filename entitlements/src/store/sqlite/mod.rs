//! The embedded store: one SQLite file, for one host.
//!
//! One connection writes, a few read, and one watches. The file is in WAL mode, so readers and the
//! writer do not wait for each other; commits reach the disk before they are acknowledged, because
//! a revocation that a power cut takes back would be a lie. Other processes' commits are seen by
//! `PRAGMA data_version`, asked ten times a second.

mod apply;
mod rows;
mod watch;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use super::{
    Actor, Answer, AuditEntry, Change, Feed, Mode, Organization, Receipt, Refusal, Store,
    StoreError, TenantSummary,
};
use crate::catalog::Catalog;
use crate::model::time::to_micros;
use crate::model::{License, Pin, TenantId, TenantRecord};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// A SQLite file with tenants and licenses.
pub(super) struct Sqlite {
    readers: SqlitePool,
    /// None if the file was opened for reading only.
    writer: Option<SqlitePool>,
    watch: tokio::sync::Mutex<watch::Watch>,
    /// Catalogs never change under their digest, so each is read and parsed once.
    catalogs: Mutex<HashMap<String, Option<Catalog>>>,
}

impl Sqlite {
    pub(super) async fn open(url: &str, mode: Mode) -> Result<Self, StoreError> {
        let path = path(url)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let writer = match mode {
            Mode::ReadOnly => None,
            Mode::ReadWrite => Some(writer(&path, &options).await?),
        };
        if !path.exists() {
            return Err(StoreError::Missing { place: path.display().to_string() });
        }
        let reading = options.read_only(true);
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(2))
            .connect_with(reading.clone())
            .await
            .map_err(refused)?;
        fits(&readers).await?;
        let watch = tokio::sync::Mutex::new(watch::Watch::new(path, reading)?);
        Ok(Self { readers, writer, watch, catalogs: Mutex::default() })
    }

    fn writer(&self) -> Result<&SqlitePool, StoreError> {
        self.writer.as_ref().ok_or_else(|| {
            Refusal::Forbidden("the store was opened for reading only".to_owned()).into()
        })
    }

    async fn record(&self, id: &TenantId) -> Result<Option<TenantRecord>, StoreError> {
        // One transaction is one snapshot: the revision belongs to exactly these rows.
        let mut snapshot = self.readers.begin().await.map_err(refused)?;
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
        connection: &mut SqliteConnection,
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

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<Catalog>>> {
        self.catalogs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Sqlite {
    fn load<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Option<TenantRecord>> {
        Box::pin(self.record(tenant))
    }

    fn tenant_of<'a>(
        &'a self,
        issuer: &'a str,
        organization: &'a str,
    ) -> Answer<'a, Option<TenantId>> {
        Box::pin(async move {
            let mut reader = self.readers.acquire().await.map_err(refused)?;
            rows::tenant_of(&mut reader, issuer, organization).await
        })
    }

    fn tenant_count(&self) -> Answer<'_, u64> {
        Box::pin(async move {
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM tenants WHERE status <> 'closed'")
                .fetch_one(&self.readers)
                .await
                .map_err(refused)
                .map(i64::unsigned_abs)
        })
    }

    fn tenants(&self) -> Answer<'_, Vec<TenantSummary>> {
        Box::pin(async move {
            let mut reader = self.readers.acquire().await.map_err(refused)?;
            rows::tenants(&mut reader).await
        })
    }

    fn organizations<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Vec<Organization>> {
        Box::pin(async move {
            let mut reader = self.readers.acquire().await.map_err(refused)?;
            rows::organizations(&mut reader, tenant).await
        })
    }

    fn license<'a>(&'a self, id: &'a str) -> Answer<'a, Option<(TenantId, License)>> {
        Box::pin(async move {
            let mut reader = self.readers.acquire().await.map_err(refused)?;
            rows::license(&mut reader, id).await
        })
    }

    fn revisions(&self) -> Answer<'_, Vec<(TenantId, u64)>> {
        Box::pin(async move {
            let mut reader = self.readers.acquire().await.map_err(refused)?;
            rows::revisions(&mut reader).await
        })
    }

    fn position(&self) -> Answer<'_, u64> {
        Box::pin(async move { self.watch.lock().await.position().await })
    }

    fn news(&self, after: u64) -> Answer<'_, Feed> {
        Box::pin(async move { self.watch.lock().await.news(after).await })
    }

    fn publish<'a>(
        &'a self,
        catalog: &'a Catalog,
        by: &'a Actor,
        at: SystemTime,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut transaction =
                self.writer()?.begin_with("BEGIN IMMEDIATE").await.map_err(refused)?;
            sqlx::query(
                "INSERT INTO catalogs (digest, name, body, published_at, published_by)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING",
            )
            .bind(catalog.digest())
            .bind(catalog.name())
            .bind(catalog.text())
            .bind(to_micros(at))
            .bind(&by.name)
            .execute(&mut *transaction)
            .await
            .map_err(refused)?;
            sqlx::query(
                "INSERT INTO current_catalog (one, digest) VALUES (1, $1)
                 ON CONFLICT (one) DO UPDATE SET digest = excluded.digest",
            )
            .bind(catalog.digest())
            .execute(&mut *transaction)
            .await
            .map_err(refused)?;
            transaction.commit().await.map_err(refused)?;
            // A pin that pointed into the void may have found its catalog now.
            self.remembered().remove(catalog.digest());
            Ok(())
        })
    }

    fn current_catalog(&self) -> Answer<'_, Option<Catalog>> {
        Box::pin(async move {
            let mut reader = self.readers.acquire().await.map_err(refused)?;
            let digest: Option<String> = sqlx::query_scalar("SELECT digest FROM current_catalog")
                .fetch_optional(&mut *reader)
                .await
                .map_err(refused)?;
            match digest {
                Some(digest) => rows::catalog(&mut reader, &digest).await,
                None => Ok(None),
            }
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
            let mut reader = self.readers.acquire().await.map_err(refused)?;
            rows::audit(&mut reader, after, limit).await
        })
    }
}

/// The file that a URL names.
fn path(url: &str) -> Result<PathBuf, StoreError> {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') {
        let remedy = "name a file, as in `sqlite:tiergate.db`; nothing is kept in memory only";
        return Err(StoreError::address(url, remedy));
    }
    if path.contains(['?', '#', '\0']) {
        return Err(StoreError::address(url, "name only the file: there are no parameters"));
    }
    Ok(PathBuf::from(path))
}

/// The one connection that writes, to a file that exists and has the current schema.
async fn writer(path: &Path, options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    create(path)?;
    let options =
        options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .map_err(refused)?;
    MIGRATIONS.run(&pool).await.map_err(|error| StoreError::Schema(error.to_string()))?;
    Ok(pool)
}

/// Makes an empty file that only its owner reads, if there is none: it will name customers.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            Err(StoreError::Unavailable(format!("`{}` cannot be created: {error}", path.display())))
        }
    }
}

/// Refuses a file without the schema, or with one that this program does not know.
async fn fits(readers: &SqlitePool) -> Result<(), StoreError> {
    let applied: Result<Vec<i64>, _> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(readers)
            .await;
    let applied = match applied {
        Ok(applied) => applied,
        Err(sqlx::Error::Database(error)) if error.message().contains("no such table") => {
            return Err(StoreError::Schema("it is no store of this program".to_owned()));
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

/// Turns an error of the driver into whose fault it is.
#[expect(clippy::needless_pass_by_value, reason = "this is the form that `map_err` calls")]
fn refused(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) => {
            let primary = database.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
            match primary & 0xff {
                SQLITE_CONSTRAINT => {
                    let message = database.message();
                    let message = message.strip_prefix("CHECK constraint failed: ").map_or_else(
                        || message.to_owned(),
                        |rule| format!("the store refuses it: {rule}"),
                    );
                    Refusal::Forbidden(message).into()
                }
                SQLITE_CORRUPT | SQLITE_NOTADB => {
                    StoreError::Schema(format!("the file is damaged or no store: {database}"))
                }
                _ => StoreError::Unavailable(database.message().to_owned()),
            }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// A row that the schema should not have let in.
fn corrupt(place: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{place}: {error}"))
}

const SQLITE_CORRUPT: u32 = 11;
const SQLITE_CONSTRAINT: u32 = 19;
const SQLITE_NOTADB: u32 = 26;
