//! A file that holds the address of a store: a password in it stands in no configuration, in no
//! shell history and in no process list.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// More than any address has.
const MAX_BYTES: u64 = 64 * 1024;

/// What such a file says.
pub(crate) struct UrlFile {
    /// The address. It may hold a password: it must not be logged or printed.
    pub(crate) url: String,
    /// That others may read the password, and the remedy.
    pub(crate) warning: Option<String>,
}

impl UrlFile {
    /// Reads it. Unlike a snapshot's key it is not refused if others may read it: it need not hold a
    /// secret, and systems that hand in secrets as files do not all let their mode be chosen.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        // The open file is asked, not the path: between two looks it could become another one.
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        let url = text.trim().to_owned();
        let mode = metadata.permissions().mode() & 0o7777;
        let open = metadata.is_file() && mode & 0o077 != 0 && has_password(&url);
        let warning = open.then(|| {
            let shown = path.display();
            format!(
                "`{shown}` holds a password and is open to others (mode {mode:04o}); run `chmod \
                 600 {shown}`"
            )
        });
        Ok(Self { url, warning })
    }
}

/// True if an address is of a kind that is known here.
pub(crate) fn names_a_store(url: &str) -> bool {
    matches!(url.split_once(':'), Some(("sqlite" | "postgres" | "postgresql", _)))
}

pub(super) fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let in_authority = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    let query = url.split_once('?').map_or("", |(_, query)| query);
    in_authority || query.split('&').any(|pair| pair.starts_with("password="))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn passwords_are_seen() {
        assert!(has_password("postgres://tiergate:secret@db/tiergate"));
        assert!(has_password("postgres://db/tiergate?user=x&password=secret"));
        assert!(!has_password("postgres://tiergate@db:5432/tiergate"));
        assert!(!has_password("sqlite:tiergate.db?mode=ro"));
    }

    #[test]
    fn a_password_that_others_may_read_is_warned_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("url");
        let warning = |url: &str, mode: u32| {
            std::fs::write(&path, format!("{url}\n")).expect("a file");
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            let read = UrlFile::read(&path).expect("it is there");
            assert_eq!(read.url, url);
            read.warning
        };
        let secret = "postgres://a:secret@db/t";
        for mode in [0o644, 0o640, 0o604, 0o622] {
            let told = warning(secret, mode).expect("a warning");
            assert!(told.contains(&format!("(mode {mode:04o}); run `chmod 600 ")), "{told}");
            assert!(told.contains("url` holds a password") && !told.contains("secret"), "{told}");
        }
        assert_eq!(warning(secret, 0o600), None);
        assert_eq!(warning("postgres://a@db/t", 0o644), None);
        assert_eq!(warning("sqlite:tiergate.db", 0o644), None);
    }
}
