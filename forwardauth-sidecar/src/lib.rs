//! `ForwardAuth` and entitlement gateway: what Traefik asks, and the command line that says why.
//!
//! The library is what the `tiergate` binary is made of; tests and benchmarks start it in-process.
//!
//! - [`proxy`] turns what a proxy says into a `ForwardedRequest`, and a decision into its answer.
//! - [`route`] selects the one route whose requirement must be met.
//! - [`config`] reads and checks the configuration.
//! - [`server`] listens: [`server::Server`] is the whole, [`server::serve_gateway`] one listener.
//! - [`telemetry`] is what the operator sees, [`reason`] in which words.
//! - [`cli`] is the command line.
//!
//! Who may pass is decided by `auth_core::gate`; nothing of that is repeated here.
//! There are no cargo features.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod decision_id;
pub mod proxy;
pub mod reason;
pub mod route;
pub mod server;
pub mod telemetry;
