//! The benchmarks, in a release build.

use crate::{Failure, components, place, process};

/// Runs them with the arguments given.
///
/// # Errors
///
/// If PostgreSQL is needed and cannot be had, or if the build or a benchmark fails.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    if needs_postgres(arguments) {
        components::postgres()?;
    }
    process::run(
        place::cargo()
            .args(["run", "--quiet", "--release", "--locked", "--package", "benches", "--"])
            .args(arguments),
    )
}

/// Only the rows about the store ask for a server; they are among all rows.
fn needs_postgres(arguments: &[&str]) -> bool {
    arguments.is_empty() || arguments.contains(&"store")
}

#[cfg(test)]
mod tests {
    use super::needs_postgres;

    #[test]
    fn a_server_is_fetched_for_the_rows_that_ask_one() {
        for (arguments, needed) in
            [(&[] as &[&str], true), (&["engine", "store"], true), (&["engine", "verify"], false)]
        {
            assert_eq!(needs_postgres(arguments), needed, "{arguments:?}");
        }
    }
}
