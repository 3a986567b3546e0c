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

    /// A row about an amount that is no ratio.
    pub(crate) fn amount(&mut self, what: &str, amount: f64, unit: &str, goal: f64) {
        let verdict = if amount <= goal {
            "reached".to_owned()
        } else {
            self.missed += 1;
            format!("missed by {:.0} %", (amount / goal - 1.0) * 100.0)
        };
        println!(
            "{what:<40} {:<24} {:<24} <= {goal:.0}  {verdict}",
            "",
            format!("{amount:.0} {unit}")
        );
    }

    /// A row about something that was compared with its goal elsewhere.
    pub(crate) fn goal(&mut self, what: &str, told: &str, goal: &str, reached: bool) {
        self.missed += usize::from(!reached);
        let verdict = if reached { "reached" } else { "missed" };
        println!("{what:<40} {:<24} {told:<24} {goal}  {verdict}", "");
    }

    pub(crate) fn note(text: impl AsRef<str>) {
        println!("{}", text.as_ref());
    }

    /// Tells what is not among the rows, so that nobody takes silence for an answer.
    pub(crate) fn end(&self, left_out: &[&str]) {
        if !left_out.is_empty() {
            println!("Goals that this run has not measured: {}.", left_out.join("; "));
        }
        if self.missed > 0 {
            println!(
                "{} goals were missed; the README says what is known about them.",
                self.missed
            );
        }
    }
}
