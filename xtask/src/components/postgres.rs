//! A PostgreSQL server for the tests of the distributed store: programs only, no running service.

use std::fs;
use std::process::Command;

use super::debian;
use crate::{Failure, process};

/// Makes sure that the server's programs are there: on PATH, where Debian keeps them, or installed from Debian.
///
/// # Errors
///
/// If there is no server and none can be installed.
pub(crate) fn postgres() -> Result<(), Failure> {
    if present() {
        return Ok(());
    }
    match debian::install("postgresql", "for the tests and benches of the distributed store") {
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
    let mut versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    on_path || versions.any(|version| version.path().join("bin/initdb").exists())
}
