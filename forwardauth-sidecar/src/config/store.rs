//! `[store]`: where tenants, licenses and the audit are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use entitlements::SnapshotKey;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Source};
use super::unit::duration;
use super::url_file::{UrlFile, has_password, names_a_store};

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreDocument {
    url: Option<Spanned<String>>,
    url_file: Option<Spanned<PathBuf>>,
    max_stale: Option<Spanned<String>>,
    cache_tenants: Option<Spanned<i64>>,
    snapshot: Option<Spanned<PathBuf>>,
    snapshot_key_file: Option<Spanned<PathBuf>>,
}

/// The store of tenants and licenses.
#[derive(Clone, Debug)]
pub struct Store {
    url: SecretString,
    /// That others may read the password in its `url_file`.
    pub(crate) warning: Option<String>,
    /// For how long what was read goes on counting without the store.
    pub max_stale: Duration,
    /// How many tenants, and how many organizations, are kept at hand.
    pub cache_tenants: u64,
    /// What is known is kept here, for a start without the store.
    pub snapshot: Option<Snapshot>,
}

/// The file that outlives the process, and what authenticates it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The file.
    pub path: PathBuf,
    /// The key of its authentication code.
    pub key: SnapshotKey,
}

impl Store {
    /// The address. It may hold a password: it must not be logged or printed.
    pub fn url(&self) -> &str {
        self.url.expose_secret()
    }

    pub(super) fn check(
        source: &Source<'_>,
        section: Option<&Spanned<StoreDocument>>,
    ) -> Result<Self, ConfigError> {
        let Some(section) = section else {
            return Err(source.error(
                &(0..0),
                "the section `[store]` is missing; it needs `url`, as in `\"sqlite:tiergate.db\"`",
            ));
        };
        let document = section.get_ref();
        let mut warning = None;
        let (url, span) = match (&document.url, &document.url_file) {
            (Some(url), None) => {
                if has_password(url.get_ref()) {
                    return Err(source.error(
                        &url.span(),
                        "`store.url` holds a password; put the url into a file of its own and \
                         name it with `url_file`",
                    ));
                }
                (url.get_ref().clone(), url.span())
            }
            (None, Some(file)) => {
                let path = super::beside(source.path, file.get_ref());
                let read = UrlFile::read(&path).map_err(|error| {
                    source.error(
                        &file.span(),
                        format!("`store.url_file`: `{}` cannot be read: {error}", path.display()),
                    )
                })?;
                warning = read.warning;
                (read.url, file.span())
            }
            (Some(_), Some(both)) => {
                return Err(source.error(
                    &both.span(),
                    "`store.url` and `store.url_file` exclude each other; keep one of them",
                ));
            }
            (None, None) => {
                return Err(source.error(
                    &section.span(),
                    "`store.url` is missing; write `\"sqlite:tiergate.db\"`, or name a file that \
                     holds the url with `url_file`",
                ));
            }
        };
        // The address itself is not told: it may hold a password.
        if !names_a_store(&url) {
            return Err(source.error(
                &span,
                "`store`: the url names no store; write `sqlite:FILE` or \
                 `postgres://USER@HOST/DATABASE`",
            ));
        }
        let max_stale = match &document.max_stale {
            Some(value) => duration(source, "store.max_stale", value, Duration::ZERO, MAX_STALE)?,
            None => Duration::from_hours(24),
        };
        let cache_tenants = match &document.cache_tenants {
            None => 100_000,
            Some(value) => u64::try_from(*value.get_ref())
                .ok()
                .filter(|tenants| (1..=MAX_TENANTS).contains(tenants))
                .ok_or_else(|| {
                    source.error(
                        &value.span(),
                        format!("`store.cache_tenants`: write a number from 1 to {MAX_TENANTS}"),
                    )
                })?,
        };
        let snapshot = Snapshot::check(source, document)?;
        let url = beside_config(source.path, &url).into();
        Ok(Self { url, warning, max_stale, cache_tenants, snapshot })
    }
}

impl Snapshot {
    fn check(source: &Source<'_>, store: &StoreDocument) -> Result<Option<Self>, ConfigError> {
        let (file, key_file) = match (&store.snapshot, &store.snapshot_key_file) {
            (None, None) => return Ok(None),
            (Some(file), Some(key_file)) => (file, key_file),
            (Some(file), None) => {
                return Err(source.error(
                    &file.span(),
                    "`store.snapshot` needs `snapshot_key_file`, because whoever can write the \
                     snapshot could grant licenses; make a key with `(umask 077; openssl rand -out \
                     snapshot.key 64)`",
                ));
            }
            (None, Some(key_file)) => {
                return Err(source.error(
                    &key_file.span(),
                    "`store.snapshot_key_file` is the key of `store.snapshot`, which is missing; \
                     write `snapshot = \"tiergate.snapshot\"`, or remove the key",
                ));
            }
        };
        let path = super::beside(source.path, file.get_ref());
        if file.get_ref().file_name().is_none() || path.is_dir() {
            let message =
                "`store.snapshot` names no file; write one, as in `\"tiergate.snapshot\"`";
            return Err(source.error(&file.span(), message));
        }
        let key_path = super::beside(source.path, key_file.get_ref());
        if path == key_path {
            let message = "`store.snapshot` and `store.snapshot_key_file` name the same file; the \
                           snapshot would overwrite its key";
            return Err(source.error(&file.span(), message));
        }
        let key = SnapshotKey::read(&key_path).map_err(|error| {
            source.error(&key_file.span(), format!("`store.snapshot_key_file`: {error}"))
        })?;
        Ok(Some(Self { path, key }))
    }
}

/// Longer than this, and a license that ended would go on for as long.
const MAX_STALE: Duration = Duration::from_hours(24 * 31);

/// Each takes about a kilobyte of memory.
const MAX_TENANTS: u64 = 10_000_000;

/// Resolves the relative path of an SQLite file against the folder of the configuration.
fn beside_config(config: &Path, url: &str) -> String {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return url.to_owned();
    };
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (rest, String::new()),
    };
    if path == ":memory:" || path.is_empty() {
        return url.to_owned();
    }
    format!("sqlite:{}{query}", super::beside(config, Path::new(path)).display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_files_lie_beside_the_configuration() {
        let check = |url: &str, expected: &str| {
            assert_eq!(beside_config(Path::new("/etc/tiergate/tiergate.toml"), url), expected);
        };
        check("sqlite:tiergate.db", "sqlite:/etc/tiergate/tiergate.db");
        check("sqlite://data/t.db?mode=ro", "sqlite:/etc/tiergate/data/t.db?mode=ro");
        check("sqlite:/var/lib/t.db", "sqlite:/var/lib/t.db");
        check("sqlite:///var/lib/t.db", "sqlite:/var/lib/t.db");
        check("sqlite::memory:", "sqlite::memory:");
        check("postgres://tiergate@db/tiergate", "postgres://tiergate@db/tiergate");
    }
}
