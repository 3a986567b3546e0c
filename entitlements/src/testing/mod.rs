//! For tests of whoever uses this crate.

/// The plans file that ships with the project.
pub const PLANS: &str = include_str!("../../../plans.toml");
