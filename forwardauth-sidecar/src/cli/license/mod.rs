//! `tiergate license`: what a tenant has bought, tries or was given, and until when.

mod grant;

use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use entitlements::store::{Change, Mode};
use entitlements::{License, TenantId, Value, format_duration, format_time};
use serde_json::{Value as Json, json};

use self::grant::{Grant, grant};
use super::store::{Desk, StoreArgs, failed, now, short};
use super::table::table;
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
struct Target {
    /// The license, as in `lic_...`; or a tenant with a single license that this can be done to.
    license: String,
    /// Why, for the log, `explain` and the audit; callers are only told that it is so.
    #[arg(long, default_value = "by hand")]
    reason: String,
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
    let at = now();
    let record = desk.tenant(&tenant, at).await?;
    let fitting: Vec<_> = record.licenses.iter().filter(|license| fits(license)).collect();
    match fitting.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => {
            let why = match record.licenses.as_slice() {
                [] => ": it has none at all".to_owned(),
                [only] => format!(": `{}` ({}) is {}", only.id, only.plan, only.standing(at)),
                _ => format!("; see `tiergate license list {tenant}`"),
            };
            Err(CliError::usage(format!(
                "tenant `{tenant}` has no license that this can be done to{why}"
            )))
        }
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
        records.push(desk.tenant(id, at).await?);
    } else {
        records = desk.tenants(at).await?;
    }
    let all = || {
        records
            .iter()
            .flat_map(|record| record.licenses.iter().map(|license| (&record.id, license)))
    };
    let json =
        Json::Array(all().map(|(tenant, license)| license_json(tenant, license, at)).collect());
    desk.print(out, &json, |out| table(out, &license_rows(all(), at, plan_in_words)))?;
    Ok(Outcome::Yes.into())
}

/// A license's plan, and whether it keeps to the catalog that it was sold under.
fn plan_in_words(license: &License) -> String {
    let pinned = if license.pin.is_some() { " (pinned)" } else { "" };
    format!("{}{pinned}", license.plan)
}

/// The same, with the catalog.
pub(super) fn plan_and_digest(license: &License) -> String {
    match &license.pin {
        Some(pin) => format!("{} (pinned {})", license.plan, short(&pin.digest)),
        None => license.plan.clone(),
    }
}

/// Licenses as rows of a table, with its header.
pub(super) fn license_rows<'a>(
    licenses: impl Iterator<Item = (&'a TenantId, &'a License)>,
    at: SystemTime,
    plan: fn(&License) -> String,
) -> Vec<Vec<String>> {
    let header = ["LICENSE", "TENANT", "KIND", "PLAN", "STANDING", "STARTS", "ENDS", "GRACE"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(licenses.map(|(tenant, license)| {
        vec![
            license.id.clone(),
            tenant.to_string(),
            license.kind.to_string(),
            plan(license),
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
