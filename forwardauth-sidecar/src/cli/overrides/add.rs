//! `tiergate override add`: with a reason, an end or none on purpose, and values that the plans know.

use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{ArgGroup, Args};
use entitlements::store::Change;
use entitlements::{Effect, Feature, FeatureKey, Override, TenantId, format_time};
use serde_json::json;

use super::super::store::{Desk, new_id, now, time, whole_second};
use super::super::{CliError, Outcome, effect};
use super::override_json;

#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("effect").required(true).args(["raise", "set", "deny"])),
    group(ArgGroup::new("until").required(true).args(["ends", "permanent"]))
)]
pub(super) struct Add {
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
    #[arg(long, value_name = "RFC3339", value_parser = time)]
    starts: Option<SystemTime>,
    /// The first moment it no longer holds.
    #[arg(long, value_name = "RFC3339", value_parser = time)]
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

pub(super) async fn add(
    desk: &Desk,
    wanted: Add,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
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
    let receipt = match desk.apply(&change).await {
        Ok(receipt) => receipt,
        Err(error) => return Err(with_what_is_in_the_way(desk, &tenant, &exception, error).await),
    };
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

/// A refusal because of others in that time, with their names: they are what has to be revoked.
async fn with_what_is_in_the_way(
    desk: &Desk,
    tenant: &TenantId,
    new: &Override,
    refusal: CliError,
) -> CliError {
    if !refusal.to_string().contains("is in force in that time") {
        return refusal;
    }
    // Whoever revoked it meanwhile is told the refusal alone.
    let Ok(record) = desk.tenant(tenant, now()).await else { return refusal };
    let mut others: Vec<_> = record.overrides.iter().filter(|old| overlap(old, new)).collect();
    if others.is_empty() {
        return refusal;
    }
    others.sort_by_key(|old| old.starts_at);
    let told = others.iter().map(|old| {
        let until = old
            .ends_at
            .map_or_else(|| "for good".to_owned(), |end| format!("until {}", format_time(end)));
        format!("{} holds from {} {until}", old.id, format_time(old.starts_at))
    });
    CliError::usage(format!(
        "an override with this effect is in force in that time: {}; revoke {} first",
        told.collect::<Vec<_>>().join(", "),
        if others.len() == 1 { "it" } else { "them" }
    ))
}

/// True for what a store refuses beside each other.
fn overlap(old: &Override, new: &Override) -> bool {
    old.feature == new.feature
        && old.effect.as_str() == new.effect.as_str()
        && old.revoked_at.is_none()
        && new.ends_at.is_none_or(|end| old.starts_at < end)
        && old.ends_at.is_none_or(|end| new.starts_at < end)
}
