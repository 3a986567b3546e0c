//! `tiergate config check`: reads the configuration and starts nothing.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::command::ConfigFile;
use super::{CliError, Outcome};
use crate::config::{Config, Environment};

/// What to do with the configuration.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads it and the files it names, and says what it amounts to.
    Check(ConfigFile),
}

/// Runs the command.
///
/// # Errors
///
/// If the configuration has a mistake.
pub fn run(args: &ConfigArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let Command::Check(file) = &args.command;
    let config = load(file)?;
    summary(file, &config, out)?;
    Ok(Outcome::Yes.into())
}

/// Reads the configuration that a command was given.
pub(super) fn load(file: &ConfigFile) -> Result<Config, CliError> {
    Config::load(&file.config, &Environment::of_process())
        .map_err(|error| CliError::usage(error.to_string()))
}

fn summary(file: &ConfigFile, config: &Config, out: &mut dyn Write) -> Result<(), CliError> {
    let gateway = &config.gateway;
    let trusted: Vec<_> = gateway.trusted_proxies.iter().map(ToString::to_string).collect();
    writeln!(out, "{} is valid", file.config.display())?;
    writeln!(
        out,
        "  gateway  {} for {}, trusting {}, {}",
        gateway.listen,
        gateway.proxy,
        trusted.join(", "),
        if gateway.tls.is_some() { "with tls and http/2" } else { "without tls" }
    )?;
    writeln!(out, "  admin    {}", config.admin.listen)?;
    // The address of a server may hold a password; a file has none.
    let store = match config.store.url().split_once(':') {
        Some(("sqlite", file)) => format!("sqlite, {file}"),
        Some((kind, _)) => kind.to_owned(),
        None => String::new(),
    };
    writeln!(out, "  store    {store}")?;
    for issuer in &config.issuers {
        let policy = issuer.policy();
        writeln!(out, "  issuer   {} ({})", policy.name(), policy.url())?;
    }
    let (catalog, routes) = (&config.catalog, config.routes.iter().len());
    writeln!(
        out,
        "  plans    {}: {} tiers, {} features, digest {}",
        catalog.name(),
        catalog.tiers().len(),
        catalog.features().len(),
        super::store::short(catalog.digest())
    )?;
    writeln!(out, "  routes   {routes}")?;
    for warning in &config.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(())
}
