//! Measures what each tenant can do, through the gateway, as its clients would.

mod client;
mod isolation;
mod matrix;
mod traces;

use std::path::PathBuf;

use serde_json::{Map, Value};

use self::client::{Client, Tenant};
use crate::{TENANTS, say, write};

/// Where everything is.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Traefik's address, such as `http://127.0.0.1:8080`.
    #[arg(long)]
    gateway: String,
    /// The address that answers 200 once the sidecar is ready.
    #[arg(long)]
    ready: String,
    /// The identity provider's issuer.
    #[arg(long)]
    issuer: String,
    /// Where the tokens are written.
    #[arg(long)]
    tokens: PathBuf,
    /// Print what to try by hand, as the gateway stays up.
    #[arg(long)]
    suggest: bool,
}

/// Fetches tokens, sends traces, measures, and prints what to try next.
///
/// # Errors
///
/// If something does not answer, a cell of the matrix is not as the plan says, or one tenant sees
/// something of another.
pub(crate) async fn run(arguments: Arguments) -> Result<(), String> {
    let client = Client::new(&arguments.gateway)?;
    client.wait_until_ready(&arguments.ready).await?;
    client.wait_until_routed().await?;

    let mut tenants = Vec::new();
    for (name, tier) in TENANTS {
        let token = client.fetch_token(&arguments.issuer, name).await?;
        tenants.push(Tenant { name, tier, token });
    }
    let tokens: Map<String, Value> =
        tenants.iter().map(|t| (t.name.to_owned(), Value::from(t.token.as_str()))).collect();
    let tokens = serde_json::to_string_pretty(&tokens).expect("strings are valid JSON");
    write(&arguments.tokens, &format!("{tokens}\n"))?;

    for tenant in &tenants {
        traces::send(&client, tenant).await?;
    }
    let measured = matrix::measure(&client, &tenants).await?;
    say("\nThe tier matrix, measured through Traefik:\n");
    say(&measured.table());
    let isolation = isolation::measure(&client, &tenants).await?;
    say(&isolation.summary());
    if arguments.suggest {
        say(&matrix::curl_lines(&arguments.gateway));
    }

    let wrong: Vec<String> = measured.wrong().into_iter().chain(isolation.wrong()).collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("not as it should be:\n  {}", wrong.join("\n  ")))
    }
}
