//! The refresh rules of one issuer's keys.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::sync::watch;

use super::{KeyError, KeySet, KeySource, SeedError};
use crate::clock::Clock;

/// When keys are fetched, and how long a set is good for.
#[derive(Clone, Copy, Debug)]
pub struct KeyOptions {
    /// A set older than this is fetched again in the background; at the latest after half of
    /// [`Self::max_stale`].
    pub refresh_after: Duration,
    /// A set older than this is not used any more.
    pub max_stale: Duration,
    /// The least time between two fetches that tokens cause; at most half of [`Self::max_stale`].
    pub cool_down: Duration,
    /// The time that one fetch may take.
    pub fetch_timeout: Duration,
}

impl KeyOptions {
    /// Refresh after 10 min, use for 12 h, one fetch per 10 s, 5 s for each.
    pub const STANDARD: Self = Self {
        refresh_after: Duration::from_mins(10),
        max_stale: Duration::from_hours(12),
        cool_down: Duration::from_secs(10),
        fetch_timeout: Duration::from_secs(5),
    };
}

/// The keys of one issuer as seen from outside, for metrics and the command line.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// The issuer's configured name.
    pub issuer: Arc<str>,
    /// When the set in use was fetched; `None` before the first success.
    pub fetched_at: Option<SystemTime>,
    /// How many keys it has.
    pub keys: usize,
    /// How many fetches were started.
    pub fetches: u64,
    /// How many of them failed.
    pub failures: u64,
    /// Why the last one failed, if it did.
    pub last_error: Option<KeyError>,
}

/// A set and when it was fetched.
pub(crate) struct Snapshot {
    pub(crate) keys: KeySet,
    pub(crate) fetched_at: SystemTime,
    /// Counts the sets of this ring, so that whoever waits for a newer one knows it.
    pub(crate) generation: u64,
    /// What the set was read from.
    document: Bytes,
    /// It was brought along from an earlier process, and is fetched anew as soon as possible.
    seeded: bool,
}

pub(crate) struct KeyRing {
    issuer: Arc<str>,
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    options: KeyOptions,
    snapshot: ArcSwapOption<Snapshot>,
    control: Mutex<Control>,
}

#[derive(Default)]
struct Control {
    running: Option<watch::Receiver<()>>,
    last_attempt: Option<SystemTime>,
    last_error: Option<KeyError>,
    fetches: u64,
    failures: u64,
    failures_in_a_row: u32,
}

impl KeyRing {
    pub(crate) fn new(
        issuer: Arc<str>,
        source: Arc<dyn KeySource>,
        clock: Arc<dyn Clock>,
        options: KeyOptions,
    ) -> Arc<Self> {
        // However short the life of a set is, its successor is fetched before its end.
        let half = options.max_stale / 2;
        let (refresh_after, cool_down) =
            (options.refresh_after.min(half), options.cool_down.min(half));
        let options = KeyOptions { refresh_after, cool_down, ..options };
        let (snapshot, control) = (ArcSwapOption::empty(), Mutex::default());
        Arc::new(Self { issuer, source, clock, options, snapshot, control })
    }

    /// The set in use, unless there is none or it is too old. Starts a background refresh when due.
    pub(crate) fn current(self: &Arc<Self>, now: SystemTime) -> Option<Arc<Snapshot>> {
        let snapshot = self.snapshot.load_full()?;
        let age = self.age(&snapshot, now);
        if snapshot.seeded || age >= self.options.refresh_after {
            self.refresh(now, self.options.cool_down);
        }
        (age < self.options.max_stale).then_some(snapshot)
    }

    /// The set in use after waiting for a fetch, where one is running or may be started.
    /// `known` says what generation the caller has already looked at in vain.
    pub(crate) async fn newer(self: &Arc<Self>, known: Option<u64>) -> Option<Arc<Snapshot>> {
        let now = self.clock.now();
        // Somebody else's fetch may have ended between the caller's look and now.
        let newer = |s: &Arc<Snapshot>| known.is_none_or(|known| s.generation > known);
        if let Some(snapshot) = self.current(now).filter(newer) {
            return Some(snapshot);
        }
        // Without any usable set the identity provider may just be starting: try sooner.
        let pause = if known.is_some() { self.options.cool_down } else { self.pause() };
        if let Some(mut done) = self.refresh(now, pause) {
            // An error means that the sender is gone: the fetch has ended.
            drop(done.changed().await);
        }
        self.current(self.clock.now())
    }

    /// Waits until a usable set is there or one fetch has failed.
    pub(crate) async fn ready(self: &Arc<Self>) -> Result<Arc<Snapshot>, KeyError> {
        match self.newer(None).await {
            Some(snapshot) => Ok(snapshot),
            None => Err(self.error()),
        }
    }

    /// Why there is no usable set.
    pub(crate) fn error(&self) -> KeyError {
        let last = self.lock().last_error.clone();
        last.unwrap_or_else(|| KeyError::Unavailable { issuer: self.issuer.clone() })
    }

    /// How long to wait before asking again.
    pub(crate) fn cool_down(&self) -> Duration {
        self.options.cool_down
    }

    /// When a new set is wanted next, counted from now; zero if a fetch is due.
    pub(crate) fn due_in(&self) -> Duration {
        let now = self.clock.now();
        let pause = self.pause();
        let (wanted_in, pause) = match self.snapshot.load().as_ref() {
            None => (Duration::ZERO, pause),
            Some(s) => {
                let age = if s.seeded { Duration::MAX } else { self.age(s, now) };
                let wanted_in = self.options.refresh_after.saturating_sub(age);
                // A set that is in use can wait for its successor.
                let failed = !pause.is_zero();
                (wanted_in, if failed { self.options.cool_down } else { Duration::ZERO })
            }
        };
        let last = self.lock().last_attempt;
        let rest = last.map_or(Duration::ZERO, |last| pause.saturating_sub(elapsed(last, now)));
        wanted_in.max(rest)
    }

    /// Starts a fetch if there is no usable set or one is due, and does not wait for it.
    pub(crate) fn prepare(self: &Arc<Self>) {
        let now = self.clock.now();
        if self.current(now).is_none() {
            drop(self.refresh(now, self.pause()));
        }
    }

    /// The document of the set in use and when it was fetched.
    pub(crate) fn document(&self) -> Option<(Bytes, SystemTime)> {
        let snapshot = self.snapshot.load();
        snapshot.as_ref().map(|s| (s.document.clone(), s.fetched_at))
    }

    /// Begins with a set that was fetched earlier. A set that is there already stays.
    pub(crate) fn seed(&self, document: Bytes, fetched_at: SystemTime) -> Result<(), SeedError> {
        let now = self.clock.now();
        // Stricter than for a set of our own: how long ago this was, only the wall clock can tell.
        if fetched_at > now + PRECISION {
            return Err(SeedError::Future);
        }
        let age = elapsed(fetched_at, now);
        if age >= self.options.max_stale {
            return Err(SeedError::TooOld { age, max_stale: self.options.max_stale });
        }
        let keys = KeySet::parse(&self.issuer, &document)?;
        // Under the lock, as every other set.
        let _control = self.lock();
        if self.snapshot.load().is_none() {
            let first = Snapshot { keys, fetched_at, generation: 1, document, seeded: true };
            self.snapshot.store(Some(Arc::new(first)));
        }
        Ok(())
    }

    pub(crate) fn status(&self) -> KeyStatus {
        let snapshot = self.snapshot.load_full();
        let control = self.lock();
        KeyStatus {
            issuer: self.issuer.clone(),
            fetched_at: snapshot.as_ref().map(|s| s.fetched_at),
            keys: snapshot.as_ref().map_or(0, |s| s.keys.len()),
            fetches: control.fetches,
            failures: control.failures,
            last_error: control.last_error.clone(),
        }
    }

    /// How old a set is. After a clock was set back nobody knows: the set is fetched again and used
    /// meanwhile, as long as the step is smaller than `max_stale`. So every set has an end.
    fn age(&self, snapshot: &Snapshot, now: SystemTime) -> Duration {
        match now.duration_since(snapshot.fetched_at) {
            Ok(age) => age,
            Err(back) if back.duration() < PRECISION => Duration::ZERO,
            Err(back) if back.duration() < self.options.max_stale => self.options.refresh_after,
            Err(_) => Duration::MAX,
        }
    }

    /// The pause after failures, as long as there is no usable set: short at first.
    fn pause(&self) -> Duration {
        let failures = self.lock().failures_in_a_row;
        if failures == 0 {
            return Duration::ZERO;
        }
        let pause = Duration::from_millis(250) * 2_u32.saturating_pow(failures.min(8));
        pause.min(self.options.cool_down)
    }

    /// Joins the running fetch, or starts one unless the last began less than `pause` ago.
    fn refresh(self: &Arc<Self>, now: SystemTime, pause: Duration) -> Option<watch::Receiver<()>> {
        let mut control = self.lock();
        if let Some(running) = &control.running {
            return Some(running.clone());
        }
        if control.last_attempt.is_some_and(|last| elapsed(last, now) < pause) {
            return None;
        }
        // The fetch outlives the request that caused it; without a runtime nothing can be fetched.
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let (finished, running) = watch::channel(());
        control.running = Some(running.clone());
        control.last_attempt = Some(now);
        control.fetches += 1;
        drop(control);
        // Made before the task runs and dropped last, even when the source panics or the runtime ends
        // before the first step: then the waiters go on, and so do later fetches.
        let mut end = End { ring: self.clone(), answered: false, _finished: finished };
        runtime.spawn(async move {
            let result = end.ring.fetch().await;
            end.answered = true;
            end.ring.take(result);
        });
        Some(running)
    }

    async fn fetch(&self) -> Result<(KeySet, Bytes), KeyError> {
        let failed = |source| KeyError::Fetch { issuer: self.issuer.clone(), source };
        let fetched = tokio::time::timeout(self.options.fetch_timeout, self.source.fetch()).await;
        let document = fetched
            .map_err(|_| {
                let limit = self.options.fetch_timeout;
                failed(super::FetchError::new(format!("no answer within {limit:?}")))
            })?
            .map_err(failed)?;
        Ok((KeySet::parse(&self.issuer, &document)?, document))
    }

    fn take(&self, result: Result<(KeySet, Bytes), KeyError>) {
        // A log subscriber may ask for the status: nothing is logged under the lock.
        match &result {
            Ok((keys, _)) => {
                for (kid, why) in keys.rejected() {
                    tracing::warn!(issuer = %self.issuer, kid, %why, "key not used");
                }
            }
            Err(error) => tracing::warn!(issuer = %self.issuer, %error, "keys not refreshed"),
        }
        let mut control = self.lock();
        match result {
            Ok((keys, document)) => {
                control.last_error = None;
                control.failures_in_a_row = 0;
                let generation = self.snapshot.load().as_ref().map_or(0, |s| s.generation) + 1;
                // The moment the fetch began: a token issued later may name a key it did not see.
                let fetched_at = control.last_attempt.unwrap_or_else(|| self.clock.now());
                let seeded = false;
                let next = Snapshot { keys, fetched_at, generation, document, seeded };
                self.snapshot.store(Some(Arc::new(next)));
            }
            Err(error) => control.failed(error),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Control> {
        // Nothing is half-written when a holder panics: each field is set on its own.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    fn failed(&mut self, error: KeyError) {
        self.failures += 1;
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.last_error = Some(error);
    }
}

struct End {
    ring: Arc<KeyRing>,
    answered: bool,
    _finished: watch::Sender<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut control = self.ring.lock();
        control.running = None;
        if self.answered {
            return;
        }
        if std::thread::panicking() {
            // Counted, so that a source that always panics meets the back-off too.
            let source = super::FetchError::new("the key source panicked");
            control.failed(KeyError::Fetch { issuer: self.ring.issuer.clone(), source });
        } else {
            // The runtime went away, not the provider: another one may try at once.
            control.last_attempt = None;
        }
    }
}

/// The time since `then`. A clock that was set back makes everything old, never young for ever.
fn elapsed(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_else(|back| {
        if back.duration() < PRECISION { Duration::ZERO } else { Duration::MAX }
    })
}

/// Within the precision of a clock adjustment it is simply now.
const PRECISION: Duration = Duration::from_secs(2);
