//! The embedded store: one SQLite file, for one host.
//!
//! One connection writes, a few read, and one watches. The file is in WAL mode, so readers and the
//! writer do not wait for each other; commits reach the disk before they are acknowledged, because
//! a revocation that a power cut takes back would be a lie. Other processes' commits are seen by
//! `PRAGMA data_version`, asked twenty times a second.

#[path = "../sql/apply.rs"]
mod apply;
#[path = "../sql/backend.rs"]
mod backend;
#[path = "../sql/copy.rs"]
mod copy;
#[path = "../sql/feed.rs"]
mod feed;
#[path = "../sql/plans.rs"]
mod plans;
#[path = "../sql/rows.rs"]
mod rows;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Sqlite as Database;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection as Connection, SqliteJournalMode, SqlitePool as Pool,
    SqlitePoolOptions, SqliteRow as Row, SqliteSynchronous,
};
use tokio::time::Instant;

use super::{Mode, Refusal, StoreError};
use backend::Sql;

type Transaction = sqlx::Transaction<'static, Database>;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Opens the file that a URL names.
pub(super) async fn open(url: &str, mode: Mode) -> Result<Sql, StoreError> {
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
    let place = path.display().to_string();
    let watch = |path| watch::Watch::new(path, reading.clone());
    let opened = Sql::new(readers.clone(), writer.clone(), watch(path.clone())?, &place).await;
    match (opened, writer) {
        // Only where there is something to do: else nobody has to wait for who writes now.
        (Err(StoreError::Missing { .. } | StoreError::Schema(_)), Some(writer)) => {
            migrate(&writer).await?;
            Sql::new(readers, Some(writer), watch(path)?, &place).await
        }
        (opened, _) => opened,
    }
}

/// Brings the schema to what this program knows. One process at a time: the driver has no lock of
/// its own, and who comes second finds that there is nothing left to do.
async fn migrate(writer: &Pool) -> Result<(), StoreError> {
    let mut transaction = writing(writer).await?;
    MIGRATIONS
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| StoreError::Schema(error.to_string()))?;
    transaction.commit().await.map_err(refused)
}

/// A transaction that changes rows: IMMEDIATE takes the write lock before anything is read, so
/// that what is checked stays true.
async fn writing(writer: &Pool) -> Result<Transaction, StoreError> {
    writer.begin_with("BEGIN IMMEDIATE").await.map_err(refused)
}

/// A transaction that reads: all of it at one moment.
async fn snapshot(readers: &Pool) -> Result<Transaction, StoreError> {
    readers.begin().await.map_err(refused)
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

/// The one connection that writes, to a file that exists.
async fn writer(path: &Path, options: &SqliteConnectOptions) -> Result<Pool, StoreError> {
    create(path)?;
    let options =
        options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(WRITES_WITHIN);
    let begun = Instant::now();
    loop {
        match pool.clone().connect_with(options.clone()).await {
            // While others open a new file, SQLite does not wait for its turn to make the log.
            Err(error) if code(&error) == SQLITE_BUSY && begun.elapsed() < WRITES_WITHIN => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened.map_err(refused),
        }
    }
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

/// True if the file has not even the table of the schema's versions.
fn is_no_store(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.message().contains("no such table"))
}

/// The primary result code of a refusal; 0 if it is not the database's.
fn code(error: &sqlx::Error) -> u32 {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok()).unwrap_or(0) & 0xff
}

/// Turns an error of the driver into whose fault it is.
#[expect(clippy::needless_pass_by_value, reason = "this is the form that `map_err` calls")]
fn refused(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) => match code(&error) {
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
        },
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

/// A file is replaced as a whole, or by a transaction: it is never seen in part.
async fn whole<'c>(_: impl sqlx::Executor<'c, Database = Database>) -> Result<(), StoreError> {
    Ok(())
}

/// Selects the name of this very store.
const IDENTITY: &&str = &"SELECT id FROM store_identity WHERE one = 1";
/// Microseconds since 1970 by the database's clock, which is this host's.
const NOW: &str = "SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)";
/// How long the connection that writes is waited for.
const WRITES_WITHIN: Duration = Duration::from_secs(10);
const SQLITE_BUSY: u32 = 5;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_CONSTRAINT: u32 = 19;
const SQLITE_NOTADB: u32 = 26;
