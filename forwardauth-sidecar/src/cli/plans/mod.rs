//! `tiergate plans`: checks and tests the plans file, compares it with another, and writes the
//! table for the documentation from it.

mod cases;
mod diff;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use entitlements::store::{self, Mode, Store};
use entitlements::{Catalog, CatalogError, StoreError, TenantRecord, orphans};
use serde_json::json;

use super::store::{every_tenant, failed, now};
use super::{CliError, Outcome, address};
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
    Check(Check),
    /// Runs the cases beside the plans file, each with its own clock.
    Test(cases::Test),
    /// Prints the matrix as a Markdown table.
    Render(Source),
    /// Tells who gains and who loses what when new plans follow the old ones; exit code 1 when
    /// something is lost.
    Diff(diff::Diff),
}

/// What is checked.
#[derive(Args, Debug)]
struct Check {
    #[command(flatten)]
    source: Source,
    /// A store whose licenses must all name a plan of the file, as in `sqlite:tiergate.db`; `@FILE`
    /// reads it from a file, so that a password stands in no process list. That of the configuration
    /// where one is given.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// Whose tenants are asked.
#[derive(Args, Debug)]
struct StoreOf {
    /// The configuration, for its store.
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    config: Option<PathBuf>,
    /// The store, as in `sqlite:tiergate.db`; `@FILE` reads it from a file, so that a password stands
    /// in no process list.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
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
pub async fn run(args: PlansArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    match args.command {
        Command::Check(args) => check(&args, out).await,
        Command::Test(args) => cases::run(&args, out),
        Command::Diff(args) => diff::run(&args, out).await,
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
    Catalog::parse(&text(path)?).map_err(|error| misplaced(path, &error))
}

fn text(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| {
        CliError::usage_because(format!("`{}` cannot be read", path.display()), error)
    })
}

/// What is wrong in a file, as `FILE:LINE:COLUMN`.
fn misplaced(path: &Path, error: &CatalogError) -> CliError {
    CliError::usage(format!(
        "{}:{}:{}: {}; {}",
        path.display(),
        error.line(),
        error.column(),
        error.message(),
        error.remedy()
    ))
}

async fn check(args: &Check, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let catalog = args.source.catalog()?;
    let named = StoreOf { config: args.source.config.clone(), store: args.store.clone() };
    let at = now();
    let mut none = None;
    let records = match named.open().await? {
        Some(Ok(store)) => Some(every_tenant(store.as_ref(), at).await?),
        // A configuration is checked before it is served for the first time, too.
        Some(Err(error @ StoreError::Missing { .. })) if args.store.is_none() => {
            none = Some(format!("{error}; no license was checked"));
            None
        }
        Some(Err(error)) => return Err(failed(&error)),
        None => None,
    };
    let orphaned: Vec<_> =
        records.iter().flatten().flat_map(|record| orphans(&catalog, record, at)).collect();
    if args.source.json {
        let mut answer = as_json(&catalog);
        if records.is_some() {
            answer["orphaned"] = orphaned.iter().map(diff::orphan_json).collect();
        }
        if let Some(none) = &none {
            answer["note"] = json!(none);
        }
        writeln!(out, "{answer:#}")?;
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
        if let Some(records) = &records {
            writeln!(out, "{} tenants, {} licenses orphaned", records.len(), orphaned.len())?;
        }
        for orphan in &orphaned {
            writeln!(out, "{}", diff::orphan_text(orphan))?;
        }
        if let Some(none) = &none {
            writeln!(out, "note: {none}")?;
        }
    }
    Ok(if orphaned.is_empty() { Outcome::Yes } else { Outcome::No }.into())
}

impl StoreOf {
    /// Every tenant of the store; nothing where none is named.
    async fn tenants(&self, at: SystemTime) -> Result<Option<Vec<TenantRecord>>, CliError> {
        let Some(store) = self.open().await? else { return Ok(None) };
        let store = store.map_err(|error| failed(&error))?;
        every_tenant(store.as_ref(), at).await.map(Some)
    }

    /// The store, or why it cannot be opened; nothing where none is named.
    async fn open(&self) -> Result<Option<Result<Arc<dyn Store>, StoreError>>, CliError> {
        let url = match (&self.store, &self.config) {
            (Some(given), _) => address::given(given)?,
            (None, Some(path)) => {
                let config = Config::load(path, &Environment::of_process())
                    .map_err(|error| CliError::usage(error.to_string()))?;
                address::configured(&config.store).to_owned()
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(store::open(&url, Mode::ReadOnly).await))
    }
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
