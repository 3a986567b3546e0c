//! Everything that CI checks, in the order in which a mistake is cheapest to find.

use std::path::Path;
use std::process::Command;

use crate::components::{self, Components};
use crate::output::{Watch, complain, say};
use crate::{Failure, docs, place, process};

/// Installs what is missing, then runs every step; a failing step does not hide those after it.
///
/// # Errors
///
/// If a component cannot be had, or any step fails.
pub(crate) fn run() -> Result<(), Failure> {
    say("== components");
    let Components { traefik, oidc, cargo_deny } = components::all()?;

    let mut report = Report::default();
    report.step("formatting", |_| process::run(place::cargo().args(["fmt", "--all", "--check"])));
    report.step("lints", |_| {
        process::run(
            place::cargo()
                .args(["clippy", "--locked", "--workspace", "--all-targets", "--all-features"])
                .args(["--keep-going", "--quiet", "--", "-D", "warnings"]),
        )
    });
    report.step("features by themselves", |_| {
        // Features only add, so that each crate must build without and with each of them alone.
        for (package, features) in [
            ("entitlements", ""),
            ("entitlements", "testing"),
            ("entitlements", "sqlite"),
            ("entitlements", "postgres"),
            ("auth-core", ""),
            ("auth-core", "gate"),
            ("auth-core", "http-keys"),
            ("auth-core", "testing"),
        ] {
            process::run(
                place::cargo()
                    .args(["check", "--locked", "--quiet", "--no-default-features"])
                    .args(["--package", package, "--features", features]),
            )?;
        }
        Ok(())
    });
    report.step("tests of the workspace", |count| {
        process::run_watched(
            place::cargo().args(["test", "--locked", "--workspace", "--no-fail-fast"]),
            |line| count.line(line),
        )
    });
    report.step("the store on PostgreSQL, and changed with a shell", |count| {
        process::run_watched(
            place::cargo()
                .args(["test", "--locked", "--package", "entitlements", "--features", "postgres"])
                .args(["--test", "postgres", "--test", "it", "--", "--ignored"]),
            |line| count.line(line),
        )
    });
    report.step("the gateway on PostgreSQL", |count| {
        process::run_watched(
            place::cargo()
                .args(["test", "--locked", "--package", "tiergate", "--test", "it"])
                .args(["postgres::", "--", "--ignored"]),
            |line| count.line(line),
        )
    });
    report.step("end-to-end tests", |count| {
        run_end_to_end(&traefik, &oidc, &[], |line| count.line(line))
    });
    report.step("the demo, measured", |_| crate::demo::run(crate::demo::Until::Measured));
    report.step("documentation of the crates", |_| {
        process::run(
            place::cargo()
                .args(["doc", "--locked", "--workspace", "--no-deps", "--all-features"])
                .args(["--keep-going", "--quiet"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    });
    report.step("links of the documents", |_| docs::check());
    report.step("dependencies: bans, licenses, sources", |_| {
        process::run(
            Command::new(&cargo_deny)
                .args(["--all-features", "--locked", "check"])
                .args(["bans", "licenses", "sources"])
                .current_dir(place::repository()),
        )
    });
    report.close()
}

/// Runs the end-to-end tests alone, or those whose names contain one of the filters.
///
/// # Errors
///
/// If a component cannot be had, or a test fails.
pub(crate) fn end_to_end(filters: &[&str]) -> Result<(), Failure> {
    let Components { traefik, oidc, .. } = components::all()?;
    run_end_to_end(&traefik, &oidc, filters, |_| ())
}

fn run_end_to_end(
    traefik: &Path,
    oidc: &Path,
    filters: &[&str],
    see: impl FnMut(&str),
) -> Result<(), Failure> {
    process::run(place::cargo().args(["build", "--locked", "--quiet"]).args([
        "--package",
        "tiergate",
        "--package",
        "trace-server",
    ]))?;
    process::run_watched(
        place::cargo()
            .args(["test", "--locked", "--package", "tiergate", "--test", "e2e", "--"])
            .args(["--ignored", "--test-threads=2"])
            .args(filters)
            .env("TIERGATE_E2E_TRAEFIK", traefik)
            .env("TIERGATE_E2E_OIDC", oidc)
            .env("TIERGATE_E2E_TRACE_SERVER", place::built("trace-server")),
        see,
    )
}

/// Tests counted from the closing lines of cargo's test runner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Count {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ...`.
    fn line(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let Some(Ok(number)) = words.next().map(str::parse::<u64>) else { continue };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// What ran, how it went and how long it took.
#[derive(Default)]
struct Report {
    rows: Vec<String>,
    total: Count,
    failures: Vec<&'static str>,
}

impl Report {
    fn step(&mut self, name: &'static str, run: impl FnOnce(&mut Count) -> Result<(), Failure>) {
        say(&format!("\n== {name}"));
        let watch = Watch::start();
        let mut count = Count::default();
        let outcome = run(&mut count).and_then(|()| {
            // A filter that matches nothing would pass for ever.
            let ran_none = !count.is_empty() && count.passed == 0;
            if ran_none { Err("no test ran".to_owned()) } else { Ok(()) }
        });
        let word = match &outcome {
            Ok(()) => "ok",
            Err(failure) => {
                complain(&format!("error: {failure}"));
                self.failures.push(name);
                "FAILED"
            }
        };
        let Count { passed, failed, ignored } = count;
        let counted = if count.is_empty() {
            String::new()
        } else {
            format!(": {passed} passed, {failed} failed, {ignored} left out")
        };
        self.total.passed += passed;
        self.total.failed += failed;
        self.rows.push(format!("{word:>6}  {:>4} s  {name}{counted}", watch.seconds()));
    }

    fn close(self) -> Result<(), Failure> {
        say("\n== summary");
        for row in &self.rows {
            say(row);
        }
        let steps = self.rows.len();
        say(&format!("steps: {} of {steps} ok", steps - self.failures.len()));
        say(&format!("tests: {} passed, {} failed", self.total.passed, self.total.failed));
        if self.failures.is_empty() {
            Ok(())
        } else {
            Err(format!("failed: {}", self.failures.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[track_caller]
    fn check(line: &str, passed: u64, failed: u64, ignored: u64) {
        let mut count = Count::default();
        count.line(line);
        assert_eq!(count, Count { passed, failed, ignored });
    }

    #[test]
    fn closing_lines_are_counted_and_others_are_not() {
        check(
            "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out",
            12,
            0,
            3,
        );
        check("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured", 1, 2, 0);
        check("test passes ... ok", 0, 0, 0);
        check("5 passed; 1 failed", 0, 0, 0);
    }
}
