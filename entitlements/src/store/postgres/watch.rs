//! Hearing what others have committed.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::{Instant, timeout, timeout_at};

use super::{feed, refused, whole};
use crate::store::{Feed, Place, StoreError};

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

    pub(super) async fn position(&mut self) -> Result<Place, StoreError> {
        let answer = in_time(async {
            let listener = self.listener().await?;
            whole(&mut *listener).await?;
            feed::end(listener).await.map_err(refused)
        });
        let answer = answer.await;
        self.kept(answer)
    }

    pub(super) async fn holds(&mut self, place: &Place) -> Result<bool, StoreError> {
        let answer = in_time(self.read(place)).await;
        self.kept(answer).map(|feed| !feed.restarted)
    }

    pub(super) async fn news(&mut self, after: &Place) -> Result<Feed, StoreError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            // INVARIANT: it listens before it reads, so a commit after the reading wakes it.
            let answer = in_time(self.read(after)).await;
            let feed = self.kept(answer)?;
            // However many notifications there are, none of which brought anything: the return is
            // the sign of life that the caller waits for.
            if feed.restarted || feed.position != *after || Instant::now() >= give_up {
                return Ok(feed);
            }
            let listener = self.listener.as_mut().ok_or_else(lost)?;
            match timeout_at(give_up, listener.try_recv()).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => return self.kept(Err(lost())),
                Ok(Err(error)) => return self.kept(Err(refused(error))),
                Err(_) => return Ok(feed),
            }
        }
    }

    /// The changes after a place. What was notified until now is read with them: one reading for
    /// all of it, however much it is.
    async fn read(&mut self, after: &Place) -> Result<Feed, StoreError> {
        let listener = self.listener().await?;
        while listener.next_buffered().is_some() {}
        whole(&mut *listener).await?;
        feed::after(listener, after).await.map_err(refused)
    }

    async fn listener(&mut self) -> Result<&mut PgListener, StoreError> {
        if self.listener.is_none() {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .acquire_timeout(ANSWER_WITHIN)
                .connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool).await.map_err(refused)?;
            // A lost connection is told, not mended: what was committed meanwhile is looked for.
            listener.eager_reconnect(false);
            listener.listen("entitlements").await.map_err(refused)?;
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
async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match timeout(ANSWER_WITHIN, answer).await {
        Ok(answer) => answer,
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
