//! Seeing what others have committed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::{feed, refused};
use crate::store::{Feed, Place, StoreError};

/// A connection of its own: `PRAGMA data_version` tells only of commits by other connections.
pub(super) struct Watch {
    path: PathBuf,
    file: File,
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    /// The version and the place up to which the feed was read completely.
    seen: Option<(i64, Place)>,
}

impl Watch {
    pub(super) fn new(path: PathBuf, options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let file = File::at(&path)?;
        Ok(Self { path, file, options, connection: None, seen: None })
    }

    pub(super) async fn position(&mut self) -> Result<Place, StoreError> {
        self.same_file()?;
        let answer = async { feed::end(self.connection().await?).await };
        let answer = answer.await;
        self.kept(answer)
    }

    pub(super) async fn holds(&mut self, place: &Place) -> Result<bool, StoreError> {
        self.same_file()?;
        let answer = async { feed::after(self.connection().await?, place).await };
        let answer = answer.await;
        self.kept(answer).map(|feed| !feed.restarted)
    }

    pub(super) async fn news(&mut self, after: &Place) -> Result<Feed, StoreError> {
        for _ in 0..POLLS {
            self.same_file()?;
            let answer = self.poll(after).await;
            if let Some(feed) = self.kept(answer)? {
                return Ok(feed);
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(Feed { position: after.clone(), ..Feed::default() })
    }

    /// The changes after a place; none if nobody has committed since the last poll.
    async fn poll(&mut self, after: &Place) -> Result<Option<Feed>, sqlx::Error> {
        let seen = self.seen.take();
        let connection = self.connection().await?;
        // The version is read before the rows: a commit in between is seen by the next poll.
        let version: i64 =
            sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut *connection).await?;
        if seen.as_ref().is_some_and(|(last, place)| *last == version && place == after) {
            self.seen = seen;
            return Ok(None);
        }
        let feed = feed::after(connection, after).await?;
        if feed.restarted || feed.position != *after {
            return Ok(Some(feed));
        }
        self.seen = Some((version, feed.position));
        Ok(None)
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if self.connection.is_none() {
            self.seen = None;
            self.connection = Some(SqliteConnection::connect_with(&self.options).await?);
        }
        Ok(self.connection.as_mut().expect("it was put there above"))
    }

    /// Gives up the connection after an error: the next call starts with a new one.
    fn kept<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        answer.map_err(|error| {
            self.connection = None;
            self.seen = None;
            refused(error)
        })
    }

    /// An open file goes on living after it was replaced, for instance by a backup: its rows are
    /// no longer the truth.
    fn same_file(&self) -> Result<(), StoreError> {
        if File::at(&self.path)? == self.file {
            Ok(())
        } else {
            Err(StoreError::Gone(self.path.display().to_string()))
        }
    }
}

/// What tells one file from another at the same path.
#[derive(Clone, Copy, Eq, PartialEq)]
struct File {
    device: u64,
    inode: u64,
}

impl File {
    #[cfg(unix)]
    fn at(path: &Path) -> Result<Self, StoreError> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).map_err(|error| gone(path, &error))?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    /// Elsewhere an open file cannot be replaced.
    #[cfg(not(unix))]
    fn at(path: &Path) -> Result<Self, StoreError> {
        std::fs::metadata(path).map_err(|error| gone(path, &error))?;
        Ok(Self { device: 0, inode: 0 })
    }
}

fn gone(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Gone(format!("`{}`: {error}", path.display()))
}

/// Twenty times a second: one poll costs some tens of microseconds.
const INTERVAL: Duration = Duration::from_millis(50);
/// How many polls make one call: the caller takes its return as a sign of life.
const POLLS: u32 = 10;
