//! What `check` and `explain` have in common: a token, a requirement, and the gate to ask.

use std::{
    io::{IsTerminal as _, Read as _},
    path::PathBuf,
    time::SystemTime,
};

use auth_core::{
    Clock, Fault, Identity, SystemClock,
    gate::{Decision, Explanation, Gate, Requirement, Tenant},
    keys::StaticKeys,
};
use entitlements::{
    CheckError, EntitlementService, EntitlementSet, Freshness, StoreError, TenantId, TenantRef,
    Value,
    store::{self, Mode},
};
use serde_json::{Map, Value as Json, json};

use super::{CliError, Outcome, address, command::ConfigFile, store::other_plans};
use crate::config::Config;

/// Whom the question is about, and what is asked.
#[derive(Debug, clap::Args)]
pub(super) struct QuestionArgs {
    /// The access token. Better `-` or nothing, which reads it from standard input, or
    /// `--token-file`: then it stands in no shell history and in no process list.
    #[arg(value_name = "TOKEN")]
    token: Option<String>,
    /// Reads the token from this file.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
    /// Asks for a feature: `name`, or `name=level` for at least that level. May stand several times.
    #[arg(long = "feature", value_name = "FEATURE[=LEVEL]")]
    features: Vec<String>,
    /// Asks for a scope. May stand several times; all are needed.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Asks for a role. May stand several times; one of them is needed.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Takes the issuers' keys from this JWK Set instead of fetching them.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Asks this store instead of the configured one; `@FILE` reads its address from a file, so
    /// that a password stands in no process list.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Answers as of this time (RFC 3339): token times and the license's own history.
    /// The tenant's status and the organization's mapping are always those of now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Prints one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// A question that can be asked.
pub(super) struct Question {
    pub(super) config: Config,
    /// `None` asks as a request without a credential would.
    pub(super) token: Option<String>,
    /// What `--feature`, `--scope` and `--role` ask for: without them, a tenant in good standing.
    pub(super) need: Requirement,
    gate: Gate,
    at: Option<SystemTime>,
    keys_from_file: bool,
    /// Why the store cannot be asked, if it cannot: a bad token is told all the same.
    closed: Option<StoreError>,
    /// That the gateway answers by other plans, if it does.
    pub(super) note: Option<String>,
}

/// More than any token that a gateway takes.
const MAX_TOKEN: u64 = 1024 * 1024;

impl QuestionArgs {
    /// What stands where the token does, if it is the id of a decision.
    pub(super) fn decision_id(&self) -> Option<uuid::Uuid> {
        self.token.as_deref().and_then(|text| uuid::Uuid::try_parse(text).ok())
    }

    /// Whether something is asked for beside the route.
    pub(super) fn asks(&self) -> bool {
        !(self.features.is_empty() && self.scopes.is_empty() && self.roles.is_empty())
    }

    pub(super) fn read_config(&self) -> Result<Config, CliError> {
        super::config::load(&self.config)
    }

    /// Reads what the question needs and opens the store. Where it may be `anonymous`, an empty
    /// token stands for a request without a credential.
    pub(super) async fn prepare(&self, anonymous: bool) -> Result<Question, CliError> {
        let config = self.read_config()?;
        let at = self.at.as_deref().map(parse_at).transpose()?;
        let need = Requirement::tenant()
            .scopes(self.scopes.iter().map(String::as_str))
            .roles(self.roles.iter().map(String::as_str))
            .features(&config.catalog, &self.features)
            .map_err(|error| CliError::usage(format!("`--feature`: {error}")))?;
        let token = self.read_token()?;
        if token.is_none() && !anonymous {
            return Err(CliError::usage("the token is empty"));
        }
        let clock = move || at.unwrap_or_else(|| SystemClock.now());
        let verifier = self.verifier(&config, clock)?;
        let url = match &self.store {
            Some(given) => &address::given(given)?,
            None => address::configured(&config.store),
        };
        let store = || EntitlementService::builder(url, config.catalog.clone()).read_only(true);
        let (entitlements, closed) = match store().connect().await {
            Ok(service) => (service, None),
            Err(error) => (store().start(), Some(error)),
        };
        let note = match store::open(url, Mode::ReadOnly).await {
            Ok(store) => other_plans(store.as_ref(), &config.catalog).await,
            Err(_) => None,
        };
        let gate = Gate::new(verifier, entitlements);
        let keys_from_file = self.jwks.is_some();
        Ok(Question { config, token, need, gate, at, keys_from_file, closed, note })
    }

    fn verifier(
        &self,
        config: &Config,
        clock: impl Clock,
    ) -> Result<auth_core::Verifier, CliError> {
        let builder = match &self.jwks {
            None => config.verifier(clock).map_err(|error| {
                CliError::usage_because("the keys' source cannot be used", error)
            })?,
            Some(file) => {
                let broken =
                    |why: String| CliError::usage(format!("`--jwks`: `{}` {why}", file.display()));
                let text =
                    std::fs::read(file).map_err(|e| broken(format!("cannot be read: {e}")))?;
                let keys =
                    StaticKeys::from_json(text).map_err(|e| broken(format!("is refused: {e}")))?;
                let builder = config.verifier_without_issuers(clock);
                config.issuers.iter().fold(builder, |builder, issuer| {
                    builder.issuer(issuer.policy().clone(), keys.clone())
                })
            }
        };
        builder.build().map_err(|error| CliError::usage(error.to_string()))
    }

    fn read_token(&self) -> Result<Option<String>, CliError> {
        let text = match (&self.token_file, self.token.as_deref()) {
            (Some(file), _) => {
                let opened = std::fs::File::open(file);
                opened.and_then(read_bounded).map_err(|e| {
                    CliError::usage(format!(
                        "`--token-file`: `{}` cannot be read: {e}",
                        file.display()
                    ))
                })?
            }
            (None, Some(token)) if token != "-" => token.to_owned(),
            (None, given) => {
                let input = std::io::stdin();
                if given.is_none() && input.is_terminal() {
                    let message = "no token; pipe it in, or name a file with `--token-file`";
                    return Err(CliError::usage(message));
                }
                read_bounded(input.lock())
                    .map_err(|e| CliError::usage(format!("standard input cannot be read: {e}")))?
            }
        };
        // What people have at hand is often the whole header line.
        let token = text.trim();
        let token = token.strip_prefix("Authorization:").map_or(token, str::trim_start);
        let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
        if looks_like_an_id(token) {
            let message = "this is no token but, whole or in part, the id of a decision; \
                           `tiergate explain ID` takes all of its 36 characters";
            return Err(CliError::usage(message));
        }
        Ok((!token.is_empty()).then(|| token.to_owned()))
    }
}

/// A decision's id has 32 hexadecimal digits in five groups; no token has only such characters and a
/// hyphen among its first nine.
fn looks_like_an_id(text: &str) -> bool {
    (9..=36).contains(&text.len())
        && text.as_bytes()[8] == b'-'
        && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn read_bounded(input: impl std::io::Read) -> std::io::Result<String> {
    let mut text = String::new();
    input.take(MAX_TOKEN).read_to_string(&mut text)?;
    Ok(text)
}

fn parse_at(text: &str) -> Result<SystemTime, CliError> {
    entitlements::parse_time(text).map_err(|error| CliError::usage(format!("`--at`: {error}")))
}

impl Question {
    /// Asks the engine that the gateway asks.
    pub(super) async fn ask(&self, need: &Requirement) -> Explanation {
        let token = self.token.as_deref();
        let tenant = async |identity: &Identity| match (self.gate.tenant(identity).await, self.at) {
            (Tenant::Known(set), Some(at)) => self.at(set.tenant(), at).await,
            (Tenant::Failed(CheckError::StoreUnavailable(error)), _) => {
                let error = self.closed.clone().unwrap_or(error);
                Tenant::Failed(CheckError::StoreUnavailable(error))
            }
            (tenant, _) => tenant,
        };
        self.gate.explain_with(token, need, tenant).await
    }

    async fn at(&self, tenant: &TenantId, at: SystemTime) -> Tenant {
        let found = self.gate.entitlements().entitlements_at(TenantRef::Id(tenant), at).await;
        found.map_or_else(Tenant::Failed, Tenant::Known)
    }

    /// The moment that the answer is of, if it is not now.
    pub(super) fn moment(&self) -> Option<SystemTime> {
        self.at
    }

    /// The members of the one JSON object that `check --json` prints, in the order for people.
    pub(super) fn facts(&self, story: &Explanation) -> Vec<(&'static str, Json)> {
        let denial = story.decision.denial();
        let identity = match &story.decision {
            Decision::Allow(allowed) => allowed.identity.as_ref(),
            Decision::Deny(denial) => denial.identity.as_ref(),
        };
        let set = match &story.tenant {
            Some(Tenant::Known(set)) => Some(set),
            _ => None,
        };
        let time = |at: Option<SystemTime>| at.map(entitlements::format_time);
        let source = match set.map(EntitlementSet::freshness) {
            Some(Freshness::Stale { .. }) => "stale",
            Some(Freshness::Offline) => "offline",
            _ if self.keys_from_file => "offline",
            _ => "fresh",
        };
        vec![
            ("decision", verdict(&story.decision).into()),
            ("reason", denial.map(|d| d.reason.code()).into()),
            ("detail", denial.map(|d| d.detail.as_str()).into()),
            ("cause", denial.and_then(|d| d.cause.as_deref()).into()),
            ("remedy", denial.map(|d| d.reason.remedy()).into()),
            ("subject", identity.map(Identity::subject).into()),
            ("kind", identity.map(|i| i.kind().as_str()).into()),
            ("client_id", identity.map(Identity::client_id).into()),
            ("issuer", identity.map(Identity::issuer).into()),
            ("organization", identity.and_then(Identity::organization).into()),
            ("tenant", set.map(|s| s.tenant().as_str()).into()),
            ("tier", set.and_then(EntitlementSet::tier).into()),
            ("state", set.map(|s| s.state().as_str()).into()),
            ("features", set.map_or_else(|| json!({}), features)),
            ("scopes", identity.map_or_else(Vec::new, |i| i.scopes().collect()).into()),
            ("roles", identity.map_or_else(Vec::new, |i| i.roles().collect()).into()),
            (
                "unlocked_by",
                denial.and_then(|d| d.not_entitled.as_ref()).map(|n| n.unlocked_by.clone()).into(),
            ),
            ("expires_at", time(identity.map(Identity::expires_at)).into()),
            ("valid_until", time(set.and_then(EntitlementSet::valid_until)).into()),
            ("source", Some(source).filter(|_| verdict(&story.decision) != "unknown").into()),
            ("at", time(self.at).into()),
            ("note", self.note.as_deref().into()),
        ]
    }
}

fn features(set: &EntitlementSet) -> Json {
    let value = |value: &Value| match value {
        Value::Switch(on) => json!(on),
        Value::Level { name, .. } => json!(&**name),
        Value::Number(number) => json!(number),
    };
    set.features().map(|(key, v)| (key.to_string(), value(v))).collect::<Map<_, _>>().into()
}

/// `allow`, `deny`, or `unknown` where we cannot know.
pub(super) fn verdict(decision: &Decision) -> &'static str {
    match decision.denial().map(|denial| denial.reason.fault()) {
        None => "allow",
        Some(Fault::Ours) => "unknown",
        Some(Fault::Request | Fault::Caller | Fault::Rights) => "deny",
    }
}

/// The outcome that the exit code says.
pub(super) fn outcome(decision: &Decision) -> Outcome {
    match verdict(decision) {
        "allow" => Outcome::Yes,
        "unknown" => Outcome::Unknown,
        _ => Outcome::No,
    }
}
