//! Where things are: the repository, and the folders under `target/` that are ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package's folder lies in the repository")
}

/// Where everything goes that is built or fetched.
fn target() -> PathBuf {
    repository().join("target")
}

/// Where fetched components live.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// Cargo in this repository. Whatever the environment says, it builds for this machine into `target/`,
/// so that [`built`] knows where.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(repository())
        .env("CARGO_TARGET_DIR", target())
        .env_remove("CARGO_BUILD_TARGET");
    command
}

/// A program of this workspace, as [`cargo`]'s `build` leaves it.
pub(crate) fn built(program: &str) -> PathBuf {
    target().join("debug").join(program)
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .map_err(|e| format!("cannot make the folder `{}`: {e}", folder.display()))
}

/// Copies a file.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|e| format!("cannot copy `{}` to `{}`: {e}", from.display(), to.display()))
}

/// Removes a folder and all in it, if it is there.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove the folder `{}`: {e}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn cargo_builds_where_programs_are_looked_for() {
        let cargo = cargo();
        let of = |name: &str| cargo.get_envs().find(|(n, _)| *n == OsStr::new(name));
        let folder = of("CARGO_TARGET_DIR").and_then(|(_, value)| value).expect("it is set");
        assert!(built("tiergate").starts_with(folder));
        assert!(tools().starts_with(folder));
        assert_eq!(of("CARGO_BUILD_TARGET"), Some((OsStr::new("CARGO_BUILD_TARGET"), None)));
    }
}
