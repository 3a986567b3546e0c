//! Where a store is, as the command line or the configuration names it.

use std::io::Write as _;
use std::path::Path;

use super::CliError;
use crate::config::{self, UrlFile, names_a_store};

/// The address that was given: itself, or after `@` what a file says, so that a password stands in
/// no shell history and in no process list. One that others may read is warned of.
pub(super) fn given(text: &str) -> Result<String, CliError> {
    let Some(file) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let read = UrlFile::read(Path::new(file)).map_err(|error| {
        CliError::usage_because(format!("`{file}`, which names a store, cannot be read"), error)
    })?;
    // What stands there is not told: it may be a secret of another kind.
    if !names_a_store(&read.url) {
        return Err(CliError::usage(format!(
            "`{file}` names no store; write `sqlite:FILE` or `postgres://USER@HOST/DATABASE` into it"
        )));
    }
    warn(read.warning.as_deref());
    Ok(read.url)
}

/// The address of the configuration, with the same warning.
pub(super) fn configured(store: &config::Store) -> &str {
    warn(store.warning.as_deref());
    store.url()
}

fn warn(warning: Option<&str>) {
    if let Some(warning) = warning {
        // A warning that cannot be written must not keep anybody from the answer.
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
}
