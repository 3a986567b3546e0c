//! Runs the demo, the tests and the benches on a fresh machine.
//!
//! It uses nothing but the standard library, so that it builds in seconds. What a command needs
//! besides Rust it names before it fetches it, with version and hash pinned, and finds it under
//! `target/tools` the next time.
//!
//! It writes nowhere but under the repository's `target/`, wherever cargo is told to build otherwise,
//! with two exceptions that it names when it comes to them: PostgreSQL and pip, where they are
//! missing, are Debian's packages, and rustfmt and clippy are parts of the toolchain that rustup
//! installs.

#![forbid(unsafe_code)]

mod bench;
mod components;
mod demo;
mod docs;
mod output;
mod place;
mod process;
mod test;

use std::process::ExitCode;

use output::{complain, say};

const HELP: &str = "\
Runs the demo, the tests and the benches on a fresh machine.

usage: cargo xtask COMMAND

  demo            identity provider, tiergate, trace server and Traefik on 127.0.0.1:8080,
                  with four tenants, until Ctrl-C
  demo --check    the same, measured; exits 0 only if every cell of the tier matrix and the
                  isolation between tenants is as it should be
  test            fetches what the tests need, then formats, lints and runs every test,
                  the end-to-end tests with real components included
  e2e [FILTER]    only the end-to-end tests, or those whose names contain FILTER
  components      only fetches what demo and test need, so that they can run without a network
  bench [ARGS]    the benchmarks, as paired ratios
  help            this text

Everything that is fetched or written goes under target/ of the repository, whatever
CARGO_TARGET_DIR says. Only what is missing of PostgreSQL, sqlite3 and pip (Debian's packages, with
apt-get) and of rustfmt and clippy (with rustup) is installed where it belongs, and named first.";

/// What went wrong, as one line that names the remedy.
type Failure = String;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["demo"] => demo::run(demo::Until::Interrupted),
        ["demo", "--check"] => demo::run(demo::Until::Measured),
        ["test"] => test::run(),
        ["e2e", filters @ ..] => test::end_to_end(filters),
        ["components"] => components::all().map(drop),
        ["bench", rest @ ..] => bench::run(rest),
        ["help" | "--help" | "-h"] => {
            say(HELP);
            Ok(())
        }
        [] => {
            complain(HELP);
            return ExitCode::from(2);
        }
        [unknown, ..] => {
            complain(&format!(
                "error: `{unknown}` is not a command; `cargo xtask help` lists them"
            ));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}
