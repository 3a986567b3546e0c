//! `tiergate override`: exceptions for one tenant, with a reason and an end.

mod add;

use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use entitlements::store::{Change, Mode};
use entitlements::{Override, TenantId, TenantRecord, format_time};
use serde_json::{Value as Json, json};

use self::add::{Add, add};
use super::store::{Desk, StoreArgs, failed, now};
use super::table::table;
use super::{CliError, Outcome};

/// What to do with exceptions.
#[derive(Args, Debug)]
pub struct OverrideArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes an exception from what the licenses of a tenant give.
    Add(Add),
    /// Lists the exceptions that hold or will hold.
    List {
        /// The tenant; every one unless given.
        tenant: Option<TenantId>,
        /// Also those that have ended or were revoked.
        #[arg(long)]
        all: bool,
    },
    /// Ends an exception.
    Revoke {
        /// The exception, as in `ovr_...`.
        id: String,
        /// Why, for the audit.
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
}

/// Runs the command.
///
/// # Errors
///
/// If the store cannot be used, refuses the change, or the output cannot be written.
pub async fn run(args: OverrideArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let mode = match args.command {
        Command::List { .. } => Mode::ReadOnly,
        Command::Add(_) | Command::Revoke { .. } => Mode::ReadWrite,
    };
    let desk = args.store.open(mode).await?;
    match args.command {
        Command::Add(wanted) => add(&desk, wanted, out).await,
        Command::List { tenant, all } => list(&desk, tenant, all, out).await,
        Command::Revoke { id, reason } => revoke(&desk, id, reason, out).await,
    }
}

async fn list(
    desk: &Desk,
    tenant: Option<TenantId>,
    all: bool,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let at = now();
    let records: Vec<TenantRecord> = match &tenant {
        Some(id) => vec![desk.tenant(id, at).await?],
        None => desk.tenants(at).await?,
    };
    let shown = || {
        records
            .iter()
            .flat_map(|record| record.overrides.iter().map(|exception| (&record.id, exception)))
            .filter(|(_, exception)| all || is_to_come(exception, at))
    };
    let json = Json::Array(shown().map(|(tenant, it)| override_json(tenant, it, at)).collect());
    desk.print(out, &json, |out| table(out, &override_rows(shown(), at)))?;
    Ok(Outcome::Yes.into())
}

async fn revoke(
    desk: &Desk,
    id: String,
    reason: String,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let change = Change::RevokeOverride { id: id.clone(), reason };
    let receipt = desk.store.apply(&change, desk.actor(), now()).await.map_err(|error| {
        use entitlements::store::Refusal;
        match &error {
            entitlements::StoreError::Refused(Refusal::NotFound { .. }) => {
                CliError::usage(format!("{error}; `tiergate override list` names them"))
            }
            _ => failed(&error),
        }
    })?;
    let json = json!({
        "action": change.action(),
        "override": id,
        "tenant": receipt.tenant,
        "revision": receipt.revision,
    });
    desk.print(out, &json, |out| {
        writeln!(out, "revoked {id} of tenant `{}` (revision {})", receipt.tenant, receipt.revision)
    })?;
    Ok(Outcome::Yes.into())
}

/// The exceptions that hold or will hold.
pub(super) fn to_come(record: &TenantRecord, at: SystemTime) -> impl Iterator<Item = &Override> {
    record.overrides.iter().filter(move |exception| is_to_come(exception, at))
}

fn is_to_come(exception: &Override, at: SystemTime) -> bool {
    matches!(standing(exception, at), "active" | "scheduled")
}

/// How an exception stands at a moment.
fn standing(exception: &Override, at: SystemTime) -> &'static str {
    if exception.revoked_at.is_some_and(|moment| moment <= at) {
        "revoked"
    } else if at < exception.starts_at {
        "scheduled"
    } else if exception.holds(at) {
        "active"
    } else {
        "ended"
    }
}

/// Exceptions as rows of a table, with its header.
pub(super) fn override_rows<'a>(
    overrides: impl Iterator<Item = (&'a TenantId, &'a Override)>,
    at: SystemTime,
) -> Vec<Vec<String>> {
    let header =
        ["OVERRIDE", "TENANT", "FEATURE", "EFFECT", "STANDING", "STARTS", "ENDS", "BY", "REASON"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(overrides.map(|(tenant, it)| {
        let ticket = it.ticket.as_ref().map(|ticket| format!(" ({ticket})"));
        vec![
            it.id.clone(),
            tenant.to_string(),
            it.feature.to_string(),
            it.effect.to_string(),
            standing(it, at).to_owned(),
            format_time(it.starts_at),
            it.ends_at.map_or_else(|| "permanent".to_owned(), format_time),
            it.created_by.clone(),
            format!("{}{}", it.reason, ticket.unwrap_or_default()),
        ]
    }));
    rows
}

/// An exception as JSON.
pub(super) fn override_json(tenant: &TenantId, exception: &Override, at: SystemTime) -> Json {
    json!({
        "override": exception.id,
        "tenant": tenant,
        "feature": exception.feature.as_str(),
        "effect": exception.effect.as_str(),
        "value": exception.effect.value(),
        "standing": standing(exception, at),
        "starts_at": format_time(exception.starts_at),
        "ends_at": exception.ends_at.map(format_time),
        "permanent": exception.ends_at.is_none(),
        "reason": exception.reason,
        "ticket": exception.ticket,
        "created_by": exception.created_by,
        "revoked_at": exception.revoked_at.map(format_time),
    })
}
