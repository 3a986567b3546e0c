//! Paired rounds: two things measured alternately in one run, so that a busy machine hits both.

use std::time::{Duration, Instant};

/// A ratio with its spread over the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    /// The median over the rounds.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The greatest.
    pub(crate) max: f64,
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} [{:.3}..{:.3}]", self.median, self.min, self.max)
    }
}

/// What a pair of subjects cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    /// Cost of the subject over cost of the reference, round by round.
    pub(crate) ratio: Ratio,
    /// The median cost of one call of the subject, for orientation on this machine only.
    pub(crate) subject: Duration,
    /// The same for the reference.
    pub(crate) reference: Duration,
}

/// The least number of rounds of which a median is taken.
pub(crate) const ROUNDS: usize = 21;

/// Measures `subject` against `reference`, `calls` of each a round.
pub(crate) fn pair(calls: u32, mut subject: impl FnMut(), mut reference: impl FnMut()) -> Pair {
    let mut costs = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        // Who begins changes every round; the first round only warms up.
        let cost = if round % 2 == 0 {
            let s = time(calls, &mut subject);
            (s, time(calls, &mut reference))
        } else {
            let r = time(calls, &mut reference);
            (time(calls, &mut subject), r)
        };
        if round > 0 {
            costs.push(cost);
        }
    }
    Pair {
        ratio: ratio(costs.iter().map(|(s, r)| s.as_secs_f64() / r.as_secs_f64())),
        subject: median_duration(costs.iter().map(|c| c.0)),
        reference: median_duration(costs.iter().map(|c| c.1)),
    }
}

/// The ratio over rounds that were measured elsewhere.
pub(crate) fn ratio(rounds: impl Iterator<Item = f64>) -> Ratio {
    let mut rounds: Vec<f64> = rounds.collect();
    rounds.sort_by(f64::total_cmp);
    Ratio { median: rounds[rounds.len() / 2], min: rounds[0], max: rounds[rounds.len() - 1] }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn time(calls: u32, work: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        work();
    }
    start.elapsed() / calls
}

fn median_duration(of: impl Iterator<Item = Duration>) -> Duration {
    let mut of: Vec<_> = of.collect();
    of.sort();
    of[of.len() / 2]
}
