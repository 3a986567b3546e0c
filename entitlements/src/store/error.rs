//! What can go wrong with a store, by whose fault it is.

use super::orphans::{HeldPlan, in_words};

/// A store did not do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached, or does not answer in time: nothing is known.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// What was opened is no longer what the URL names: the file was replaced or removed.
    #[error("the store was replaced or removed: {0}")]
    Gone(String),
    /// The URL names no store.
    #[error("`{url}` names no store; {remedy}")]
    Address {
        /// The URL, without a password.
        url: String,
        /// What to write instead.
        remedy: String,
    },
    /// There is none, and it was opened for reading only.
    #[error(
        "there is no store at `{place}`; create it with `tiergate tenant add` or `tiergate serve`, or correct the URL"
    )]
    Missing {
        /// Where it should be.
        place: String,
    },
    /// Its schema is not the one that this program knows.
    #[error("the store's schema does not fit this program: {0}")]
    Schema(String),
    /// A row does not say what rows say.
    #[error("the store has a row that cannot be read: {0}")]
    Corrupt(String),
    /// The change is not possible.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Why a change is not possible.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// What is to be changed is not there.
    #[error("there is no {what} `{}`", name.escape_debug())]
    NotFound {
        /// `tenant`, `license`, ...
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It is there already.
    #[error("{what} `{}` exists already", name.escape_debug())]
    Exists {
        /// `tenant`, `organization`, ...
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Licenses name plans that the catalog does not know, so it does not become the current one.
    #[error(
        "the plans do not know what licenses still name: {}; keep the names, as in `[aliases]` for a tier, or revoke the licenses first",
        in_words(.0)
    )]
    Orphans(Vec<HeldPlan>),
    /// A rule of the store forbids it.
    #[error("{0}")]
    Forbidden(String),
}

impl StoreError {
    /// A URL that cannot be used; a password in it is not repeated.
    pub(crate) fn address(url: &str, remedy: impl Into<String>) -> Self {
        let shown = match url.split_once("://") {
            Some((scheme, rest)) => match (rest.find('?'), rest.rfind('@')) {
                // Where a password may hold either, nothing is shown.
                (Some(parameters), Some(user)) if parameters < user => format!("{scheme}://..."),
                (parameters, None) => {
                    format!("{scheme}://{}", &rest[..parameters.unwrap_or(rest.len())])
                }
                (parameters, Some(user)) => {
                    format!("{scheme}://...{}", &rest[user..parameters.unwrap_or(rest.len())])
                }
            },
            None => url.to_owned(),
        };
        Self::Address { url: shown, remedy: remedy.into() }
    }

    /// True if another attempt may succeed without anybody doing anything about it.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Gone(_))
    }
}

/// Where a URL says that the store is: without user, password, and what does not name a place.
pub(crate) fn address(url: &str) -> String {
    if let Some(file) = url.strip_prefix("sqlite:") {
        // From wherever it is started, it is the same file.
        let file = file.strip_prefix("//").unwrap_or(file);
        let whole = std::path::absolute(file).map(|path| path.display().to_string());
        return format!("sqlite:{}", whole.unwrap_or_else(|_| file.to_owned()));
    }
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    // A password may hold the mark, and then the URL is of no use anyway.
    let parts = place.split_once("://").filter(|_| !query.contains('@'));
    let Some((scheme, rest)) = parts else { return "...".to_owned() };
    let scheme = if scheme == "postgresql" { "postgres" } else { scheme };
    let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let mut address = format!("{scheme}://{}", rest.trim_end_matches('/'));
    if !rest.trim_end_matches('/').contains('/') {
        // Without a database, the one that is named like the user.
        address += "/";
        address += user.split(':').next().unwrap_or_default();
    }
    let named = ["host=", "hostaddr=", "port=", "dbname=", "user=", "options="];
    for pair in query.split('&').filter(|pair| named.iter().any(|name| pair.starts_with(name))) {
        address += "?";
        address += pair;
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_place_and_nobody() {
        for (url, place) in [
            ("sqlite:/var/lib/tiergate.db", "sqlite:/var/lib/tiergate.db"),
            ("postgresql://me:secret@db:5432/plans", "postgres://db:5432/plans"),
            ("postgres://me:sec@ret@db/plans?sslmode=require", "postgres://db/plans"),
            ("postgres:///plans?host=/run&password=secret", "postgres:///plans?host=/run"),
            ("postgres://me:secret@db", "postgres://db/me"),
            ("postgres://me:sec?ret@db/plans", "..."),
            ("postgres:me:secret@db/plans", "..."),
        ] {
            assert_eq!(address(url), place);
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        for (url, shown) in [
            ("sqlite:tiergate.db", "sqlite:tiergate.db"),
            ("mysql://db/plans", "mysql://db/plans"),
            ("mysql://me:secret@db/plans", "mysql://...@db/plans"),
            ("mysql://me:sec@ret@db/plans?a=b", "mysql://...@db/plans"),
            ("mysql://db/plans?password=secret", "mysql://db/plans"),
            ("mysql://db/plans?password=sec@ret", "mysql://..."),
            ("mysql://me:sec?ret@db/plans", "mysql://..."),
        ] {
            let StoreError::Address { url, .. } = StoreError::address(url, "x") else {
                unreachable!("it makes only these")
            };
            assert_eq!(url, shown);
        }
    }
}
