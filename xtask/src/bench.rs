//! The benchmarks, in a release build.

use std::process::Command;

use crate::{Failure, place, process};

/// Runs them with the arguments given.
///
/// # Errors
///
/// If the build or a benchmark fails.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    process::run(
        Command::new("cargo")
            .args(["run", "--quiet", "--release", "--locked", "--package", "benches", "--"])
            .args(arguments)
            .current_dir(place::repository()),
    )
}
