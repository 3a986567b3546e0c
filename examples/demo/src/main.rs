//! What the demo needs besides the products: an identity provider from auth-core's test kit, and a
//! client that measures the tier matrix and the isolation between tenants through the gateway.
//!
//! `cargo xtask demo` runs both. The provider signs with a key that it makes at its start and gives a
//! token to whoever knows the client's well-known secret: it is for trying things out, and for nothing
//! else.

#![forbid(unsafe_code)]

mod measure;
mod provider;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// The API whose access tokens the demo uses; `tiergate.toml` beside this package names it too.
const API: &str = "https://traces.demo.test/api";

/// The scopes that the demo's client has.
const SCOPES: &str = "traces:read traces:write traces:replay";

/// The one client of the demo.
const CLIENT: (&str, &str) = ("demo-agent", "demo-secret");

/// Tenants and their tiers, cheapest first.
const TENANTS: [(&str, &str); 4] =
    [("low-co", "low"), ("mid-co", "mid"), ("high-co", "high"), ("business-co", "business")];

/// The organization that a tenant has at the demo's identity provider.
fn organization(tenant: &str) -> String {
    format!("org-{tenant}")
}

/// What the demo needs besides the products.
#[derive(Parser)]
enum Command {
    /// An identity provider for the demo's tenants, until it is told to stop.
    IdentityProvider {
        /// Where it listens; its issuer is this address and `/oidc`.
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Sends traces and measures the tier matrix and the isolation through the gateway.
    Measure(measure::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::IdentityProvider { listen } => provider::serve(listen).await,
        Command::Measure(arguments) => measure::run(arguments).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Writes a file and names it when that fails.
fn write(path: &PathBuf, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("cannot write `{}`: {e}", path.display()))
}

#[expect(clippy::print_stdout, reason = "what was measured is what the program is run for")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "errors belong on standard error")]
fn complain(failure: &str) {
    eprintln!("error: {failure}");
}
