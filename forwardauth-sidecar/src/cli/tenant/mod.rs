//! `tiergate tenant`: who is served, and which organizations name them.

mod show;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use entitlements::store::{Change, Mode, Organization};
use entitlements::{TenantId, TenantStatus, format_time};
use serde_json::{Value as Json, json};

use self::show::show;
use super::store::{Desk, StoreArgs, failed};
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
    /// Shows a tenant: its state and what comes next, features, licenses, exceptions, organizations.
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
