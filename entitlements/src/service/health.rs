//! What is known of the store itself: whether and when it was heard, and where its feed stands.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Place;

/// Whether, and when last, the store was heard. Time is counted by the monotonic clock: a wall
/// clock that is set must not make everything stale.
pub(super) struct Health {
    started: Instant,
    /// Milliseconds after `started` up to which the cache is known to be true; zero: never.
    confirmed: AtomicU64,
    pub(super) up: AtomicBool,
    /// The place in the feed up to which the cache is true; none: nothing was ever heard.
    place: Mutex<Option<Place>>,
    /// When everything was compared last, in milliseconds after `started`.
    swept: AtomicU64,
    /// How old the knowledge was at `started` that a snapshot brought; none without one. It counts
    /// until the store is heard for the first time.
    pub(super) carried: Option<Duration>,
    /// How many tenants the store had when that was asked last, plus one; zero: never.
    counted: AtomicU64,
    /// How often the rows of a tenant could not be read.
    pub(super) unreadable: AtomicU64,
    /// The current catalog of the store is another one.
    pub(super) catalog_differs: AtomicBool,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            confirmed: AtomicU64::new(0),
            up: AtomicBool::new(false),
            place: Mutex::new(None),
            swept: AtomicU64::new(0),
            carried: None,
            counted: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            catalog_differs: AtomicBool::new(false),
        }
    }

    /// The store was heard by this process.
    pub(super) fn heard(&self) -> bool {
        self.confirmed.load(Ordering::Acquire) != 0
    }

    pub(super) fn count(&self) -> Option<u64> {
        self.counted.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn put_place(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    pub(super) fn has_counted(&self, tenants: u64) {
        self.counted.store(tenants.saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn since_last_read(&self) -> Option<Duration> {
        match self.confirmed.load(Ordering::Acquire) {
            0 => self.carried.map(|age| age.saturating_add(self.started.elapsed())),
            millis => {
                let confirmed = Duration::from_millis(millis);
                Some(self.started.elapsed().saturating_sub(confirmed))
            }
        }
    }

    /// The cache is as the store was at that moment.
    pub(super) fn confirm(&self, at: Instant, place: &Place) {
        // INVARIANT: the place is not ahead of the rows, which are there already.
        self.put_place(place.clone());
        self.confirmed.store(self.millis(at).max(1), Ordering::Release);
        self.up.store(true, Ordering::Relaxed);
    }

    /// True once in a while: the feed tells everything, and this is for what it did not.
    pub(super) fn sweep_is_due(&self) -> bool {
        let now = self.millis(Instant::now());
        let every = u64::try_from(SWEEP_EVERY.as_millis()).unwrap_or(u64::MAX);
        let due = now.saturating_sub(self.swept.load(Ordering::Relaxed)) > every;
        if due {
            self.swept.store(now, Ordering::Relaxed);
        }
        due
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from((at - self.started).as_millis()).unwrap_or(u64::MAX)
    }
}

/// How often everything at hand is compared with the store, without any sign of a change.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
