//! `tiergate tenant`: who is served, and which organizations name them.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use entitlements::store::{Change, Mode, Organization};
use entitlements::{Catalog, EntitlementSet, TenantId, TenantStatus, format_time, resolve};
use serde_json::{Value as Json, json};

use super::license::{license_json, license_rows, value_json};
use super::store::{Desk, StoreArgs, failed, now, other_plans};
use super::table::{table, visible};
use super::{CliError, Outcome};

/// What to do with tenants.
#[derive(Args, Debug)]
pub struct TenantArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Adds a tenant, and the organization that names it.
    Add {
        /// Its id: 1 to 63 of `a-z`, `0-9` and `-`, never used before.
        id: TenantId,
        /// The issuer of the organization, exactly as in `iss`.
        #[arg(long, requires = "organization")]
        issuer: Option<String>,
        /// The organization's id at that issuer.
        #[arg(long, requires = "issuer")]
        organization: Option<String>,
        /// The name for people; the id unless another one is given.
        #[arg(long)]
        name: Option<String>,
    },
    /// Lets one more organization name a tenant.
    Map {
        /// The tenant.
        id: TenantId,
        /// The issuer of the organization, exactly as in `iss`.
        #[arg(long)]
        issuer: String,
        /// The organization's id at that issuer.
        #[arg(long)]
        organization: String,
    },
    /// Takes an organization from its tenant.
    Unmap {
        /// The issuer of the organization, exactly as in `iss`.
        #[arg(long)]
        issuer: String,
        /// The organization's id at that issuer.
        #[arg(long)]
        organization: String,
    },
    /// Lists the tenants.
    List,
    /// Shows a tenant: its state, features, licenses and organizations.
    Show {
        /// The tenant.
        id: TenantId,
    },
    /// Serves a tenant no longer, until it is activated again.
    Suspend {
        /// The tenant.
        id: TenantId,
        /// Why, for the log, `explain` and the audit; callers are only told that it is so.
        #[arg(long, default_value = "suspended by hand")]
        reason: String,
    },
    /// Serves a suspended tenant again.
    Activate {
        /// The tenant.
        id: TenantId,
    },
    /// Closes a tenant for good; its id is never used again.
    Close {
        /// The tenant.
        id: TenantId,
        /// Why, for the log, `explain` and the audit; callers are only told that it is so.
        #[arg(long, default_value = "closed by hand")]
        reason: String,
    },
}

/// Runs the command.
///
/// # Errors
///
/// If the store cannot be used, refuses the change, or the output cannot be written.
pub async fn run(args: TenantArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let mode = match args.command {
        Command::List | Command::Show { .. } => Mode::ReadOnly,
        _ => Mode::ReadWrite,
    };
    let desk = args.store.open(mode).await?;
    match args.command {
        Command::Add { id, issuer, organization, name } => {
            let organizations: Vec<_> = issuer
                .zip(organization)
                .map(|(issuer, id)| Organization { issuer, id })
                .into_iter()
                .collect();
            let name = name.unwrap_or_else(|| id.to_string());
            let done = match organizations.first() {
                Some(organization) => {
                    format!("added tenant `{id}`, named by organization {organization}")
                }
                None => format!(
                    "added tenant `{id}`; no organization names it yet: `tiergate tenant map`"
                ),
            };
            change(&desk, out, Change::AddTenant { id, name, organizations }, done).await
        }
        Command::Map { id, issuer, organization } => {
            let organization = Organization { issuer, id: organization };
            let done = format!("organization {organization} names tenant `{id}`");
            change(&desk, out, Change::MapOrganization { tenant: id, organization }, done).await
        }
        Command::Unmap { issuer, organization } => {
            let organization = Organization { issuer, id: organization };
            let done = format!("organization {organization} names no tenant any more");
            change(&desk, out, Change::UnmapOrganization { organization }, done).await
        }
        Command::List => list(&desk, out).await,
        Command::Show { id } => show(&desk, &id, out).await,
        Command::Suspend { id, reason } => {
            let done = format!("tenant `{id}` is suspended");
            status(&desk, out, id, TenantStatus::Suspended, Some(reason), done).await
        }
        Command::Activate { id } => {
            let done = format!("tenant `{id}` is active");
            status(&desk, out, id, TenantStatus::Active, None, done).await
        }
        Command::Close { id, reason } => {
            let done = format!("tenant `{id}` is closed");
            status(&desk, out, id, TenantStatus::Closed, Some(reason), done).await
        }
    }
}

async fn status(
    desk: &Desk,
    out: &mut dyn Write,
    tenant: TenantId,
    status: TenantStatus,
    reason: Option<String>,
    done: String,
) -> Result<ExitCode, CliError> {
    change(desk, out, Change::SetTenantStatus { tenant, status, reason }, done).await
}

async fn change(
    desk: &Desk,
    out: &mut dyn Write,
    change: Change,
    done: String,
) -> Result<ExitCode, CliError> {
    let receipt = desk.apply(&change).await?;
    let organization = match &change {
        Change::AddTenant { organizations, .. } => organizations.first(),
        Change::MapOrganization { organization, .. } => Some(organization),
        _ => None,
    };
    let note = organization.and_then(|organization| desk.doubt(&organization.issuer));
    let json = json!({
        "action": change.action(),
        "tenant": receipt.tenant,
        "revision": receipt.revision,
        "note": note,
    });
    desk.print(out, &json, |out| {
        writeln!(out, "{} (revision {})", visible(&done), receipt.revision)?;
        note.iter().try_for_each(|note| writeln!(out, "note: {note}"))
    })?;
    Ok(Outcome::Yes.into())
}

async fn list(desk: &Desk, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let tenants = desk.store.tenants().await.map_err(|error| failed(&error))?;
    let json = tenants.iter().map(|tenant| {
        json!({
            "tenant": tenant.id,
            "name": tenant.name,
            "status": tenant.status.as_str(),
            "revision": tenant.revision,
            "created_at": format_time(tenant.created_at),
        })
    });
    let json = Json::Array(json.collect());
    desk.print(out, &json, |out| {
        let header = ["TENANT", "STATUS", "REVISION", "ADDED", "NAME"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(tenants.iter().map(|tenant| {
            vec![
                tenant.id.to_string(),
                tenant.status.to_string(),
                tenant.revision.to_string(),
                format_time(tenant.created_at),
                tenant.name.clone(),
            ]
        }));
        table(out, &rows)
    })?;
    Ok(Outcome::Yes.into())
}

async fn show(desk: &Desk, id: &TenantId, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let at = now();
    let record = desk.tenant(id, at).await?;
    let organizations = desk.store.organizations(id).await.map_err(|error| failed(&error))?;
    // Without plans there are still rows to show.
    let set = desk.catalog().ok().map(|catalog: &Catalog| resolve(catalog, &record, at));
    let note = match desk.catalog() {
        Ok(catalog) => other_plans(desk.store.as_ref(), catalog).await,
        Err(_) => None,
    };
    let json = json!({
        "tenant": record.id,
        "name": record.name,
        "status": record.status.as_str(),
        "status_reason": record.status_reason,
        "note": note,
        "revision": record.revision,
        "organizations": organizations
            .iter()
            .map(|organization| json!({ "issuer": organization.issuer, "organization": organization.id }))
            .collect::<Vec<_>>(),
        "licenses": record
            .licenses
            .iter()
            .map(|license| license_json(&record.id, license, at))
            .collect::<Vec<_>>(),
        "state": set.as_ref().map(|set| set.state().as_str()),
        "tier": set.as_ref().and_then(EntitlementSet::tier),
        "valid_until": set.as_ref().and_then(EntitlementSet::valid_until).map(format_time),
        "features": set.as_ref().map(|set| {
            let features = set.features().map(|(key, value)| (key.to_string(), value_json(value)));
            Json::Object(features.collect())
        }),
    });
    desk.print(out, &json, |out| {
        writeln!(out, "tenant    {} ({})", record.id, visible(&record.name))?;
        let reason = record.status_reason.as_ref().map(|reason| format!(" ({})", visible(reason)));
        writeln!(out, "status    {}{}", record.status, reason.unwrap_or_default())?;
        if let Some(set) = &set {
            writeln!(out, "state     {}", set.state())?;
            writeln!(out, "tier      {}", set.tier().unwrap_or("-"))?;
            let until = set.valid_until().map_or_else(|| "-".to_owned(), format_time);
            writeln!(out, "changes   {until}")?;
        }
        writeln!(out, "revision  {}", record.revision)?;
        if let Some(note) = &note {
            writeln!(out, "note      {note}")?;
        }
        for organization in &organizations {
            writeln!(out, "named by  {}", visible(&organization.to_string()))?;
        }
        if let Some(set) = &set {
            writeln!(out)?;
            let mut rows = vec![["FEATURE", "VALUE", "FROM"].map(str::to_owned).to_vec()];
            rows.extend(
                set.explain().iter().map(|row| {
                    vec![row.feature.to_string(), row.value.to_string(), row.from.clone()]
                }),
            );
            table(out, &rows)?;
        }
        if !record.licenses.is_empty() {
            writeln!(out)?;
            table(
                out,
                &license_rows(record.licenses.iter().map(|license| (&record.id, license)), at),
            )?;
        }
        Ok(())
    })?;
    Ok(Outcome::Yes.into())
}
