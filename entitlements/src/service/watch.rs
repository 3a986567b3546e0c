//! The task that keeps the cache true: it follows the store's feed of changes, and compares
//! everything again after each interruption.
//!
//! How news arrive is the store's business: PostgreSQL notifies, SQLite is asked. Here counts only
//! that an error means an interruption, that after one everything is compared, and that rows with
//! a smaller revision never take the place of greater ones, unless the store is another copy. That
//! is seen by its name and by the mark of the last change that was heard of.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::cache::Replace;
use super::compare::{compare, doubt_all, read_again, refresh};
use super::doubts::Whence;
use super::{Shared, in_time, keep, within};
use crate::store::{self, Mode, Place, Store, StoreError};

/// How the store is reached, the first time and after it was replaced.
pub(super) enum Connector {
    Url(String, Mode),
    Given(Arc<dyn Store>, Mode),
}

impl Connector {
    /// Opens the store. One that was there before is missing if it is gone, not new: an empty one
    /// in its place would make every tenant unknown.
    pub(super) async fn open(&self, shared: &Shared) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::Given(store, _) => Ok(Arc::clone(store)),
            Self::Url(url, mode) => {
                if shared.health.since_last_read().is_some() {
                    match store::open(url, Mode::ReadOnly).await {
                        // An older schema is brought up to date below; a newer one is refused there.
                        Ok(_) | Err(StoreError::Schema(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                store::open(url, *mode).await
            }
        }
    }

    pub(super) fn mode(&self) -> Mode {
        match self {
            Self::Url(_, mode) | Self::Given(_, mode) => *mode,
        }
    }
}

/// What the task knows between two turns.
#[derive(Default)]
pub(super) struct Course {
    /// Where the feed stands; none: everything is to be compared.
    place: Option<Place>,
    /// Reads again what is doubtful; it ends with the task.
    again: JoinSet<()>,
}

/// Opens the store and makes sure that what is at hand is what it says.
pub(super) async fn reach_first(
    shared: &Arc<Shared>,
    connector: &Connector,
) -> Result<Course, StoreError> {
    keep::take_over(shared).await;
    let store = connector.open(shared).await?;
    let mut course = Course::default();
    turn(shared, store.as_ref(), &mut course).await?;
    shared.put_store(Some(store));
    Ok(course)
}

/// Follows the store until the service is dropped.
pub(super) async fn follow(shared: Arc<Shared>, connector: Connector, mut course: Course) {
    // INVARIANT: what a snapshot says is in the cache before the store is asked for the first time:
    // nothing of it comes after what the store says.
    keep::take_over(&shared).await;
    let mut pause = FIRST_PAUSE;
    let mut told: Option<(String, Instant)> = None;
    loop {
        let error = match reach(&shared, &connector).await {
            Ok(store) => {
                let (error, heard) = listen(&shared, store.as_ref(), &mut course).await;
                if heard {
                    pause = FIRST_PAUSE;
                    told = None;
                }
                error
            }
            Err(error) => error,
        };
        shared.health.up.store(false, Ordering::Relaxed);
        let text = error.to_string();
        let is_due = told.as_ref().is_none_or(|(last, at)| {
            at.elapsed() >= if *last == text { REMINDED_AFTER } else { TOLD_AFTER }
        });
        if is_due {
            warn!(error = text, "entitlements: the store cannot be followed");
            told = Some((text, Instant::now()));
        } else {
            debug!(error = text, "entitlements: the store still cannot be followed");
        }
        course.place = None;
        if matches!(error, StoreError::Gone(_)) {
            shared.put_store(None);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn reach(shared: &Shared, connector: &Connector) -> Result<Arc<dyn Store>, StoreError> {
    if let Ok(store) = shared.store() {
        return Ok(store);
    }
    let store = connector.open(shared).await?;
    shared.put_store(Some(Arc::clone(&store)));
    Ok(store)
}

/// Listens until something goes wrong; tells whether the store was heard at all.
async fn listen(
    shared: &Arc<Shared>,
    store: &dyn Store,
    course: &mut Course,
) -> (StoreError, bool) {
    let mut heard = false;
    loop {
        match turn(shared, store, course).await {
            Ok(()) => heard = true,
            Err(error) => return (error, heard),
        }
    }
}

/// One turn: everything anew if it is not known where the feed stands, else the news.
async fn turn(
    shared: &Arc<Shared>,
    store: &dyn Store,
    course: &mut Course,
) -> Result<(), StoreError> {
    // INVARIANT: what is read in this turn is true of a moment after this one.
    let asked = Instant::now();
    while course.again.try_join_next().is_some() {}
    if course.again.is_empty() && shared.known.doubts().count() > 0 {
        course.again.spawn(read_again(Arc::clone(shared)));
    }
    let Some(after) = &course.place else {
        let place = compare(shared, store).await?;
        if !shared.health.up.load(Ordering::Relaxed) {
            info!(position = place.seq, "entitlements: following the store");
        }
        shared.health.confirm(asked, &place);
        course.place = Some(place);
        return Ok(());
    };
    let feed = within(NEWS_WITHIN, store.news(after)).await?;
    if feed.restarted {
        course.place = None;
        return Ok(());
    }
    if feed.position != *after {
        shared.known.heard_of_a_change();
        // INVARIANT: whoever is new is counted before the news count as heard.
        count(shared, store).await?;
        let mut concerned: HashSet<_> = feed.tenants.into_iter().collect();
        concerned.retain(|id| shared.known.has(id));
        if concerned.len() > AT_ONCE {
            // Too many to be read before anything else is heard: until each is read, nobody is
            // answered from what was.
            doubt_all(shared, &concerned, Whence::Here);
            course.place = None;
            return Ok(());
        }
        refresh(shared, store, &concerned, Replace::Newer).await?;
        shared.known.is_corrected();
        if feed.more {
            // What else has changed is not known yet, so nothing counts as true of now.
            course.place = Some(feed.position);
            return Ok(());
        }
    }
    shared.health.confirm(asked, &feed.position);
    course.place = if shared.health.sweep_is_due() { None } else { Some(feed.position) };
    Ok(())
}

/// Counts the tenants, for those who may only be let in if there is no other.
pub(super) async fn count(shared: &Shared, store: &dyn Store) -> Result<(), StoreError> {
    shared.health.has_counted(in_time(store.tenant_count()).await?);
    Ok(())
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How soon another error is told than the one before: the first is often only that a connection
/// was lost, the next one says why.
const TOLD_AFTER: Duration = Duration::from_secs(2);
/// How often the same error is told.
const REMINDED_AFTER: Duration = Duration::from_mins(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the feed may take to answer; it waits for news for a second at most.
pub(super) const NEWS_WITHIN: Duration = Duration::from_secs(5);
/// How many tenants are read before the feed is followed.
pub(super) const AT_ONCE: usize = 256;
