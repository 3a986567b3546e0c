//! Parts of the Rust toolchain, and cargo-deny.

use std::path::PathBuf;
use std::process::Command;

use crate::output::say;
use crate::{Failure, place, process};

const CARGO_DENY: &str = "0.20.2";

/// Makes sure that cargo can format and lint: what is missing is installed by rustup, if it is there.
///
/// # Errors
///
/// If rustfmt or clippy is missing and cannot be installed; the message says what would help.
pub(crate) fn toolchain() -> Result<(), Failure> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if is_there(subcommand) {
            continue;
        }
        if process::output_of(Command::new("rustup").arg("--version")).is_none() {
            return Err(format!(
                "`cargo {subcommand}` is missing, and there is no rustup to install it; install \
                 {component} from where this Rust came from (Debian: `apt-get install {component}`), \
                 or Rust with rustup from https://rustup.rs"
            ));
        }
        say(&format!("installing {component} for this toolchain, with rustup"));
        process::run(
            Command::new("rustup")
                .args(["component", "add", component])
                .current_dir(place::repository()),
        )?;
        if !is_there(subcommand) {
            return Err(format!(
                "rustup installed {component}, but `cargo {subcommand} --version` still fails: is \
                 `cargo` on PATH the one of rustup?"
            ));
        }
    }
    Ok(())
}

fn is_there(subcommand: &str) -> bool {
    process::output_of(place::cargo().args([subcommand, "--version"])).is_some()
}

/// A cargo-deny of the pinned version: from PATH, or built under `target/tools`.
///
/// # Errors
///
/// If it has to be built and cannot be.
pub(crate) fn cargo_deny() -> Result<PathBuf, Failure> {
    let root = place::tools().join("cargo-deny");
    let kept = root.join("bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), kept.clone()] {
        let version = process::output_of(Command::new(&program).arg("--version"));
        if version.is_some_and(|v| v.trim() == format!("cargo-deny {CARGO_DENY}")) {
            return Ok(program);
        }
    }
    say(&format!("building cargo-deny {CARGO_DENY}, once, which takes some minutes"));
    let build = root.join("build");
    process::run(
        place::cargo()
            .args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--debug"])
            .args(["--quiet", "--root"])
            .arg(&root)
            .arg("--target-dir")
            .arg(&build),
    )?;
    place::remove_folder(&build)?;
    Ok(kept)
}
