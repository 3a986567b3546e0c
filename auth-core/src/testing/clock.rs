//! A clock that stands still until it is moved.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::clock::{Clock, SystemClock};

/// A settable clock; clones show the same time. It starts at the machine's time.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock at the machine's time, in whole seconds.
    #[expect(clippy::new_without_default, reason = "a clock that starts anywhere is no default")]
    pub fn new() -> Self {
        let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::at_unix(now.as_secs())
    }

    /// A clock at this second since 1970.
    pub fn at_unix(seconds: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seconds * 1_000)))
    }

    /// Moves the clock forward, by whole milliseconds.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Moves the clock back, by whole milliseconds.
    pub fn step_back(&self, by: Duration) {
        self.0.fetch_sub(millis(by), Ordering::SeqCst);
    }

    /// The clock as a function, for interfaces that take one.
    pub fn as_fn(&self) -> impl Fn() -> SystemTime + Clone + Send + Sync + 'static {
        let clock = self.clone();
        move || clock.now()
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).expect("a test moves its clock by less than the age of the world")
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}
