//! What the commands need besides Rust: each named before it is fetched, pinned, and kept.

mod debian;
mod node;
mod postgres;
mod rust;
mod sqlite;
mod traefik;

use std::path::PathBuf;

pub(crate) use postgres::postgres;
pub(crate) use traefik::traefik;

use crate::Failure;

/// Where the components of the tests are.
pub(crate) struct Components {
    pub(crate) traefik: PathBuf,
    pub(crate) oidc: PathBuf,
    pub(crate) cargo_deny: PathBuf,
}

/// Everything that the tests need, fetched where it is missing.
///
/// # Errors
///
/// If something cannot be had; the message says what would help.
pub(crate) fn all() -> Result<Components, Failure> {
    rust::toolchain()?;
    postgres()?;
    sqlite::sqlite()?;
    Ok(Components {
        traefik: traefik()?,
        oidc: node::oidc_provider()?,
        cargo_deny: rust::cargo_deny()?,
    })
}
