//! Where things are: the repository, and the folders under `target/` that are ours.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package's folder lies in the repository")
}

/// Where fetched components live.
pub(crate) fn tools() -> PathBuf {
    repository().join("target/tools")
}

/// A program of this workspace, as `cargo build` leaves it.
pub(crate) fn built(program: &str) -> PathBuf {
    repository().join("target/debug").join(program)
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
