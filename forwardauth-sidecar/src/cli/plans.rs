//! `tiergate plans`: checks the plans file, and writes the table for the documentation from it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use entitlements::Catalog;
use serde_json::json;

use super::{CliError, Outcome};
use crate::config::{Config, Environment};

/// What to do with the plans.
#[derive(Args, Debug)]
pub struct PlansArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks the plans file; names line, column and remedy of what is wrong.
    Check(Source),
    /// Prints the matrix as a Markdown table.
    Render(Source),
}

/// Where the plans are.
#[derive(Args, Debug)]
struct Source {
    /// The plans file; `plans.toml` unless another one is named.
    file: Option<PathBuf>,
    /// The configuration that names the plans file.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
///
/// If a file cannot be read, or the output not written.
#[expect(clippy::unused_async, reason = "every command has the same form")]
pub async fn run(args: PlansArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    match args.command {
        Command::Check(source) => check(&source, out),
        Command::Render(source) => {
            let catalog = source.catalog()?;
            if source.json {
                writeln!(out, "{:#}", as_json(&catalog))?;
            } else {
                write!(out, "{}", catalog.render())?;
            }
            Ok(Outcome::Yes.into())
        }
    }
}

/// Reads a plans file; a mistake in it is told as `FILE:LINE:COLUMN`.
pub(super) fn read(path: &Path) -> Result<Catalog, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        CliError::usage_because(format!("`{}` cannot be read", path.display()), error)
    })?;
    Catalog::parse(&text).map_err(|error| {
        CliError::usage(format!(
            "{}:{}:{}: {}; {}",
            path.display(),
            error.line(),
            error.column(),
            error.message(),
            error.remedy()
        ))
    })
}

fn check(source: &Source, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let catalog = source.catalog()?;
    if source.json {
        writeln!(out, "{:#}", as_json(&catalog))?;
    } else {
        writeln!(
            out,
            "catalog `{}` is right: {} tiers, {} features, {} add-ons",
            catalog.name(),
            catalog.tiers().len(),
            catalog.features().len(),
            catalog.addons().len()
        )?;
        writeln!(out, "digest {}", catalog.digest())?;
    }
    Ok(Outcome::Yes.into())
}

impl Source {
    fn catalog(&self) -> Result<Catalog, CliError> {
        match (&self.file, &self.config) {
            (Some(file), _) => read(file),
            (None, None) => read(Path::new("plans.toml")),
            (None, Some(config)) => Config::load(config, &Environment::of_process())
                .map(|config| config.catalog)
                .map_err(|error| CliError::usage(error.to_string())),
        }
    }
}

fn as_json(catalog: &Catalog) -> serde_json::Value {
    let matrix: serde_json::Map<_, _> = catalog
        .features()
        .iter()
        .enumerate()
        .map(|(row, feature)| {
            let values = catalog.tiers().iter().map(|tier| {
                let name = tier.name().to_owned();
                (name, super::license::value_json(&tier.values()[row]))
            });
            (feature.key().to_string(), serde_json::Value::Object(values.collect()))
        })
        .collect();
    json!({
        "catalog": catalog.name(),
        "digest": catalog.digest(),
        "tiers": catalog.tiers().iter().map(entitlements::Tier::name).collect::<Vec<_>>(),
        "addons": catalog.addons().iter().map(entitlements::Addon::name).collect::<Vec<_>>(),
        "features": matrix,
    })
}
