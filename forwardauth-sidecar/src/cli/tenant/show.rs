//! `tiergate tenant show`: everything about one tenant, and what comes next.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use entitlements::store::Organization;
use entitlements::{EntitlementSet, TenantId, TenantRecord, format_time, resolve};
use serde_json::{Value as Json, json};

use super::super::license::{license_json, license_rows, plan_and_digest, value_json};
use super::super::overrides::{override_json, override_rows, to_come};
use super::super::store::{Desk, failed, now, other_plans};
use super::super::table::{table, visible};
use super::super::{CliError, Outcome};

/// What is known of a tenant.
struct Shown {
    record: TenantRecord,
    organizations: Vec<Organization>,
    at: SystemTime,
    /// What the rows give; without plans there are still rows to show.
    set: Option<EntitlementSet>,
    /// What they give from the next boundary on, if there is one.
    next: Option<(SystemTime, EntitlementSet)>,
    note: Option<String>,
}

pub(super) async fn show(
    desk: &Desk,
    id: &TenantId,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let at = now();
    let record = desk.tenant(id, at).await?;
    let organizations = desk.store.organizations(id).await.map_err(|error| failed(&error))?;
    let catalog = desk.catalog().ok();
    let set = catalog.map(|catalog| resolve(catalog, &record, at));
    let until = set.as_ref().and_then(EntitlementSet::valid_until);
    let next = catalog.zip(until).map(|(catalog, at)| (at, resolve(catalog, &record, at)));
    let note = match catalog {
        Some(catalog) => other_plans(desk.store.as_ref(), catalog).await,
        None => None,
    };
    let shown = Shown { record, organizations, at, set, next, note };
    desk.print(out, &shown.json(), |out| shown.text(out))?;
    Ok(Outcome::Yes.into())
}

impl Shown {
    fn json(&self) -> Json {
        let Self { record, at, .. } = self;
        let (set, next) = (self.set.as_ref(), self.next.as_ref());
        let organization =
            |it: &Organization| json!({ "issuer": it.issuer, "organization": it.id });
        let features = |set: &EntitlementSet| {
            let features = set.features().map(|(key, value)| (key.to_string(), value_json(value)));
            Json::Object(features.collect())
        };
        json!({
            "tenant": record.id,
            "name": record.name,
            "status": record.status.as_str(),
            "status_reason": record.status_reason,
            "note": self.note,
            "revision": record.revision,
            "organizations": self.organizations.iter().map(organization).collect::<Vec<_>>(),
            "licenses": record
                .licenses
                .iter()
                .map(|license| license_json(&record.id, license, *at))
                .collect::<Vec<_>>(),
            "overrides": to_come(record, *at)
                .map(|exception| override_json(&record.id, exception, *at))
                .collect::<Vec<_>>(),
            "state": set.map(|set| set.state().as_str()),
            "tier": set.and_then(EntitlementSet::tier),
            "valid_until": next.map(|(at, _)| format_time(*at)),
            "next_state": next.map(|(_, set)| set.state().as_str()),
            "next_tier": next.and_then(|(_, set)| set.tier()),
            "features": set.map(features),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { record, at, .. } = self;
        writeln!(out, "tenant    {} ({})", record.id, visible(&record.name))?;
        let reason = record.status_reason.as_ref().map(|reason| format!(" ({})", visible(reason)));
        writeln!(out, "status    {}{}", record.status, reason.unwrap_or_default())?;
        if let Some(set) = &self.set {
            writeln!(out, "state     {}", set.state())?;
            writeln!(out, "tier      {}", set.tier().unwrap_or("-"))?;
            let changes = self.next.as_ref().map_or_else(
                || "-".to_owned(),
                |(at, next)| format!("{}, then {}", format_time(*at), then(set, next)),
            );
            writeln!(out, "changes   {changes}")?;
        }
        writeln!(out, "revision  {}", record.revision)?;
        if let Some(note) = &self.note {
            writeln!(out, "note      {note}")?;
        }
        for organization in &self.organizations {
            writeln!(out, "named by  {}", visible(&organization.to_string()))?;
        }
        if let Some(set) = &self.set {
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
            let licenses = record.licenses.iter().map(|license| (&record.id, license));
            table(out, &license_rows(licenses, *at, plan_and_digest))?;
        }
        if to_come(record, *at).next().is_some() {
            writeln!(out)?;
            let overrides = to_come(record, *at).map(|exception| (&record.id, exception));
            table(out, &override_rows(overrides, *at))?;
        }
        Ok(())
    }
}

/// What a tenant is from a boundary on, by what matters most: a boundary may also change nothing.
fn then(now: &EntitlementSet, next: &EntitlementSet) -> String {
    if next.state() != now.state() {
        return next.state().to_string();
    }
    if next.tier() != now.tier() {
        return next.tier().map_or_else(|| "no tier".to_owned(), |tier| format!("tier {tier}"));
    }
    let same = next.features().eq(now.features());
    if same { "the same values" } else { "other values" }.to_owned()
}
