//! `tiergate plans test`: the cases beside a plans file, each with its own clock.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use entitlements::{CaseOutcome, PlanCases};
use serde_json::json;

use super::super::{CliError, Outcome};

/// Which cases.
#[derive(Args, Debug)]
pub(super) struct Test {
    /// The plans file, whose cases stand beside it: `plans_test.toml` beside `plans.toml`; the
    /// file of cases itself may be named, too.
    #[arg(default_value = "plans.toml")]
    file: PathBuf,
    /// The file of cases, where it stands elsewhere.
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Test, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let (plans, cases) = args.files();
    let catalog = super::read(&plans)?;
    let text = super::text(&cases)?;
    let read = PlanCases::parse(&text, &catalog);
    let outcomes = read.map_err(|error| super::misplaced(&cases, &error))?.run();
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    if args.json {
        print_json(&cases, &outcomes, failed, out)?;
    } else {
        print_text(&cases, &outcomes, failed, out)?;
    }
    Ok(if failed == 0 { Outcome::Yes } else { Outcome::No }.into())
}

impl Test {
    /// The plans and the cases.
    fn files(&self) -> (PathBuf, PathBuf) {
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let beside = |name: String| self.file.with_file_name(name);
        match (&self.cases, stem.strip_suffix("_test")) {
            (Some(cases), _) => (self.file.clone(), cases.clone()),
            (None, Some(plans)) => (beside(format!("{plans}.toml")), self.file.clone()),
            (None, None) => (self.file.clone(), beside(format!("{stem}_test.toml"))),
        }
    }
}

fn print_text(
    file: &Path,
    outcomes: &[CaseOutcome],
    failed: usize,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    for outcome in outcomes {
        if outcome.passed() {
            writeln!(out, "ok      {}", outcome.name)?;
            continue;
        }
        writeln!(out, "FAILED  {} ({}:{})", outcome.name, file.display(), outcome.line)?;
        for it in &outcome.differences {
            let from = it.from.as_ref().map(|from| format!(", from {from}")).unwrap_or_default();
            writeln!(
                out,
                "          {}: `{}` is expected, the plans give `{}`{from}",
                it.what, it.expected, it.found
            )?;
        }
    }
    writeln!(out, "{} cases, {failed} failed", outcomes.len())?;
    Ok(())
}

fn print_json(
    file: &Path,
    outcomes: &[CaseOutcome],
    failed: usize,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let cases = outcomes.iter().map(|outcome| {
        let differences = outcome.differences.iter().map(|it| {
            json!({ "what": it.what, "expected": it.expected, "found": it.found, "from": it.from })
        });
        json!({
            "name": outcome.name,
            "line": outcome.line,
            "passed": outcome.passed(),
            "differences": differences.collect::<Vec<_>>(),
        })
    });
    let answer = json!({
        "file": file.display().to_string(),
        "failed": failed,
        "cases": cases.collect::<Vec<_>>(),
    });
    Ok(writeln!(out, "{answer:#}")?)
}
