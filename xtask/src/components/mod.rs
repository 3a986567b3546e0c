//! What the commands need besides Rust: each named before it is fetched, pinned, and kept.

mod node;
mod rust;
mod traefik;

pub(crate) use node::oidc_provider;
pub(crate) use rust::{cargo_deny, toolchain};
pub(crate) use traefik::traefik;
