//! Everything that is tested from outside, in one binary.

mod catalog;
mod oracle;
mod outage;
mod resolve;
mod service;
mod snapshot;
mod sqlite;

/// The catalog that ships with the project.
fn catalog() -> entitlements::Catalog {
    entitlements::Catalog::parse(entitlements::testing::PLANS).expect("the shipped plans are right")
}
