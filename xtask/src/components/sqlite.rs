//! SQLite's shell, for the tests of what an operator changes by hand.

use std::process::Command;

use super::debian;
use crate::{Failure, process};

/// Makes sure that `sqlite3` is on PATH.
///
/// # Errors
///
/// If it is not and cannot be installed.
pub(crate) fn sqlite() -> Result<(), Failure> {
    if process::output_of(Command::new("sqlite3").arg("--version")).is_some() {
        return Ok(());
    }
    debian::install("sqlite3", "for the tests of changes by hand").map_err(|failure| {
        format!("{failure}; the tests need `sqlite3` (Debian, as root: `apt-get install sqlite3`)")
    })
}
