//! The store for many hosts: PostgreSQL 15 or newer.
//!
//! Writers are serialised by an advisory lock until their commit, so that the order of the feed is
//! the order of commits. One connection of each service listens for `entitlements` and looks at
//! the feed twice a second besides: a notification only makes the news faster, never possible.
//! A pooler between must give each client a session of its own: statements are prepared.

mod address;
#[cfg_attr(feature = "sqlite", expect(clippy::duplicate_mod, reason = "compiled for each driver"))]
#[path = "../sql/apply.rs"]
mod apply;
#[cfg_attr(feature = "sqlite", expect(clippy::duplicate_mod, reason = "compiled for each driver"))]
#[path = "../sql/backend.rs"]
mod backend;
#[cfg_attr(feature = "sqlite", expect(clippy::duplicate_mod, reason = "compiled for each driver"))]
#[path = "../sql/copy.rs"]
mod copy;
#[cfg_attr(feature = "sqlite", expect(clippy::duplicate_mod, reason = "compiled for each driver"))]
#[path = "../sql/feed.rs"]
mod feed;
#[cfg_attr(feature = "sqlite", expect(clippy::duplicate_mod, reason = "compiled for each driver"))]
#[path = "../sql/plans.rs"]
mod plans;
#[cfg_attr(feature = "sqlite", expect(clippy::duplicate_mod, reason = "compiled for each driver"))]
#[path = "../sql/rows.rs"]
mod rows;
mod watch;
mod whole;

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{
    PgConnectOptions, PgConnection as Connection, PgPool as Pool, PgPoolOptions, PgRow as Row,
};
use sqlx::{Connection as _, Postgres as Database};

use super::{Mode, Refusal, StoreError};
use address::place;
use backend::Sql;
use watch::Watch;
use whole::{IDENTITY, whole};

type Transaction = sqlx::Transaction<'static, Database>;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Opens the database that a URL names.
pub(super) async fn open(url: &str, mode: Mode) -> Result<Sql, StoreError> {
    let options = address::options(url)?;
    reach(&options).await?;
    let readers = pool(&options, 4);
    let writer = match mode {
        Mode::ReadOnly => None,
        Mode::ReadWrite => Some(pool(&options, 2)),
    };
    let place = place(&options);
    let watch = Watch::new(options.clone());
    let opened = Sql::new(readers.clone(), writer.clone(), watch, &place).await;
    match (opened, writer) {
        // Only where there is something to do: else a role that may not change the schema is enough.
        (Err(StoreError::Missing { .. } | StoreError::Schema(_)), Some(writer)) => {
            MIGRATIONS.run(&writer).await.map_err(not_migrated)?;
            Sql::new(readers, Some(writer), Watch::new(options), &place).await
        }
        (opened, _) => opened,
    }
}

/// Connects once: a pool tries again where nobody listens, and then only says that it was in vain.
async fn reach(options: &PgConnectOptions) -> Result<(), StoreError> {
    let attempt = tokio::time::timeout(REACHED_WITHIN, Connection::connect_with(options));
    let why = match attempt.await {
        Ok(Ok(connection)) => {
            // That it says goodbye properly is a courtesy.
            let _closed = connection.close().await;
            return Ok(());
        }
        Ok(Err(error)) => match refused(error) {
            StoreError::Unavailable(why) => why,
            other => return Err(other),
        },
        Err(_) => format!("no connection within {} s", REACHED_WITHIN.as_secs()),
    };
    Err(StoreError::Unavailable(format!("{}: {why}", place(options))))
}

/// Connections that are opened when they are needed.
fn pool(options: &PgConnectOptions, connections: u32) -> Pool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(REACHED_WITHIN)
        .connect_lazy_with(options.clone())
}

/// A transaction that changes rows. The lock comes before anything is read: what is checked stays
/// true, and the next writer waits until the commit.
async fn writing(writer: &Pool) -> Result<Transaction, StoreError> {
    let mut transaction =
        writer.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(refused)?;
    // The next one waits, but not for ever: whoever holds the lock may have gone to lunch.
    for statement in ["SET LOCAL lock_timeout = '10s'", "SELECT pg_advisory_xact_lock(4711)"] {
        sqlx::query(statement).execute(&mut *transaction).await.map_err(refused)?;
    }
    // Without its rules a change would be in no feed.
    whole(&mut *transaction).await?;
    Ok(transaction)
}

/// A transaction that reads: all of it at one moment.
async fn snapshot(readers: &Pool) -> Result<Transaction, StoreError> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut transaction = readers.begin_with(begin).await.map_err(refused)?;
    whole(&mut *transaction).await?;
    Ok(transaction)
}

/// True if the database has not even the table of the schema's versions.
fn is_no_store(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some(UNDEFINED_TABLE)
}

fn not_migrated(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) if error.as_database_error().is_none() => refused(error),
        error => StoreError::Schema(error.to_string()),
    }
}

/// Turns an error of the driver into whose fault it is.
#[expect(clippy::needless_pass_by_value, reason = "this is the form that `map_err` calls")]
fn refused(error: sqlx::Error) -> StoreError {
    let code = code(&error);
    match (&error, code.as_deref()) {
        // What a rule of the schema forbids, and values that no column takes.
        (sqlx::Error::Database(database), Some(code))
            if code.starts_with("23") || code.starts_with("22") || code == TOO_LARGE =>
        {
            let message = database.message();
            let message = match database.constraint() {
                Some(rule) if !message.contains(rule) => format!("{message} (`{rule}`)"),
                _ => message.to_owned(),
            };
            Refusal::Forbidden(message).into()
        }
        (sqlx::Error::Database(database), Some(NOT_ALLOWED)) => {
            let message = database.message();
            Refusal::Forbidden(format!("{message}; GRANT it to the role of the store's URL")).into()
        }
        (sqlx::Error::Database(database), Some(UNDEFINED_TABLE)) => {
            StoreError::Schema(database.message().to_owned())
        }
        (sqlx::Error::Database(database), _) => {
            StoreError::Unavailable(database.message().to_owned())
        }
        (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_), _) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// A row that the schema should not have let in.
fn corrupt(place: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{place}: {error}"))
}

/// Microseconds since 1970 by the database's clock.
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT";
const UNDEFINED_TABLE: &str = "42P01";
const NOT_ALLOWED: &str = "42501";
/// A row that is too large for an index.
const TOO_LARGE: &str = "54000";
/// The longest that a connection may take.
const REACHED_WITHIN: Duration = Duration::from_secs(5);
