//! Hearing what others have committed.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::{Instant, timeout, timeout_at};

use super::refused;
use crate::model::TenantId;
use crate::store::{Feed, StoreError};

/// A connection of its own that listens; the feed is read through it, too, so that an answer is
/// the sign that notifications would arrive.
pub(super) struct Watch {
    options: PgConnectOptions,
    listener: Option<PgListener>,
}

impl Watch {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self { options, listener: None }
    }

    pub(super) async fn position(&mut self) -> Result<u64, StoreError> {
        let answer = async {
            sqlx::query_scalar::<_, i64>("SELECT COALESCE(max(seq), 0) FROM changes")
                .fetch_one(self.listener().await?)
                .await
        };
        let answer = in_time(answer).await;
        self.kept(answer).map(i64::unsigned_abs)
    }

    pub(super) async fn news(&mut self, after: u64) -> Result<Feed, StoreError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            // INVARIANT: it listens before it reads, so a commit after the reading wakes it.
            let answer = in_time(self.read(after)).await;
            if let Some(feed) = self.kept(answer)? {
                return Ok(feed);
            }
            let listener = self.listener.as_mut().ok_or_else(lost)?;
            match timeout_at(give_up, listener.try_recv()).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => return self.kept(Err(lost())),
                Ok(Err(error)) => return self.kept(Err(refused(error))),
                Err(_) => return Ok(Feed { position: after, ..Feed::default() }),
            }
        }
    }

    /// The changes after a place; none if there are none.
    async fn read(&mut self, after: u64) -> Result<Option<Feed>, sqlx::Error> {
        let listener = self.listener().await?;
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT seq, tenant_id FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2",
        )
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(PAGE)
        .fetch_all(&mut *listener)
        .await?;
        if let Some((position, _)) = rows.last() {
            // The schema lets no other ids in; one that got in anyway cannot be asked for either.
            let tenants = rows.iter().filter_map(|(_, id)| id.parse::<TenantId>().ok()).collect();
            let position = position.unsigned_abs();
            return Ok(Some(Feed { position, tenants, restarted: false }));
        }
        let last: i64 = sqlx::query_scalar("SELECT COALESCE(max(seq), 0) FROM changes")
            .fetch_one(listener)
            .await?;
        let position = last.unsigned_abs();
        Ok((position < after).then(|| Feed { position, tenants: Vec::new(), restarted: true }))
    }

    async fn listener(&mut self) -> Result<&mut PgListener, sqlx::Error> {
        if self.listener.is_none() {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .acquire_timeout(ANSWER_WITHIN)
                .connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool).await?;
            // A lost connection is told, not mended: what was committed meanwhile is looked for.
            listener.eager_reconnect(false);
            listener.listen("entitlements").await?;
            self.listener = Some(listener);
        }
        Ok(self.listener.as_mut().expect("it was put there above"))
    }

    /// Gives up the connection after an error: the next call starts with a new one.
    fn kept<T>(&mut self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if answer.is_err() {
            self.listener = None;
        }
        answer
    }
}

/// A server that vanished without a word is found out, too.
async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match timeout(ANSWER_WITHIN, answer).await {
        Ok(answer) => answer.map_err(refused),
        Err(_) => Err(StoreError::Unavailable("the feed was not answered in time".to_owned())),
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("the connection that listens was lost".to_owned())
}

/// How long one call waits for news: the caller takes its return as a sign of life.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long one reading of the feed may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How many changes are told at once.
const PAGE: i64 = 1000;
