//! The one place that prints and the one that looks at the clock.

use std::time::Instant;

/// Prints a line for the reader.
#[expect(clippy::print_stdout, reason = "a command's output is what it is run for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Prints a line that tells of something wrong.
#[expect(clippy::print_stderr, reason = "errors belong on standard error")]
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}

/// A stopwatch, for telling how long a step took.
pub(crate) struct Watch(Instant);

impl Watch {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "the one clock of this program")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Whole seconds since the start.
    pub(crate) fn seconds(&self) -> u64 {
        self.0.elapsed().as_secs()
    }
}
