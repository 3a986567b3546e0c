//! The benchmarks, in a release build.

use crate::{Failure, components, place, process};

/// Runs them with the arguments given.
///
/// # Errors
///
/// If PostgreSQL or Traefik is needed and cannot be had, or if the build or a benchmark fails.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    if wanted(arguments, "store") {
        components::postgres()?;
    }
    let traefik = wanted(arguments, "traefik").then(components::traefik).transpose()?;
    process::run(
        place::cargo()
            .args(["run", "--quiet", "--release", "--locked", "--package", "benches", "--"])
            .args(arguments)
            .args(traefik.iter().flat_map(|program| ["--traefik".as_ref(), program.as_os_str()])),
    )
}

/// Without arguments all rows are measured.
fn wanted(arguments: &[&str], rows: &str) -> bool {
    arguments.is_empty() || arguments.contains(&rows)
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn a_component_is_fetched_for_the_rows_that_need_it() {
        for (arguments, needed) in
            [(&[] as &[&str], true), (&["engine", "store"], true), (&["engine", "verify"], false)]
        {
            assert_eq!(wanted(arguments, "store"), needed, "{arguments:?}");
        }
    }
}
