//! The gateway over real sockets, with a real issuer and entitlements in memory.

mod admin;
mod command;
mod credentials;
mod denials;
mod forwarded;
mod harness;
mod life;
mod limits;
mod paths;
mod restart;
mod secrets;
mod tls;
