//! `tiergate license grant`: once for each name that a source gives it, however often it is asked.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use entitlements::store::Change;
use entitlements::{
    Catalog, InvalidDuration, License, LicenseKind, LicenseSource, Pin, TenantId, format_duration,
    format_time, parse_duration,
};
use serde_json::json;

use super::super::store::{Desk, failed, new_id, now, time, whole_second};
use super::super::{CliError, Outcome, effect};
use super::license_json;

#[derive(Args, Debug)]
pub(super) struct Grant {
    /// The tenant.
    tenant: TenantId,
    /// The tier of the plans file.
    #[arg(long, required_unless_present = "addon", conflicts_with = "addon")]
    tier: Option<String>,
    /// The add-on of the plans file, beside a tier.
    #[arg(long)]
    addon: Option<String>,
    /// How often the add-on was bought.
    #[arg(long, requires = "addon", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    quantity: u32,
    /// The first moment it holds, in RFC 3339; now unless another one is given.
    #[arg(long, value_name = "RFC3339", value_parser = time)]
    starts: Option<SystemTime>,
    /// The first moment it no longer holds; without it, the license has no end.
    #[arg(long, value_name = "RFC3339", value_parser = time)]
    ends: Option<SystemTime>,
    /// It is a trial: it needs an end and has no grace.
    #[arg(long, requires = "ends", conflicts_with_all = ["addon", "grace"])]
    trial: bool,
    /// How long it goes on after its end, as in `7d`; the plans' grace unless given.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    grace: Option<Duration>,
    /// Keep to the plans as they are now, whatever later plans say.
    #[arg(long)]
    pin: bool,
    /// Where the license comes from, if not from a person; it needs a name there.
    #[arg(long, requires = "source_ref", value_parser = ["billing", "import"])]
    source: Option<String>,
    /// The name that the license has at its source: granting it again changes nothing, and granting
    /// it with another end or plan is refused, never merged: revoke it, and grant a new name.
    #[arg(long, value_name = "REF", requires = "source")]
    source_ref: Option<String>,
}

impl Grant {
    /// The kind of license, and its plan as the command line names it.
    fn named(&self) -> (LicenseKind, &str) {
        match (&self.addon, &self.tier) {
            (Some(addon), _) => (LicenseKind::Addon, addon),
            (None, tier) => {
                let kind = if self.trial { LicenseKind::Trial } else { LicenseKind::Base };
                (kind, tier.as_deref().unwrap_or_default())
            }
        }
    }
}

/// Grants it, or says that it was granted before.
pub(super) async fn grant(
    desk: &Desk,
    wanted: Grant,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let catalog = desk.catalog()?;
    let at = now();
    let source = match &wanted.source {
        Some(word) => word.parse().map_err(|error| CliError::usage(format!("{error}")))?,
        None => LicenseSource::Manual,
    };
    // Before the plan is looked up: what was granted stays granted when its tier is sold no more.
    if let Some(reference) = &wanted.source_ref
        && let Some((tenant, license)) = known(desk, source, reference).await?
    {
        return granted_before(desk, &wanted, (&tenant, &license), out);
    }
    let (kind, plan) = plan(catalog, &wanted)?;
    // A whole second reads better, and the past one is never later than now. A license that begins
    // as it is made says so by both times being one.
    let created_at = whole_second(at);
    let starts_at = wanted.starts.unwrap_or(created_at);
    if let Some(end) = wanted.ends
        && end <= starts_at
    {
        return Err(CliError::usage(format!(
            "`--ends` is {}, not after the start {}; give a later end",
            format_time(end),
            format_time(starts_at)
        )));
    }
    if wanted.pin {
        // A pin is about one license: which plans are current is not changed by it.
        let kept = desk.store.keep(catalog, desk.actor(), at).await;
        kept.map_err(|error| failed(&error))?;
    }
    let grace = match kind {
        LicenseKind::Trial => Duration::ZERO,
        LicenseKind::Base | LicenseKind::Addon => {
            wanted.grace.unwrap_or_else(|| catalog.terms().grace)
        }
    };
    let license = License {
        id: new_id("lic"),
        kind,
        plan,
        pin: wanted
            .pin
            .then(|| Pin { digest: catalog.digest().to_owned(), catalog: Some(catalog.clone()) }),
        quantity: wanted.quantity,
        starts_at,
        ends_at: wanted.ends,
        grace,
        suspended_at: None,
        revoked_at: None,
        status_reason: None,
        source,
        source_ref: wanted.source_ref.clone(),
        created_at,
        created_by: desk.actor().name.clone(),
    };
    let change = Change::GrantLicense { tenant: wanted.tenant.clone(), license: license.clone() };
    let receipt = match desk.apply(&change).await {
        Ok(receipt) => receipt,
        Err(error) => {
            // Somebody else may have imported the same license in between.
            if let Some(reference) = &license.source_ref
                && let Some((tenant, first)) = known(desk, source, reference).await?
            {
                return granted_before(desk, &wanted, (&tenant, &first), out);
            }
            return Err(error);
        }
    };
    let mut json = license_json(&wanted.tenant, &license, at);
    json["revision"] = json!(receipt.revision);
    json["changed"] = json!(true);
    let note = effect::note(desk, &wanted.tenant, &license.id, starts_at.max(at)).await;
    if let Some(note) = &note {
        json["note"] = json!(note);
    }
    desk.print(out, &json, |out| {
        let until = match license.ends_at {
            Some(end) => format!("until {}, grace {}", format_time(end), format_duration(grace)),
            None => "without an end".to_owned(),
        };
        writeln!(
            out,
            "granted {} ({} {}{}) to tenant `{}` from {} {until} (revision {})",
            license.id,
            license.kind,
            license.plan,
            if license.pin.is_some() { ", pinned" } else { "" },
            wanted.tenant,
            format_time(starts_at),
            receipt.revision
        )?;
        if !license.standing(at).is_usable() {
            writeln!(out, "note: it is {} as of now", license.standing(at))?;
        }
        if let Some(note) = &note {
            writeln!(out, "note: {note}")?;
        }
        Ok(())
    })?;
    Ok(Outcome::Yes.into())
}

async fn known(
    desk: &Desk,
    source: LicenseSource,
    reference: &str,
) -> Result<Option<(TenantId, License)>, CliError> {
    let found = desk.store.license_from(source, reference).await;
    let Some((tenant, license)) = found.map_err(|error| failed(&error))? else { return Ok(None) };
    // Among its tenant's rows it is as the gateway takes it.
    let rows = desk.tenant(&tenant, now()).await?.licenses;
    let license = rows.into_iter().find(|row| row.id == license.id).unwrap_or(license);
    Ok(Some((tenant, license)))
}

/// The license that the source granted before: the same is no change, another one is refused.
///
/// What the command line does not say is not compared: the start, for example, is that of the
/// first grant.
fn granted_before(
    desk: &Desk,
    wanted: &Grant,
    (tenant, license): (&TenantId, &License),
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let (kind, name) = wanted.named();
    // A plan may have got another name since; under either name it is the same one.
    let catalog = desk.catalog()?;
    let same = today(catalog, kind, name) == today(catalog, license.kind, &license.plan);
    let plan = if same { license.plan.as_str() } else { name };
    let end = |end: Option<SystemTime>| end.map_or_else(|| "none".to_owned(), format_time);
    let pinned = |yes: bool| if yes { "pinned" } else { "not pinned" }.to_owned();
    let start = wanted.starts.unwrap_or(license.starts_at);
    let grace = wanted.grace.unwrap_or_else(|| license.effective_grace());
    let pairs = [
        ("tenant", tenant.to_string(), wanted.tenant.to_string()),
        ("kind", license.kind.to_string(), kind.to_string()),
        ("plan", license.plan.clone(), plan.to_owned()),
        ("quantity", license.quantity.to_string(), wanted.quantity.to_string()),
        ("start", format_time(license.starts_at), format_time(start)),
        ("end", end(license.ends_at), end(wanted.ends)),
        ("grace", format_duration(license.effective_grace()), format_duration(grace)),
        ("catalog", pinned(license.pin.is_some()), pinned(wanted.pin)),
    ];
    let reference = license.source_ref.as_deref().unwrap_or_default().escape_debug();
    let source = license.source;
    let differing = pairs.iter().filter(|(_, is, other)| is != other);
    let told: Vec<_> =
        differing.map(|(what, is, other)| format!("{what} is `{is}`, not `{other}`")).collect();
    if !told.is_empty() {
        return Err(CliError::usage(format!(
            "`{reference}` of {source} was granted as {} with other content: {}; revoke it, and \
             grant the new one under a name of its own",
            license.id,
            told.join(", ")
        )));
    }
    let at = now();
    let mut json = license_json(tenant, license, at);
    json["changed"] = json!(false);
    desk.print(out, &json, |out| {
        writeln!(
            out,
            "no change: `{reference}` of {source} is {} of tenant `{tenant}` already, and {}",
            license.id,
            license.standing(at)
        )
    })?;
    Ok(Outcome::Yes.into())
}

/// What a plan is called today; one that is sold no more keeps its name.
fn today<'a>(catalog: &'a Catalog, kind: LicenseKind, name: &'a str) -> &'a str {
    match kind {
        LicenseKind::Addon => name,
        LicenseKind::Base | LicenseKind::Trial => {
            catalog.tier(name).map_or(name, entitlements::Tier::name)
        }
    }
}

/// The plan by its name in the catalog, an alias replaced by what it stands for.
fn plan(catalog: &Catalog, wanted: &Grant) -> Result<(LicenseKind, String), CliError> {
    let known = |names: Vec<&str>| match names.as_slice() {
        [] => "there are none in the plans".to_owned(),
        names => format!("use one of `{}`", names.join("`, `")),
    };
    if let (LicenseKind::Addon, name) = wanted.named() {
        return match catalog.addon(name) {
            Some(addon) => Ok((LicenseKind::Addon, addon.name().to_owned())),
            None => Err(CliError::usage(format!(
                "there is no add-on `{}`; {}",
                name.escape_debug(),
                known(catalog.addons().iter().map(entitlements::Addon::name).collect())
            ))),
        };
    }
    if wanted.quantity != 1 {
        return Err(CliError::usage("`--quantity` counts add-ons; leave it out beside `--tier`"));
    }
    let (kind, name) = wanted.named();
    match catalog.tier(name) {
        Some(tier) => Ok((kind, tier.name().to_owned())),
        None => Err(CliError::usage(format!(
            "there is no tier `{}`; {}",
            name.escape_debug(),
            known(catalog.tiers().iter().map(entitlements::Tier::name).collect())
        ))),
    }
}

fn duration(text: &str) -> Result<Duration, InvalidDuration> {
    parse_duration(text)
}
