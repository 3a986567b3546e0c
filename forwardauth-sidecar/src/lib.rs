//! ForwardAuth and entitlement gateway: what Traefik asks, and the command line that says why.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod decision_id;
pub mod proxy;
pub mod reason;
pub mod route;
pub mod server;
pub mod telemetry;
