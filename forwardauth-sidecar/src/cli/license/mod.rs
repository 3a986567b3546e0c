//! `tiergate license`: what a tenant has bought, tries or was given, and until when.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use entitlements::store::{Change, Mode};
use entitlements::{
    Catalog, InvalidDuration, License, LicenseKind, LicenseSource, Pin, TenantId, Value,
    format_duration, format_time, parse_duration,
};
use serde_json::{Value as Json, json};

use super::store::{Desk, StoreArgs, failed, new_id, now, table, whole_second};
use super::{CliError, Outcome};

/// What to do with licenses.
#[derive(Args, Debug)]
pub struct LicenseArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Grants a license.
    Grant(Grant),
    /// Revokes a license for good.
    Revoke(Target),
    /// Lets a license not count until it is resumed.
    Suspend(Target),
    /// Lets a suspended license count again.
    Resume(Target),
    /// Lists the licenses of a tenant, or of all.
    List {
        /// The tenant.
        tenant: Option<TenantId>,
    },
}

#[derive(Args, Debug)]
struct Grant {
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
    #[arg(long, value_name = "RFC3339", value_parser = super::store::time)]
    starts: Option<SystemTime>,
    /// The first moment it no longer holds; without it, the license has no end.
    #[arg(long, value_name = "RFC3339", value_parser = super::store::time)]
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
    /// The name that the license has at its source: granting it again changes nothing.
    #[arg(long, value_name = "REF", requires = "source")]
    source_ref: Option<String>,
}

#[derive(Args, Debug)]
struct Target {
    /// The license, as in `lic_...`; or a tenant with a single license that this can be done to.
    license: String,
    /// Why, for the log, `explain` and the audit; callers are only told that it is so.
    #[arg(long, default_value = "by hand")]
    reason: String,
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

/// Runs the command.
///
/// # Errors
///
/// If the store cannot be used, refuses the change, or the output cannot be written.
pub async fn run(args: LicenseArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let mode = match args.command {
        Command::List { .. } => Mode::ReadOnly,
        _ => Mode::ReadWrite,
    };
    let desk = args.store.open(mode).await?;
    match args.command {
        Command::Grant(wanted) => grant(&desk, wanted, out).await,
        Command::Revoke(target) => {
            let id = one(&desk, &target.license, |license| license.revoked_at.is_none()).await?;
            let change = Change::RevokeLicense { license: id.clone(), reason: target.reason };
            change_license(&desk, out, &id, change, "revoked").await
        }
        Command::Suspend(target) => {
            let free = |it: &License| it.revoked_at.is_none() && it.suspended_at.is_none();
            let id = one(&desk, &target.license, free).await?;
            let change = Change::SuspendLicense { license: id.clone(), reason: target.reason };
            change_license(&desk, out, &id, change, "suspended").await
        }
        Command::Resume(target) => {
            let held = |it: &License| it.revoked_at.is_none() && it.suspended_at.is_some();
            let id = one(&desk, &target.license, held).await?;
            let change = Change::ResumeLicense { license: id.clone() };
            change_license(&desk, out, &id, change, "resumed").await
        }
        Command::List { tenant } => list(&desk, tenant, out).await,
    }
}

async fn grant(desk: &Desk, wanted: Grant, out: &mut dyn Write) -> Result<ExitCode, CliError> {
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
        let published = desk.store.publish(catalog, desk.actor(), at).await;
        published.map_err(|error| failed(&error))?;
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
    desk.print(out, &json, |out| {
        let until = match license.ends_at {
            Some(end) => format!("until {}, grace {}", format_time(end), format_duration(grace)),
            None => "without an end".to_owned(),
        };
        writeln!(
            out,
            "granted {} ({} {}) to tenant `{}` from {} {until} (revision {})",
            license.id,
            license.kind,
            license.plan,
            wanted.tenant,
            format_time(starts_at),
            receipt.revision
        )?;
        if !license.standing(at).is_usable() {
            writeln!(out, "note: it is {} as of now", license.standing(at))?;
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
    desk.store.license_from(source, reference).await.map_err(|error| failed(&error))
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

/// The license that is meant: by its id, or as the only fitting one of a tenant.
async fn one(desk: &Desk, name: &str, fits: impl Fn(&License) -> bool) -> Result<String, CliError> {
    if desk.store.license(name).await.map_err(|error| failed(&error))?.is_some() {
        return Ok(name.to_owned());
    }
    let Ok(tenant) = name.parse::<TenantId>() else {
        return Err(CliError::usage(format!(
            "there is no license `{}`; `tiergate license list` names them",
            name.escape_debug()
        )));
    };
    let record = desk.tenant(&tenant).await?;
    let fitting: Vec<_> = record.licenses.iter().filter(|license| fits(license)).collect();
    match fitting.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => Err(CliError::usage(format!(
            "tenant `{tenant}` has no license that this can be done to"
        ))),
        several => {
            let names: Vec<_> = several
                .iter()
                .map(|license| format!("`{}` ({})", license.id, license.plan))
                .collect();
            let names = names.join(", ");
            Err(CliError::usage(format!(
                "tenant `{tenant}` has several licenses; name one of {names}"
            )))
        }
    }
}

async fn change_license(
    desk: &Desk,
    out: &mut dyn Write,
    id: &str,
    change: Change,
    done: &str,
) -> Result<ExitCode, CliError> {
    let receipt = desk.apply(&change).await?;
    let json = json!({
        "action": change.action(),
        "license": id,
        "tenant": receipt.tenant,
        "revision": receipt.revision,
    });
    desk.print(out, &json, |out| {
        let tenant = &receipt.tenant;
        writeln!(out, "{done} {id} of tenant `{tenant}` (revision {})", receipt.revision)
    })?;
    Ok(Outcome::Yes.into())
}

async fn list(
    desk: &Desk,
    tenant: Option<TenantId>,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let at = now();
    let mut records = Vec::new();
    if let Some(id) = &tenant {
        records.push(desk.tenant(id).await?);
    } else {
        records = desk.tenants().await?;
    }
    let all = || {
        records
            .iter()
            .flat_map(|record| record.licenses.iter().map(|license| (&record.id, license)))
    };
    let json =
        Json::Array(all().map(|(tenant, license)| license_json(tenant, license, at)).collect());
    desk.print(out, &json, |out| table(out, &license_rows(all(), at)))?;
    Ok(Outcome::Yes.into())
}

/// Licenses as rows of a table, with its header.
pub(super) fn license_rows<'a>(
    licenses: impl Iterator<Item = (&'a TenantId, &'a License)>,
    at: SystemTime,
) -> Vec<Vec<String>> {
    let header = ["LICENSE", "TENANT", "KIND", "PLAN", "STANDING", "STARTS", "ENDS", "GRACE"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(licenses.map(|(tenant, license)| {
        vec![
            license.id.clone(),
            tenant.to_string(),
            license.kind.to_string(),
            license.plan.clone(),
            license.standing(at).to_string(),
            format_time(license.starts_at),
            license.ends_at.map_or_else(|| "-".to_owned(), format_time),
            format_duration(license.effective_grace()),
        ]
    }));
    rows
}

/// A license as JSON.
pub(super) fn license_json(tenant: &TenantId, license: &License, at: SystemTime) -> Json {
    json!({
        "license": license.id,
        "tenant": tenant,
        "kind": license.kind.as_str(),
        "plan": license.plan,
        "standing": license.standing(at).as_str(),
        "starts_at": format_time(license.starts_at),
        "ends_at": license.ends_at.map(format_time),
        "grace": format_duration(license.effective_grace()),
        "quantity": license.quantity,
        "catalog": license.pin.as_ref().map(|pin| &pin.digest),
        "suspended_at": license.suspended_at.map(format_time),
        "revoked_at": license.revoked_at.map(format_time),
        "reason": license.status_reason,
        "source": license.source.as_str(),
        "source_ref": license.source_ref,
        "created_at": format_time(license.created_at),
        "created_by": license.created_by,
    })
}

/// A feature's value as JSON: `true`, `false`, a level's name or a number.
pub(super) fn value_json(value: &Value) -> Json {
    match value {
        Value::Switch(on) => json!(on),
        Value::Level { name, .. } => json!(&**name),
        Value::Number(number) => json!(number),
    }
}

fn duration(text: &str) -> Result<Duration, InvalidDuration> {
    parse_duration(text)
}
