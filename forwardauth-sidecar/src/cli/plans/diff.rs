//! `tiergate plans diff`: what new plans give and take, per tier, and from which tenants.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use entitlements::{Catalog, OrphanedLicense, PlanChange, TenantStatus, orphans};
use serde_json::{Value as Json, json};

use super::super::store::now;
use super::super::table::table;
use super::super::{CliError, Outcome};
use super::StoreOf;

/// Which plans follow which.
#[derive(Args, Debug)]
pub(super) struct Diff {
    /// The plans as they are.
    old: PathBuf,
    /// The plans as they are to be.
    new: PathBuf,
    #[command(flatten)]
    store: StoreOf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What changes, for offers and, where a store was named, for tenants.
struct Found {
    offers: Vec<PlanChange>,
    tenants: Option<Vec<PlanChange>>,
    orphans: Vec<OrphanedLicense>,
}

pub(super) async fn run(args: &Diff, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let (old, new) = (super::read(&args.old)?, super::read(&args.new)?);
    let found = find(&old, &new, &args.store).await?;
    if args.json {
        let answer = json!({
            "old": old.digest(),
            "new": new.digest(),
            "lost": found.lost(),
            "offers": found.offers.iter().map(change_json).collect::<Vec<_>>(),
            "tenants": found
                .tenants
                .as_ref()
                .map(|changes| changes.iter().map(change_json).collect::<Vec<_>>()),
            "orphaned": found.orphans.iter().map(orphan_json).collect::<Vec<_>>(),
        });
        writeln!(out, "{answer:#}")?;
    } else {
        print_text(&found, out)?;
    }
    Ok(if found.lost() { Outcome::No } else { Outcome::Yes }.into())
}

async fn find(old: &Catalog, new: &Catalog, store: &StoreOf) -> Result<Found, CliError> {
    let mut found = Found { offers: old.changes_to(new), tenants: None, orphans: Vec::new() };
    let at = now();
    let Some(records) = store.tenants(at).await? else { return Ok(found) };
    let mut tenants = Vec::new();
    for record in records.iter().filter(|record| record.status != TenantStatus::Closed) {
        tenants.extend(old.changes_for(new, record, at));
        // What the old plans did not know either is not lost by the new ones.
        let before = orphans(old, record, at);
        let orphaned = orphans(new, record, at).into_iter();
        found.orphans.extend(orphaned.filter(|orphan| !before.contains(orphan)));
    }
    found.tenants = Some(tenants);
    Ok(found)
}

impl Found {
    fn lost(&self) -> bool {
        let tenants = self.tenants.iter().flatten();
        self.offers.iter().chain(tenants).any(|change| change.loss) || !self.orphans.is_empty()
    }
}

fn print_text(found: &Found, out: &mut dyn Write) -> Result<(), CliError> {
    if found.offers.is_empty() {
        writeln!(out, "the plans mean the same")?;
    } else {
        rows(out, "OFFER", &found.offers)?;
    }
    if let Some(tenants) = &found.tenants {
        writeln!(out)?;
        if tenants.is_empty() {
            writeln!(out, "no tenant of the store gains or loses anything as of now")?;
        } else {
            rows(out, "TENANT", tenants)?;
        }
    }
    for orphan in &found.orphans {
        writeln!(out, "{}", orphan_text(orphan))?;
    }
    if found.lost() {
        writeln!(out, "something is lost")?;
    }
    Ok(())
}

fn rows(out: &mut dyn Write, whose: &str, changes: &[PlanChange]) -> Result<(), CliError> {
    let mut rows = vec![["", whose, "WHAT", "OLD", "NEW"].map(str::to_owned).to_vec()];
    rows.extend(changes.iter().map(|change| {
        vec![
            if change.loss { "loses" } else { "gains" }.to_owned(),
            change.whose.clone(),
            change.what.clone(),
            change.old.clone().unwrap_or_else(|| "-".to_owned()),
            change.new.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }));
    Ok(table(out, &rows)?)
}

fn change_json(change: &PlanChange) -> Json {
    json!({
        "whose": change.whose,
        "what": change.what,
        "old": change.old,
        "new": change.new,
        "loss": change.loss,
    })
}

/// A license that the plans do not know, with the remedy.
pub(super) fn orphan_text(orphan: &OrphanedLicense) -> String {
    format!(
        "tenant `{}` has license `{}` ({} {}), which these plans do not know; keep the name, as in \
         `[aliases]` for a tier, or revoke the license first",
        orphan.tenant, orphan.license, orphan.kind, orphan.plan
    )
}

pub(super) fn orphan_json(orphan: &OrphanedLicense) -> Json {
    json!({
        "tenant": orphan.tenant,
        "license": orphan.license,
        "kind": orphan.kind.as_str(),
        "plan": orphan.plan,
    })
}
