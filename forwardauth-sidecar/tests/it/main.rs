//! The gateway over real sockets, with a real issuer and entitlements in memory.

mod admin;
#[path = "../../../entitlements/tests/postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests of the store use all of it")]
mod cluster;
mod command;
mod credentials;
mod denials;
mod entitled;
mod forwarded;
mod harness;
mod life;
mod limits;
mod paths;
mod postgres;
mod restart;
mod secrets;
mod store_address;
mod tls;
