//! The store for many hosts, before a real server.
//!
//! Every test here needs the programs of PostgreSQL 15 or newer and is therefore left out by a
//! plain `cargo test`, which says so.

mod changes;
#[path = "../shared/clocks.rs"]
mod clocks;
mod cluster;
mod copy;
#[path = "../shared/everything.rs"]
mod everything;
#[path = "../shared/forbidden.rs"]
mod forbidden;
#[path = "../shared/older.rs"]
mod older;
mod push;
mod restored;
mod rules;
