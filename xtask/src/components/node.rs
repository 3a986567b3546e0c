//! The independent OpenID provider of the end-to-end tests: Node modules from a lock file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::output::say;
use crate::{Failure, place, process};

const OLDEST_NODE: u32 = 20;

/// A folder with the provider and the modules it imports, exactly those of the lock file.
///
/// # Errors
///
/// If Node is missing or too old, or the modules cannot be fetched.
pub(crate) fn oidc_provider() -> Result<PathBuf, Failure> {
    let version = process::output_of(Command::new("node").arg("--version")).unwrap_or_default();
    if major(&version).is_none_or(|major| major < OLDEST_NODE) {
        return Err(format!(
            "the end-to-end tests need Node {OLDEST_NODE} or later with npm on PATH, for their \
             OpenID provider; `node --version` says `{}`. Debian: `apt-get install nodejs npm`",
            version.trim()
        ));
    }
    let source = place::repository().join("forwardauth-sidecar/tests/e2e/oidc");
    let folder = place::tools().join("oidc");
    place::make_folder(&folder)?;
    place::copy(&source.join("provider.mjs"), &folder.join("provider.mjs"))?;

    // The lock file that was installed is kept beside the modules; equal means nothing to do.
    let wanted = fs::read(source.join("package-lock.json"))
        .map_err(|e| format!("cannot read the lock file of the OpenID provider: {e}"))?;
    let stamp = folder.join("installed.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    say(
        "fetching the OpenID provider of the tests: 4 MB, 40 Node modules (oidc-provider, jose), with npm",
    );
    place::copy(&source.join("package.json"), &folder.join("package.json"))?;
    place::copy(&source.join("package-lock.json"), &folder.join("package-lock.json"))?;
    process::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder),
    )
    .map_err(|e| format!("{e}; it needs npm (Debian: `apt-get install npm`) and its registry"))?;
    fs::write(&stamp, wanted).map_err(|e| format!("cannot write `{}`: {e}", stamp.display()))?;
    Ok(folder)
}

/// The `20` of `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_of_node_is_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("v8.1.0"), Some(8));
        assert_eq!(major(""), None);
        assert_eq!(major("20.1"), None);
    }
}
