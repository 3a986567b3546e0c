//! From the text of a file of cases to its cases.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::super::document::{CatalogError, Entry, Node, Source};
use super::super::parse::{declared, known, value};
use super::super::{Addon, Catalog, Tier, check, list};
use super::{Case, STATES};
use crate::model::{
    Effect, License, LicenseKind, LicenseSource, Override, TenantRecord, TenantStatus,
    parse_duration, parse_time,
};

pub(super) fn parse(text: &str, catalog: &Catalog) -> Result<Vec<Case>, CatalogError> {
    let source = Source(text);
    let document = source.read()?;
    let entries = source.entries(document.get_ref());
    known(&entries, &["test"], "the file of cases")?;
    let nodes = match entries.first() {
        Some(entry) => entry.node().list("`test`")?,
        None => Vec::new(),
    };
    if nodes.is_empty() {
        return Err(source.error(
            text.trim_end().len(),
            "there is no case",
            "begin one with `[[test]]`",
        ));
    }
    let cases =
        nodes.iter().map(|node| case(*node, catalog)).collect::<Result<Vec<_>, CatalogError>>()?;
    let names = nodes.iter().copied().zip(cases.iter().map(|case| case.name.as_str()));
    check::once(names, "case")?;
    Ok(cases)
}

/// The fields of a table, each found by its name.
struct Fields<'a> {
    node: Node<'a>,
    entries: Vec<Entry<'a>>,
    what: &'static str,
}

impl<'a> Fields<'a> {
    fn of(node: Node<'a>, keys: &[&str], what: &'static str) -> Result<Self, CatalogError> {
        let entries = node.fields(what)?;
        known(&entries, keys, what)?;
        Ok(Self { node, entries, what })
    }

    fn get(&self, key: &str) -> Option<Node<'a>> {
        self.entries.iter().find(|entry| entry.key == key).map(Entry::node)
    }

    fn required(&self, key: &str, example: &str) -> Result<Node<'a>, CatalogError> {
        self.get(key).ok_or_else(|| {
            let message = format!("{} has no `{key}`", self.what);
            self.node.error(message, format!("add `{example}`"))
        })
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, CatalogError> {
        self.get(key).map(|node| node.text(&format!("`{key}`"))).transpose()
    }

    /// What another reader makes of the text of a field.
    fn read<T, E: ToString>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, CatalogError> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let found = read(node.text(&format!("`{key}`"))?);
        found.map(Some).map_err(|error| node.error(error.to_string(), format!("correct `{key}`")))
    }

    fn time(&self, key: &str) -> Result<Option<SystemTime>, CatalogError> {
        self.read(key, parse_time)
    }

    fn items(&self, key: &str) -> Result<Vec<Node<'a>>, CatalogError> {
        self.get(key).map_or(Ok(Vec::new()), |node| node.list(&format!("`{key}`")))
    }

    /// The period, half-open; without a start it has held since ever.
    fn period(&self) -> Result<(SystemTime, Option<SystemTime>), CatalogError> {
        let start = self.time("starts")?.unwrap_or(SystemTime::UNIX_EPOCH);
        let end = self.time("ends")?;
        match self.get("ends") {
            Some(node) if end.is_some_and(|end| end <= start) => {
                Err(node.error("`ends` is not after `starts`", "give a later end"))
            }
            _ => Ok((start, end)),
        }
    }
}

fn case(node: Node<'_>, catalog: &Catalog) -> Result<Case, CatalogError> {
    let keys = ["name", "now", "tenant", "licenses", "overrides", "state", "tier", "expect"];
    let fields = Fields::of(node, &keys, "the case")?;
    let name = fields.required("name", "name = \"what is promised\"")?.text("`name`")?;
    fields.required("now", "now = \"2026-11-22T12:00:00Z\"")?;
    let now = fields.time("now")?.unwrap_or(SystemTime::UNIX_EPOCH);
    let status = fields.read("tenant", TenantStatus::from_str)?;
    let licenses = fields.items("licenses")?;
    let overrides = fields.items("overrides")?;
    Ok(Case {
        name: name.to_owned(),
        line: node.line(),
        now,
        tenant: TenantRecord {
            id: "case".parse().expect("it is a tenant id"),
            name: name.to_owned(),
            status: status.unwrap_or(TenantStatus::Active),
            status_reason: None,
            revision: 1,
            licenses: numbered(&licenses, |node, id| license(node, id, catalog))?,
            overrides: numbered(&overrides, |node, id| exception(node, id, catalog))?,
        },
        features: expectations(fields.required("expect", "expect = { .. }")?, catalog)?,
        tier: tier(&fields, catalog)?,
        state: state(&fields)?,
    })
}

/// Each item with its number, by which a difference names it.
fn numbered<'a, T>(
    nodes: &[Node<'a>],
    read: impl Fn(Node<'a>, usize) -> Result<T, CatalogError>,
) -> Result<Vec<T>, CatalogError> {
    nodes.iter().enumerate().map(|(index, node)| read(*node, index + 1)).collect()
}

fn license(node: Node<'_>, number: usize, catalog: &Catalog) -> Result<License, CatalogError> {
    let keys = ["plan", "kind", "quantity", "starts", "ends", "grace", "suspended", "revoked"];
    let fields = Fields::of(node, &keys, "the license")?;
    let kind = fields.read("kind", LicenseKind::from_str)?.unwrap_or(LicenseKind::Base);
    let plan = fields.required("plan", "plan = \"NAME\"")?;
    let name = plan.text("`plan`")?;
    let (known, what, names) = match kind {
        LicenseKind::Addon => (
            catalog.addon(name).is_some(),
            "add-on",
            list(catalog.addons().iter().map(Addon::name)),
        ),
        LicenseKind::Base | LicenseKind::Trial => {
            (catalog.tier(name).is_some(), "tier", list(catalog.tiers().iter().map(Tier::name)))
        }
    };
    if !known {
        let message = format!("the plans know no {what} `{}`", name.escape_debug());
        let remedy = if names.is_empty() {
            format!("declare it; there is no {what} at all")
        } else {
            format!("use one of {names}")
        };
        return Err(plan.error(message, remedy));
    }
    let (starts_at, ends_at) = fields.period()?;
    if kind == LicenseKind::Trial && ends_at.is_none() {
        return Err(node.error("a trial has an end", "add `ends = \"2026-12-22T00:00:00Z\"`"));
    }
    if let (Some(node), LicenseKind::Trial) = (fields.get("grace"), kind) {
        return Err(node.error("a trial has no grace", "leave `grace` out"));
    }
    let grace = match kind {
        LicenseKind::Trial => Duration::ZERO,
        _ => fields.read("grace", parse_duration)?.unwrap_or_else(|| catalog.terms().grace),
    };
    Ok(License {
        id: format!("license {number}"),
        kind,
        plan: name.to_owned(),
        pin: None,
        quantity: quantity(&fields, kind)?,
        starts_at,
        ends_at,
        grace,
        suspended_at: fields.time("suspended")?,
        revoked_at: fields.time("revoked")?,
        status_reason: None,
        source: LicenseSource::Manual,
        source_ref: None,
        created_at: starts_at,
        created_by: "the case".to_owned(),
    })
}

fn quantity(fields: &Fields<'_>, kind: LicenseKind) -> Result<u32, CatalogError> {
    let Some(node) = fields.get("quantity") else { return Ok(1) };
    if kind != LicenseKind::Addon {
        return Err(node.error("only an add-on has a quantity", "leave `quantity` out"));
    }
    let number = node.number().and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| {
        let message = format!("`quantity` is {}", node.shown());
        node.error(message, "write a whole number from 1 on")
    })
}

fn exception(node: Node<'_>, number: usize, catalog: &Catalog) -> Result<Override, CatalogError> {
    let keys = ["feature", "raise", "set", "deny", "starts", "ends", "revoked"];
    let fields = Fields::of(node, &keys, "the override")?;
    let name = fields.required("feature", "feature = \"NAME\"")?;
    let position = declared(catalog.features(), name.text("`feature`")?)
        .map_err(|(message, remedy)| name.error(message, remedy))?;
    let feature = &catalog.features()[position];
    let effect = match (fields.get("raise"), fields.get("set"), fields.get("deny")) {
        (Some(node), None, None) => Effect::Raise(value(node, feature)?.to_string()),
        (None, Some(node), None) => Effect::Set(value(node, feature)?.to_string()),
        (None, None, Some(node)) if node.is_true() => Effect::Deny,
        _ => {
            return Err(node.error(
                "the override has no single effect",
                "write one of `raise = VALUE`, `set = VALUE` and `deny = true`",
            ));
        }
    };
    let (starts_at, ends_at) = fields.period()?;
    Ok(Override {
        id: format!("override {number}"),
        feature: feature.key.clone(),
        effect,
        starts_at,
        ends_at,
        reason: "the case says so".to_owned(),
        ticket: None,
        created_by: "the case".to_owned(),
        revoked_at: fields.time("revoked")?,
    })
}

fn expectations(
    node: Node<'_>,
    catalog: &Catalog,
) -> Result<Vec<crate::model::Value>, CatalogError> {
    let entries = node.fields("`expect`")?;
    for entry in &entries {
        declared(catalog.features(), entry.key)
            .map_err(|(message, remedy)| entry.error(message, remedy))?;
    }
    let features = catalog.features().iter();
    features
        .map(|feature| match entries.iter().find(|entry| entry.key == feature.key.as_str()) {
            Some(entry) => value(entry.node(), feature),
            None => Err(node.error(
                format!("nothing is expected of feature `{}`", feature.key),
                format!("add `{} = VALUE`: expectations are complete", feature.key),
            )),
        })
        .collect()
}

fn tier(fields: &Fields<'_>, catalog: &Catalog) -> Result<Option<String>, CatalogError> {
    let Some(name) = fields.text("tier")? else { return Ok(None) };
    match (name, catalog.tier(name), fields.get("tier")) {
        ("none", ..) => Ok(Some(name.to_owned())),
        (_, Some(tier), _) => Ok(Some(tier.name().to_owned())),
        (_, None, node) => Err(node.unwrap_or(fields.node).error(
            format!("the plans know no tier `{}`", name.escape_debug()),
            format!("use `none`, or one of {}", list(catalog.tiers().iter().map(Tier::name))),
        )),
    }
}

fn state(fields: &Fields<'_>) -> Result<Option<String>, CatalogError> {
    let Some(word) = fields.text("state")? else { return Ok(None) };
    if STATES.iter().any(|state| state.as_str() == word) {
        return Ok(Some(word.to_owned()));
    }
    Err(fields.get("state").unwrap_or(fields.node).error(
        format!("there is no state `{}`", word.escape_debug()),
        format!("use one of {}", list(STATES.iter().map(|state| state.as_str()))),
    ))
}
