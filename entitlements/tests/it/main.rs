//! Everything that is tested from outside, in one binary.

mod catalog;
#[path = "../shared/clocks.rs"]
mod clocks;
mod copy;
mod edge_cases;
#[path = "../shared/everything.rs"]
mod everything;
#[path = "../shared/forbidden.rs"]
mod forbidden;
mod interrupted;
#[path = "../shared/older.rs"]
mod older;
mod oracle;
mod outage;
mod plans;
mod resolve;
mod service;
mod snapshot;
mod snapshot_file;
mod sqlite;

/// The catalog that ships with the project.
fn catalog() -> entitlements::Catalog {
    entitlements::Catalog::parse(entitlements::testing::PLANS).expect("the shipped plans are right")
}
