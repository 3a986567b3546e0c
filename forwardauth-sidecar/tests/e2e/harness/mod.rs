//! What the tests stand on: processes that end with the test, free ports, clients.

mod control;
mod counter;
mod echo;
mod folder;
mod oidc;
mod process;
mod stack;
mod traefik;
mod wire;

pub(crate) use control::StubSidecar;
pub(crate) use counter::Counter;
pub(crate) use echo::{Echo, Seen};
pub(crate) use folder::Folder;
pub(crate) use oidc::Oidc;
pub(crate) use process::{Process, component, free_port};
pub(crate) use stack::{Stack, Upstream, client, client_over_http_2};
pub(crate) use traefik::{Traefik, Variant, shipped};
pub(crate) use wire::{Answer, exchange, get};

/// The identity headers, spelled out here once more on purpose: a test compares this list with the
/// sidecar's constant and with the shipped files, so that none of the three changes alone.
pub(crate) const IDENTITY_HEADERS: [&str; 9] = [
    "X-Tenant-Id",
    "X-Tenant-Tier",
    "X-Tenant-Features",
    "X-Auth-Subject",
    "X-Auth-Roles",
    "X-Auth-Scopes",
    "X-Auth-Assertion",
    "X-Tiergate-Shard",
    "X-Decision-Id",
];
