//! The configuration: text in, a checked [`Config`] out, or what is wrong and where.
//!
//! Each section has a file, with the section as it is written and the section as it is meant.
//! Unknown keys are mistakes. Every path is relative to the configuration file. Secrets stand in
//! files of their own (`..._file`). Values may come from the environment; see [`Environment`].
//!
//! Reading a configuration also reads the files that it names, and listens on nothing.

mod admin;
mod error;
mod gateway;
mod issuer;
mod log;
mod overlay;
mod routes;
mod store;
mod tls;
mod tokens;
mod unit;
mod url_file;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use auth_core::gate::Requirement;
use auth_core::keys::KeyOptions;
use auth_core::{Clock, Verifier, VerifierBuilder};
use entitlements::Catalog;
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

pub use self::admin::Admin;
use self::error::Source;
pub use self::error::{ConfigError, Place};
pub use self::gateway::Gateway;
pub use self::issuer::Issuer;
pub use self::log::{Log, LogFormat};
pub use self::overlay::Environment;
pub use self::store::{Snapshot, Store};
pub use self::tls::Tls;
pub use self::tokens::Tokens;
pub(crate) use self::url_file::{UrlFile, names_a_store};
use crate::route::Routes;

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Config {
    /// The plans.
    pub catalog: Catalog,
    /// What the proxy asks.
    pub gateway: Gateway,
    /// What the operator asks.
    pub admin: Admin,
    /// Tenants and licenses.
    pub store: Store,
    /// Limits of tokens.
    pub tokens: Tokens,
    /// Whose tokens are taken.
    pub issuers: Vec<Issuer>,
    /// What each request must bring.
    pub routes: Arc<Routes<Requirement>>,
    /// Form and amount of the log.
    pub log: Log,
    /// What is not wrong, but probably not meant.
    pub warnings: Vec<String>,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: Option<Spanned<i64>>,
    plans: Option<Spanned<PathBuf>>,
    gateway: Option<Spanned<gateway::GatewayDocument>>,
    admin: Option<admin::AdminDocument>,
    store: Option<Spanned<store::StoreDocument>>,
    tokens: Option<tokens::TokensDocument>,
    #[serde(default)]
    issuer: Vec<Spanned<issuer::IssuerDocument>>,
    #[serde(default)]
    routes: routes::RoutesDocument,
    log: Option<log::LogDocument>,
}

impl Config {
    /// Reads a file and what it names.
    ///
    /// # Errors
    ///
    /// The first mistake that was found.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::file(path, format!("cannot be read: {error}")))?;
        Self::parse(path, &text, environment)
    }

    /// Reads a text as if it stood in a file at `path`.
    ///
    /// # Errors
    ///
    /// The first mistake that was found.
    pub fn parse(path: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let origins = overlay::origins(environment, text.len());
        let source = &Source { path, text, origins: &origins };
        let broken = |error: toml::de::Error| source.deserializer_error(&error);
        let mut table = DeTable::parse(text).map_err(broken)?;
        overlay::lay_over(table.get_mut(), environment, &origins)
            .map_err(|misfit| source.error(&misfit.span, misfit.message))?;
        let document =
            Document::deserialize(toml::de::Deserializer::from(table)).map_err(broken)?;
        check_schema(source, document.schema.as_ref())?;

        let catalog = read_catalog(source, document.plans.as_ref())?;
        let gateway = Gateway::check(source, document.gateway.as_ref())?;
        let admin = Admin::check(source, document.admin.as_ref(), gateway.listen)?;
        let store = Store::check(source, document.store.as_ref())?;
        let tokens = Tokens::check(source, document.tokens.as_ref())?;
        let log = Log::check(source, document.log.as_ref())?;

        let mut permissions = issuer::Permissions::default();
        let mut issuers = Vec::new();
        for section in &document.issuer {
            issuers.push(Issuer::check(source, section, &mut permissions)?);
        }
        let against = routes::Against { source, catalog: &catalog, permissions: &permissions };
        let routes = against.routes(&document.routes)?;
        let unasked = routes::unasked(&catalog, &routes);
        let warnings = store.warning.iter().cloned().chain(unasked).collect();
        let config = Self {
            catalog,
            gateway,
            admin,
            store,
            tokens,
            issuers,
            routes: Arc::new(routes),
            log,
            warnings,
        };
        config.check_issuers(source)?;
        Ok(config)
    }

    /// A verifier for the issuers of this configuration, with keys over HTTP.
    ///
    /// # Errors
    ///
    /// A message, if the keys' addresses or certificate authorities cannot be used.
    pub fn verifier(
        &self,
        clock: impl Clock,
    ) -> Result<VerifierBuilder, auth_core::keys::FetchError> {
        let mut builder = self.verifier_without_issuers(clock);
        for issuer in &self.issuers {
            builder = builder.issuer(issuer.policy().clone(), issuer.keys()?);
        }
        Ok(builder)
    }

    /// The limits of this configuration, for a verifier whose keys come from elsewhere.
    pub fn verifier_without_issuers(&self, clock: impl Clock) -> VerifierBuilder {
        let keys = KeyOptions { max_stale: self.tokens.jwks_max_stale, ..KeyOptions::STANDARD };
        Verifier::builder()
            .clock(clock)
            .leeway(self.tokens.leeway)
            .max_bytes(self.tokens.max_bytes)
            .cache_capacity(self.tokens.cache_entries)
            .key_options(keys)
    }

    /// Lets the verifier say what it thinks of the issuers together: overlaps and duplicates.
    fn check_issuers(&self, source: &Source<'_>) -> Result<(), ConfigError> {
        use auth_core::PolicyError;

        let fail = |span: &std::ops::Range<usize>, message: String| {
            Err(source.error(span, format!("`issuer`: {message}")))
        };
        let clock = auth_core::SystemClock;
        let builder = match self.verifier(clock) {
            Ok(builder) => builder,
            Err(error) => return fail(&(0..0), error.to_string()),
        };
        let Err(error) = builder.build() else { return Ok(()) };
        let name = match &error {
            PolicyError::Overlap { issuer, .. }
            | PolicyError::Invalid { issuer, .. }
            | PolicyError::NothingAccepted { issuer } => Some(issuer),
            PolicyError::DuplicateIssuer { value } => Some(value),
            _ => None,
        };
        let named = |issuer: &&Issuer| {
            name.is_some_and(|name| {
                issuer.policy().name() == name.as_str() || issuer.policy().url() == name.as_str()
            })
        };
        // Of two with one name the second is the mistake.
        let span = self.issuers.iter().rfind(named).map_or(0..0, |issuer| issuer.span.clone());
        fail(&span, error.to_string())
    }
}

fn check_schema(source: &Source<'_>, schema: Option<&Spanned<i64>>) -> Result<(), ConfigError> {
    match schema {
        Some(schema) if *schema.get_ref() == 1 => Ok(()),
        Some(schema) => Err(source.error(
            &schema.span(),
            format!("`schema`: version {} is not known here; write `1`", schema.get_ref()),
        )),
        None => Err(source.error(&(0..0), "`schema` is missing; begin the file with `schema = 1`")),
    }
}

fn read_catalog(
    source: &Source<'_>,
    plans: Option<&Spanned<PathBuf>>,
) -> Result<Catalog, ConfigError> {
    let Some(plans) = plans else {
        let message = "`plans` is missing; name the plans file, as in `plans = \"plans.toml\"`";
        return Err(source.error(&(0..0), message));
    };
    let path = beside(source.path, plans.get_ref());
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let message = format!("`plans`: `{}` cannot be read: {error}", path.display());
        source.error(&plans.span(), message)
    })?;
    Catalog::parse(&text).map_err(|error| {
        let plans = Source { path: &path, text: &text, origins: &[] };
        let line = text.split_inclusive('\n').take(error.line().saturating_sub(1));
        let start = line.map(str::len).sum::<usize>();
        let rest = text.get(start..).unwrap_or_default();
        let column = rest.chars().take(error.column().saturating_sub(1)).map(char::len_utf8);
        let offset = start + column.sum::<usize>();
        plans.error(&(offset..offset), format!("{}; {}", error.message(), error.remedy()))
    })
}

/// A path of the configuration, relative to its file.
fn beside(config: &Path, path: &Path) -> PathBuf {
    match config.parent() {
        Some(folder) => folder.join(path),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests;
