//! What is printed.

use crate::paired::Ratio;

/// Prints rows as they come, so that a run that is cut off has told something.
pub(crate) struct Report {
    missed: usize,
}

#[expect(clippy::print_stdout, reason = "a benchmark reports to its terminal")]
impl Report {
    pub(crate) fn new() -> Self {
        println!(
            "Paired ratios, median [min..max] over the rounds of this run; below 1 is cheaper."
        );
        println!("{:<40} {:<24} {:<24} goal", "what", "over", "ratio");
        Self { missed: 0 }
    }

    /// A row whose cost should be at most `goal` times the reference's.
    pub(crate) fn row(&mut self, what: &str, against: &str, ratio: Ratio, goal: Option<f64>) {
        let verdict = match goal {
            None => String::new(),
            Some(goal) if ratio.median <= goal => format!("<= {goal:.2}  reached"),
            Some(goal) => {
                self.missed += 1;
                format!("<= {goal:.2}  missed by {:.0} %", (ratio.median / goal - 1.0) * 100.0)
            }
        };
        println!("{what:<40} {against:<24} {:<24} {verdict}", ratio.to_string());
    }

    pub(crate) fn note(text: impl AsRef<str>) {
        println!("{}", text.as_ref());
    }

    pub(crate) fn end(&self) {
        if self.missed > 0 {
            println!(
                "{} goals were missed; the README says what is known about them.",
                self.missed
            );
        }
    }
}
