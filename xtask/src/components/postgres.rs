//! A PostgreSQL server for the tests of the distributed store: programs only, no running service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::output::say;
use crate::{Failure, process};

/// Where the server's programs are: on PATH, where Debian keeps them, or installed from Debian.
///
/// # Errors
///
/// If there is no server and none can be installed.
pub(crate) fn postgres() -> Result<(), Failure> {
    if present() {
        return Ok(());
    }
    say(
        "installing PostgreSQL 15 or later for the tests of the distributed store: 20 MB, with apt-get",
    );
    let installed =
        process::run(Command::new("apt-get").args(["update", "--quiet=2"])).and_then(|()| {
            process::run(
                Command::new("apt-get")
                    .args([
                        "install",
                        "--yes",
                        "--quiet=2",
                        "--no-install-recommends",
                        "postgresql",
                    ])
                    .env("DEBIAN_FRONTEND", "noninteractive"),
            )
        });
    match installed {
        Ok(()) if present() => Ok(()),
        Ok(()) => Err("apt-get installed `postgresql`, but there is no `initdb`".to_owned()),
        Err(failure) => Err(format!(
            "{failure}; the tests need `initdb` and `postgres` (15 or later) on PATH or under \
             /usr/lib/postgresql. Debian, as root: `apt-get install postgresql`"
        )),
    }
}

fn present() -> bool {
    let on_path = process::output_of(Command::new("initdb").arg("--version")).is_some();
    on_path || debian().any(|folder| folder.join("initdb").exists())
}

fn debian() -> impl Iterator<Item = PathBuf> {
    let versions = fs::read_dir(Path::new("/usr/lib/postgresql")).into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin"))
}
