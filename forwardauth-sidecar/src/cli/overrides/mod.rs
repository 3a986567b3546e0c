//! `tiergate override`: exceptions for one tenant, with a reason and an end.

use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{ArgGroup, Args, Subcommand};
use entitlements::store::{Change, Mode};
use entitlements::{Effect, Feature, FeatureKey, Override, TenantId, TenantRecord, format_time};
use serde_json::{Value as Json, json};

use super::store::{Desk, StoreArgs, failed, new_id, now, whole_second};
use super::table::table;
use super::{CliError, Outcome, effect};

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

#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("effect").required(true).args(["raise", "set", "deny"])),
    group(ArgGroup::new("until").required(true).args(["ends", "permanent"]))
)]
struct Add {
    /// The tenant.
    tenant: TenantId,
    /// The feature of the plans file.
    feature: FeatureKey,
    /// At least this value: it never takes anything away.
    #[arg(long, value_name = "VALUE")]
    raise: Option<String>,
    /// Exactly this value: it may take something away.
    #[arg(long, value_name = "VALUE")]
    set: Option<String>,
    /// The lowest value, whatever else holds.
    #[arg(long)]
    deny: bool,
    /// The first moment it holds, in RFC 3339; now unless another one is given.
    #[arg(long, value_name = "RFC3339", value_parser = super::store::time)]
    starts: Option<SystemTime>,
    /// The first moment it no longer holds.
    #[arg(long, value_name = "RFC3339", value_parser = super::store::time)]
    ends: Option<SystemTime>,
    /// It has no end: somebody has to revoke it.
    #[arg(long)]
    permanent: bool,
    /// Why, in at least 5 characters that are not blank.
    #[arg(long)]
    reason: String,
    /// Where it was agreed.
    #[arg(long)]
    ticket: Option<String>,
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

async fn add(desk: &Desk, wanted: Add, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let at = now();
    let effect = effect(desk, &wanted)?;
    if wanted.reason.chars().filter(|c| !c.is_whitespace()).count() < 5 {
        return Err(CliError::usage(
            "`--reason` has less than 5 characters that are not blank; say why, so that others can \
             judge it later",
        ));
    }
    let starts_at = wanted.starts.unwrap_or_else(|| whole_second(at));
    if let Some(end) = wanted.ends
        && end <= starts_at.max(at)
    {
        return Err(CliError::usage(format!(
            "`--ends` is {}, so that the override would never hold; give an end after {}",
            format_time(end),
            format_time(starts_at.max(at))
        )));
    }
    let exception = Override {
        id: new_id("ovr"),
        feature: wanted.feature,
        effect,
        starts_at,
        ends_at: wanted.ends,
        reason: wanted.reason.trim().to_owned(),
        ticket: wanted.ticket,
        created_by: desk.actor().name.clone(),
        revoked_at: None,
    };
    let tenant = wanted.tenant;
    let change = Change::AddOverride { tenant: tenant.clone(), exception: exception.clone() };
    let receipt = desk.apply(&change).await?;
    let mut json = override_json(&tenant, &exception, at);
    json["revision"] = json!(receipt.revision);
    let note = effect::note(desk, &tenant, &exception.id, starts_at.max(at)).await;
    if let Some(note) = &note {
        json["note"] = json!(note);
    }
    desk.print(out, &json, |out| {
        let until = exception
            .ends_at
            .map_or_else(|| "for good".to_owned(), |end| format!("until {}", format_time(end)));
        writeln!(
            out,
            "added {}: {} `{}` for tenant `{tenant}` from {} {until} (revision {})",
            exception.id,
            exception.effect,
            exception.feature,
            format_time(starts_at),
            receipt.revision
        )?;
        match &note {
            Some(note) => writeln!(out, "note: {note}"),
            None => Ok(()),
        }
    })?;
    Ok(Outcome::Yes.into())
}

/// What it does, in values that the plans know.
fn effect(desk: &Desk, wanted: &Add) -> Result<Effect, CliError> {
    let catalog = desk.catalog()?;
    let Some(feature) = catalog.feature(&wanted.feature) else {
        let known = catalog.features().iter().map(|feature| feature.key().as_str());
        return Err(CliError::usage(format!(
            "there is no feature `{}`; use one of `{}`",
            wanted.feature,
            known.collect::<Vec<_>>().join("`, `")
        )));
    };
    let known = |text: &str| {
        feature.value(text).ok_or_else(|| {
            CliError::usage(format!(
                "feature `{}` has no value `{}`; use {}",
                feature.key(),
                text.escape_debug(),
                feature.known_values()
            ))
        })
    };
    match (&wanted.raise, &wanted.set) {
        (Some(text), _) if known(text)?.is_lowest() => Err(raises_nothing(feature)),
        (Some(text), _) => Ok(Effect::Raise(text.clone())),
        (None, Some(text)) => known(text).map(|_| Effect::Set(text.clone())),
        (None, None) => Ok(Effect::Deny),
    }
}

fn raises_nothing(feature: &Feature) -> CliError {
    CliError::usage(format!(
        "`{}` is the lowest value of `{}`, which raises nothing; use `--deny` to take it away",
        feature.lowest(),
        feature.key()
    ))
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
            .filter(|(_, exception)| {
                all || matches!(standing(exception, at), "active" | "scheduled")
            })
    };
    let json = Json::Array(shown().map(|(tenant, it)| override_json(tenant, it, at)).collect());
    desk.print(out, &json, |out| {
        let header = [
            "OVERRIDE", "TENANT", "FEATURE", "EFFECT", "STANDING", "STARTS", "ENDS", "BY", "REASON",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(shown().map(|(tenant, it)| {
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
        table(out, &rows)
    })?;
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

fn override_json(tenant: &TenantId, exception: &Override, at: SystemTime) -> Json {
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
