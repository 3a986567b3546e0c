//! What the commands about tenants and licenses share: which store, and how to print.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use auth_core::Clock as _;
use clap::Args;
use entitlements::store::{self, Actor, Change, Mode, Receipt, Refusal, Store};
use entitlements::{Catalog, InvalidTime, StoreError, TenantId, TenantRecord, parse_time};
use serde_json::Value as Json;

use super::near::near;
use super::{CliError, address};
use crate::config::{Config, Environment};

/// Which store, who asks, and in what form the answer is given.
#[derive(Args, Clone, Debug)]
pub(super) struct StoreArgs {
    /// The configuration, for its store and its plans; `tiergate.toml` where no store is named.
    #[arg(long, value_name = "FILE", global = true, env = "TIERGATE_CONFIG")]
    config: Option<PathBuf>,
    /// The store, as in `sqlite:tiergate.db` or `postgres://USER@HOST/DATABASE`; `@FILE` reads it
    /// from a file, so that a password stands in no process list. Wins over the configuration's.
    #[arg(long, value_name = "URL", global = true)]
    store: Option<String>,
    /// The plans file; wins over the configuration's and the one that the store was served with.
    #[arg(long, value_name = "FILE", global = true)]
    plans: Option<PathBuf>,
    /// Print one JSON value instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// Who makes a change, for the audit log.
    #[arg(long, value_name = "NAME", global = true, env = "USER", hide_env_values = true)]
    by: Option<String>,
}

/// An open store, and how the answer is to be given.
pub(super) struct Desk {
    pub(super) store: Arc<dyn Store>,
    catalog: Option<Catalog>,
    /// The issuers whose tokens are taken, where a configuration says so.
    issuers: Option<Vec<String>>,
    actor: Actor,
    json: bool,
}

impl StoreArgs {
    /// Opens the store; one that is only read is not created.
    pub(super) async fn open(&self, mode: Mode) -> Result<Desk, CliError> {
        let beside = Path::new("tiergate.toml");
        let path = match (&self.config, &self.store) {
            (None, None) if beside.exists() => Some(beside),
            (path, _) => path.as_deref(),
        };
        let config = match path {
            Some(path) => Some(
                Config::load(path, &Environment::of_process())
                    .map_err(|error| CliError::usage(error.to_string()))?,
            ),
            None => None,
        };
        let url = match (&self.store, &config) {
            (Some(given), _) => &address::given(given)?,
            (None, Some(config)) => address::configured(&config.store),
            (None, None) => {
                return Err(CliError::usage(
                    "no store is named, and there is no `tiergate.toml` here; give `--config FILE` \
                     or `--store URL`",
                ));
            }
        };
        let catalog = match &self.plans {
            Some(path) => Some(super::plans::read(path)?),
            None => config.as_ref().map(|config| config.catalog.clone()),
        };
        let store = store::open(url, mode).await.map_err(|error| failed(&error))?;
        let name = self.by.clone().filter(|name| !name.trim().is_empty());
        let actor = Actor::person(name.unwrap_or_else(|| "cli".to_owned()));
        let stored = store.current_catalog().await.map_err(|error| failed(&error))?;
        // A new store learns the plans from its first change, not only when it is served: later
        // commands need only name the store.
        if let (Some(catalog), None, Mode::ReadWrite) = (&catalog, &stored, mode) {
            match store.publish(catalog, &actor, now()).await {
                // Licenses that these plans orphan are repaired with these commands.
                Ok(()) | Err(StoreError::Refused(Refusal::Orphans(_))) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        let catalog = catalog.or(stored);
        let issuers = config.map(|config| {
            config.issuers.iter().map(|issuer| issuer.policy().url().to_owned()).collect()
        });
        Ok(Desk { store, catalog, issuers, actor, json: self.json })
    }
}

impl Desk {
    /// The plans that count.
    pub(super) fn catalog(&self) -> Result<&Catalog, CliError> {
        self.catalog.as_ref().ok_or_else(|| {
            CliError::usage(
                "the store does not know its plans yet; give `--plans FILE` or `--config FILE`",
            )
        })
    }

    /// What is probably wrong with an issuer: tokens whose `iss` differs in a single character name
    /// no tenant.
    pub(super) fn doubt(&self, issuer: &str) -> Option<String> {
        let known = self.issuers.as_ref().filter(|known| !known.iter().any(|url| url == issuer))?;
        Some(format!(
            "no `[[issuer]]` of the configuration has the url `{}`, so no token names this tenant \
             yet; configured: `{}`",
            issuer.escape_debug(),
            known.join("`, `")
        ))
    }

    /// Who asks.
    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Makes a change.
    pub(super) async fn apply(&self, change: &Change) -> Result<Receipt, CliError> {
        match self.store.apply(change, &self.actor, now()).await {
            Ok(receipt) => Ok(receipt),
            Err(StoreError::Refused(Refusal::NotFound { what: "tenant", name })) => {
                Err(self.unknown_tenant(&name).await)
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// A tenant by its id, as the gateway takes it at a moment; an unknown one is told with those
    /// that have a similar id.
    pub(super) async fn tenant(
        &self,
        id: &TenantId,
        at: SystemTime,
    ) -> Result<TenantRecord, CliError> {
        match self.store.load(id).await.map_err(|error| failed(&error))? {
            Some(record) => Ok(record.happened_by(at)),
            None => Err(self.unknown_tenant(id.as_str()).await),
        }
    }

    /// Every tenant with all its rows, as the gateway takes them at a moment.
    pub(super) async fn tenants(&self, at: SystemTime) -> Result<Vec<TenantRecord>, CliError> {
        every_tenant(self.store.as_ref(), at).await
    }

    async fn unknown_tenant(&self, name: &str) -> CliError {
        let near = match self.store.tenants().await {
            Ok(tenants) => near(name, tenants.iter().map(|tenant| tenant.id.as_str())),
            Err(error) => return failed(&error),
        };
        let remedy = if near.is_empty() {
            "`tiergate tenant list` names the tenants".to_owned()
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        CliError::usage(format!("there is no tenant `{}`; {remedy}", name.escape_debug()))
    }

    /// Prints one JSON value or a text, as asked.
    pub(super) fn print(
        &self,
        out: &mut dyn Write,
        json: &Json,
        text: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), CliError> {
        if self.json {
            writeln!(out, "{json:#}")?;
        } else {
            text(out)?;
        }
        Ok(())
    }
}

/// Says so if the store's current plans are others than those at hand: then a gateway answers
/// otherwise.
pub(super) async fn other_plans(store: &dyn Store, catalog: &Catalog) -> Option<String> {
    let current = store.current_digest().await.ok()??;
    let (own, current_short) = (short(catalog.digest()), short(&current));
    (current != catalog.digest()).then(|| {
        format!(
            "the plans here ({own}) are not the store's current ones ({current_short}): a gateway \
             that was started before they changed answers by its own until it is restarted"
        )
    })
}

/// So much of a digest as tells catalogs apart.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A name for a new row, as in `lic_0198...`; later ones sort behind earlier ones.
#[expect(clippy::disallowed_methods, reason = "the home of the command line's names")]
pub(super) fn new_id(kind: &str) -> String {
    format!("{kind}_{}", uuid::Uuid::now_v7().simple())
}

/// The moment of the command.
pub(super) fn now() -> SystemTime {
    auth_core::SystemClock.now()
}

/// Every tenant of a store with all its rows, as the gateway takes them at a moment.
pub(super) async fn every_tenant(
    store: &dyn Store,
    at: SystemTime,
) -> Result<Vec<TenantRecord>, CliError> {
    let mut records = Vec::new();
    for tenant in store.tenants().await.map_err(|error| failed(&error))? {
        let record = store.load(&tenant.id).await.map_err(|error| failed(&error))?;
        records.extend(record.map(|record| record.happened_by(at)));
    }
    Ok(records)
}

/// A moment in RFC 3339, as finely as a store keeps it: told again, it is the same one.
pub(super) fn time(text: &str) -> Result<SystemTime, InvalidTime> {
    let at = parse_time(text)?;
    let (Ok(since) | Err(since)) =
        at.duration_since(SystemTime::UNIX_EPOCH).map_err(|before| before.duration());
    let finer = Duration::from_nanos(u64::from(since.subsec_nanos() % 1000));
    // Towards 1970 on both sides, as stores do.
    let whole =
        if at < SystemTime::UNIX_EPOCH { at.checked_add(finer) } else { at.checked_sub(finer) };
    Ok(whole.unwrap_or(at))
}

/// The second that a moment is in: it reads better, and is never later.
pub(super) fn whole_second(at: SystemTime) -> SystemTime {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()),
        Err(_) => at,
    }
}

/// Whose fault it is decides the exit code: a store that does not answer leaves the question open.
pub(super) fn failed(error: &StoreError) -> CliError {
    match error {
        StoreError::Unavailable(_) | StoreError::Gone(_) | StoreError::Corrupt(_) => {
            CliError::Unavailable { message: error.to_string(), source: None }
        }
        _ => CliError::usage(error.to_string()),
    }
}
