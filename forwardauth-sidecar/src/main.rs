//! The `tiergate` command.

#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use tiergate::cli::{Cli, CliError};

fn main() -> ExitCode {
    // Usage mistakes end here, with exit code 2.
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&CliError::unavailable("there is no runtime", error)),
    };
    let mut out = io::BufWriter::new(io::stdout());
    let result = runtime.block_on(cli.run(&mut out)).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    // What still runs in the background must not delay the exit.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| report(&error))
}

fn report(error: &CliError) -> ExitCode {
    error.report(&mut io::stderr());
    error.exit_code()
}
