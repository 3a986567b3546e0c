//! Where spans are kept.
//!
//! A [`Store`] can do nothing but hand out a [`TenantStore`], and only for a [`Tenant`], which is
//! only made from the gateway's header. All questions are asked of the [`TenantStore`], so there
//! is no way to ask without saying for whom. All SQL stands in one file, and a test holds each
//! statement of it to binding the tenant.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::clock::Clock;
use crate::tenant::Tenant;
use crate::turns::PATIENCE;

mod append;
mod read;
mod row;
mod sql;

pub(crate) use read::{ExchangeFilter, SinceUntil};
pub(crate) use row::{AgentRow, EdgeRow, ExchangeRow, NodeRow, StatusRow, TraceSpanRow};

/// Where spans are kept. Clones share one store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// `SQLite` has one writer at a time; a pool of one makes the others wait here, in the order of
    /// asking, for as long as they wait for anything.
    writer: SqlitePool,
    reader: SqlitePool,
    clock: Clock,
}

/// One tenant's part of the store: the only thing with questions to ask.
#[derive(Clone, Debug)]
pub(crate) struct TenantStore {
    store: Store,
    tenant: Tenant,
    shown_from_us: i64,
}

/// Why the store cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The address is of no store that is known.
    #[error("unknown store `{0}`: write `sqlite:FILE` or `sqlite::memory:`")]
    UnknownStore(String),
    /// The database refused or could not be reached.
    #[error("the database cannot answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The file could not be made.
    #[error("`{path}` cannot be created: {source}")]
    Create {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The schema could not be brought up to date.
    #[error("the schema cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what this version does not write.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(String),
}

impl Store {
    /// Opens the store at `url` and brings its schema up to date. A file that is not there is
    /// made.
    ///
    /// # Errors
    ///
    /// When the address is not understood, or the database cannot be opened or is newer.
    pub(crate) async fn open(url: &str, clock: Clock) -> Result<Self, StoreError> {
        if !url.starts_with("sqlite:") {
            return Err(StoreError::UnknownStore(url.into()));
        }
        let in_memory = url.starts_with("sqlite::memory:") || url.contains("mode=memory");
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(5));
        let pool = || {
            SqlitePoolOptions::new().acquire_timeout(PATIENCE).idle_timeout(None).max_lifetime(None)
        };
        if !in_memory {
            create(options.get_filename())?;
        }
        let writer = pool().max_connections(1).connect_with(options.clone()).await?;
        // One process at a time: whoever comes second finds that there is nothing left to do.
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::migrate!("migrations/sqlite").run_direct(None, &mut *transaction, false).await?;
        transaction.commit().await?;
        let reader = if in_memory {
            // Each connection to `:memory:` is a database of its own.
            writer.clone()
        } else {
            pool().max_connections(READERS).connect_with(options.read_only(true)).await?
        };
        Ok(Self { writer, reader, clock })
    }

    /// The part of one tenant, of which only what arrived in the last `days` days is shown.
    pub(crate) fn for_tenant(&self, tenant: &Tenant, days: u32) -> TenantStore {
        let back = i64::from(days).saturating_mul(DAY_US);
        TenantStore {
            store: self.clone(),
            tenant: tenant.clone(),
            shown_from_us: self.clock.now_us().saturating_sub(back),
        }
    }

    /// Takes the writer, in its turn; nothing is stored until it is given back.
    #[cfg(test)]
    pub(crate) async fn hold_writer(&self) -> sqlx::pool::PoolConnection<sqlx::Sqlite> {
        self.writer.acquire().await.unwrap()
    }

    /// Waits for what is running and closes the files.
    pub(crate) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

impl TenantStore {
    /// Whose part it is.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }
}

/// Makes an empty file that only its owner reads, if there is none: it will hold payloads. `SQLite`
/// gives the files beside it the same permissions.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    match file.open(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(StoreError::Create { path: path.display().to_string(), source })
        }
        _ => Ok(()),
    }
}

const READERS: u32 = 4;
const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use sqlx::AssertSqlSafe;

    use super::*;

    async fn memory() -> SqlitePool {
        Store::open("sqlite::memory:", Clock::new(|| UNIX_EPOCH)).await.unwrap().writer
    }

    #[tokio::test]
    async fn the_tenant_leads_every_table_key_and_index() {
        let pool = memory().await;
        let tables: Vec<(String,)> = sqlx::query_as(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        assert_eq!(tables.len(), 4, "{tables:?}");
        for (table,) in tables {
            let first = format!("SELECT name FROM pragma_table_info('{table}') WHERE cid = 0");
            let first: (String,) =
                sqlx::query_as(AssertSqlSafe(first)).fetch_one(&pool).await.unwrap();
            assert_eq!(first.0, "tenant_id", "{table}");
            let leading = format!(
                "SELECT il.name, ii.name FROM pragma_index_list('{table}') AS il
                 JOIN pragma_index_info(il.name) AS ii WHERE ii.seqno = 0"
            );
            let leading: Vec<(String, String)> =
                sqlx::query_as(AssertSqlSafe(leading)).fetch_all(&pool).await.unwrap();
            assert!(!leading.is_empty(), "{table} has no key");
            for (index, column) in leading {
                assert_eq!(column, "tenant_id", "{table}.{index}");
            }
        }
    }

    #[tokio::test]
    async fn the_database_itself_refuses_what_is_no_tenant() {
        let pool = memory().await;
        let long = "a".repeat(64);
        for (tenant, kept) in [("acme", true), ("0-a", true), ("", false), ("-a", false)]
            .into_iter()
            .chain([("A", false), ("a_b", false), ("a b", false), (long.as_str(), false)])
        {
            let done = sqlx::query(sql::INSERT_RESOURCE)
                .bind(tenant)
                .bind("r")
                .bind("{}")
                .execute(&pool)
                .await;
            assert_eq!(done.is_ok(), kept, "`{tenant}`");
        }
    }
}
