//! What only the system's packages have.

use std::process::Command;

use crate::output::say;
use crate::{Failure, process};

/// Installs one of Debian's packages, for the purpose that is printed first.
///
/// # Errors
///
/// If there is no apt-get, or it may not install; it needs root.
pub(crate) fn install(package: &str, purpose: &str) -> Result<(), Failure> {
    say(&format!("installing Debian's `{package}` {purpose}, with apt-get"));
    process::run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    process::run(
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet=2", "--no-install-recommends", package])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}
