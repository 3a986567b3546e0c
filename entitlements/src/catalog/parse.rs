//! From the text of a plans file to its contents.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::document::{CatalogError, Entry, Node, Source};
use super::{Addon, Contents, Feature, FeatureKind, OnExpiry, Terms, Tier, check, digest, list};
use crate::model::{FeatureKey, Value, fits, parse_duration};

/// The keys of the file, in the order of the documentation.
const KEYS: [&str; 9] = [
    "schema",
    "catalog",
    "tiers",
    "allow_regression",
    "features",
    "matrix",
    "addons",
    "aliases",
    "license",
];

pub(super) fn parse(text: &str) -> Result<Contents, CatalogError> {
    let source = Source(text);
    let document = source.read()?;
    let entries = source.entries(document.get_ref());
    known(&entries, &KEYS, "the plans file")?;
    let section = |key: &str| entries.iter().find(|entry| entry.key == key).copied();
    let required = |key: &str, example: &str| {
        section(key).ok_or_else(|| {
            source.error(
                text.trim_end().len(),
                format!("`{key}` is missing"),
                format!("add `{example}`"),
            )
        })
    };

    schema(required("schema", "schema = 1")?.node())?;
    let name = name(required("catalog", "catalog = \"NAME\"")?.node(), "catalog name")?.to_owned();
    let mut tiers = tiers(required("tiers", "tiers = [\"low\", \"high\"]")?.node())?;
    let features = required("features", "[features]")?
        .table()?
        .iter()
        .map(feature)
        .collect::<Result<Vec<_>, _>>()?;
    let regressions = match section("allow_regression") {
        Some(entry) => regressions(entry.node(), &features)?,
        None => Vec::new(),
    };
    matrix(required("matrix", "[matrix]")?, &features, &mut tiers, &regressions)?;
    let addons = match section("addons") {
        Some(entry) => entry
            .table()?
            .iter()
            .map(|entry| addon(entry, &features, &tiers))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let aliases = match section("aliases") {
        Some(entry) => aliases(entry, &tiers, &addons)?,
        None => BTreeMap::new(),
    };
    let terms = match section("license") {
        Some(entry) => terms(entry)?,
        None => Terms { grace: Duration::ZERO, on_expiry: OnExpiry::Lowest },
    };
    let digest = digest::of(&name, &tiers, &features, &addons, &aliases, terms).into();
    Ok(Contents { name, tiers, features, addons, aliases, terms, digest, text: text.to_owned() })
}

fn schema(node: Node<'_>) -> Result<(), CatalogError> {
    if node.number() == Some(1) {
        return Ok(());
    }
    Err(node.error(format!("schema {} is not known", node.shown()), "write `schema = 1`"))
}

fn tiers(node: Node<'_>) -> Result<Vec<Tier>, CatalogError> {
    let nodes = node.list("`tiers`")?;
    if nodes.is_empty() {
        return Err(node.error("`tiers` is empty", "name the tiers, the cheapest first"));
    }
    let names = nodes.iter().map(|node| name(*node, "tier name")).collect::<Result<Vec<_>, _>>()?;
    check::once(nodes.iter().copied().zip(names.iter().copied()), "tier")?;
    Ok(names.into_iter().map(|name| Tier { name: name.into(), values: Vec::new() }).collect())
}

fn feature(entry: &Entry<'_>) -> Result<Feature, CatalogError> {
    let key: FeatureKey =
        entry.key.parse().map_err(|error| entry.error(format!("{error}"), "rename the feature"))?;
    let fields = entry.table()?;
    known(&fields, &["title", "type", "levels", "unit"], &format!("feature `{key}`"))?;
    let field = |name: &str| fields.iter().find(|field| field.key == name).copied();

    let title = match field("title") {
        Some(field) => field.node().text("`title`")?.to_owned(),
        None => key.to_string(),
    };
    let kind = field("type").ok_or_else(|| {
        entry.error(
            format!("feature `{key}` has no type"),
            "add `type = \"switch\"`, `\"level\"` or `\"number\"`",
        )
    })?;
    let misplaced = |name: &str, kind: &str| match field(name) {
        Some(field) => Err(field.error(
            format!("`{name}` means nothing for feature `{key}` of type `{kind}`"),
            format!("leave `{name}` out, or change the type"),
        )),
        None => Ok(()),
    };
    let kind = match kind.node().text("`type`")? {
        "switch" => {
            misplaced("levels", "switch")?;
            misplaced("unit", "switch")?;
            FeatureKind::Switch
        }
        "level" => {
            misplaced("unit", "level")?;
            let levels = field("levels").ok_or_else(|| {
                entry.error(
                    format!("feature `{key}` has no levels"),
                    "add `levels = [..]`, from the least to the most",
                )
            })?;
            FeatureKind::Level(self::levels(levels.node())?)
        }
        "number" => {
            misplaced("levels", "number")?;
            let unit = field("unit").map(|field| name(field.node(), "unit")).transpose()?;
            FeatureKind::Number(unit.map(str::to_owned))
        }
        other => {
            return Err(kind.node().error(
                format!("feature type `{}` is not known", other.escape_debug()),
                "use `switch`, `level` or `number`",
            ));
        }
    };
    Ok(Feature { key, title, kind })
}

fn levels(node: Node<'_>) -> Result<Vec<Arc<str>>, CatalogError> {
    let nodes = node.list("`levels`")?;
    let names =
        nodes.iter().map(|node| name(*node, "level name")).collect::<Result<Vec<_>, _>>()?;
    check::once(nodes.iter().copied().zip(names.iter().copied()), "level")?;
    if !(2..=1000).contains(&names.len()) {
        return Err(node.error(
            format!("there are {} levels", names.len()),
            "name at least two, from the least to the most, or use a switch or a number",
        ));
    }
    Ok(names.into_iter().map(Arc::from).collect())
}

fn regressions<'a>(node: Node<'a>, features: &[Feature]) -> Result<Vec<&'a str>, CatalogError> {
    let nodes = node.list("`allow_regression`")?;
    nodes
        .iter()
        .map(|node| {
            let key = node.text("a feature")?;
            declared(features, key).map_err(|(message, remedy)| node.error(message, remedy))?;
            Ok(key)
        })
        .collect()
}

/// Fills the tiers' values, row by row.
fn matrix(
    section: Entry<'_>,
    features: &[Feature],
    tiers: &mut [Tier],
    regressions: &[&str],
) -> Result<(), CatalogError> {
    let rows = section.table()?;
    for row in &rows {
        declared(features, row.key).map_err(|(message, remedy)| row.error(message, remedy))?;
    }
    for feature in features {
        let key = feature.key.as_str();
        let row = rows.iter().find(|row| row.key == key).ok_or_else(|| {
            section.error(
                format!("feature `{key}` has no row in `[matrix]`"),
                format!("add `{key} = [..]` with one value for each tier"),
            )
        })?;
        let nodes = row.node().list("the row")?;
        if nodes.len() != tiers.len() {
            return Err(row.error(
                format!("row `{key}` has {} values for {} tiers", nodes.len(), tiers.len()),
                format!("give one for each of {}", list(tiers.iter().map(|tier| &*tier.name))),
            ));
        }
        let cells = nodes
            .into_iter()
            .map(|node| Ok((node, value(node, feature)?)))
            .collect::<Result<Vec<_>, CatalogError>>()?;
        check::monotone(feature, &cells, tiers, regressions.contains(&key))?;
        for (tier, (_, value)) in tiers.iter_mut().zip(cells) {
            tier.values.push(value);
        }
    }
    Ok(())
}

fn addon(entry: &Entry<'_>, features: &[Feature], tiers: &[Tier]) -> Result<Addon, CatalogError> {
    plan_name(entry, "add-on name")?;
    if tiers.iter().any(|tier| &*tier.name == entry.key) {
        return Err(entry
            .error(format!("add-on `{}` has the name of a tier", entry.key), "rename the add-on"));
    }
    let fields = entry.table()?;
    let mut values = vec![None; features.len()];
    for field in &fields {
        let position = declared(features, field.key)
            .map_err(|(message, remedy)| field.error(message, remedy))?;
        let value = value(field.node(), &features[position])?;
        if value.is_lowest() {
            return Err(field.node().error(
                format!("add-on `{}` gives the lowest value of `{}`", entry.key, field.key),
                "give more, or leave the line out: an add-on never takes anything away",
            ));
        }
        values[position] = Some(value);
    }
    if fields.is_empty() {
        return Err(
            entry.error(format!("add-on `{}` gives nothing", entry.key), "add `FEATURE = VALUE`")
        );
    }
    Ok(Addon { name: entry.key.into(), values })
}

fn aliases(
    section: Entry<'_>,
    tiers: &[Tier],
    addons: &[Addon],
) -> Result<BTreeMap<String, String>, CatalogError> {
    let mut aliases = BTreeMap::new();
    for entry in section.table()? {
        plan_name(&entry, "alias")?;
        let taken = tiers.iter().map(|tier| &tier.name).chain(addons.iter().map(|a| &a.name));
        if taken.into_iter().any(|name| &**name == entry.key) {
            return Err(entry.error(
                format!("alias `{}` is the name of a tier or an add-on already", entry.key),
                "leave the alias out, or rename it",
            ));
        }
        let target = entry.node().text("the tier")?;
        if !tiers.iter().any(|tier| &*tier.name == target) {
            return Err(entry.node().error(
                format!(
                    "alias `{}` stands for `{}`, which is no tier",
                    entry.key,
                    target.escape_debug()
                ),
                format!("use one of {}", list(tiers.iter().map(|tier| &*tier.name))),
            ));
        }
        aliases.insert(entry.key.to_owned(), target.to_owned());
    }
    Ok(aliases)
}

fn terms(section: Entry<'_>) -> Result<Terms, CatalogError> {
    let fields = section.table()?;
    known(&fields, &["grace", "on_expiry"], "`[license]`")?;
    let mut terms = Terms { grace: Duration::ZERO, on_expiry: OnExpiry::Lowest };
    for field in fields {
        let text = field.node().text(&format!("`{}`", field.key))?;
        if field.key == "grace" {
            terms.grace = parse_duration(text)
                .map_err(|error| field.node().error(error.to_string(), "correct `grace`"))?;
        } else {
            terms.on_expiry = match text {
                "lowest" => OnExpiry::Lowest,
                "deny" => OnExpiry::Deny,
                other => {
                    return Err(field.node().error(
                        format!("`on_expiry` is `{}`", other.escape_debug()),
                        "use `lowest` or `deny`",
                    ));
                }
            };
        }
    }
    Ok(terms)
}

/// A value as the feature knows it.
pub(super) fn value(node: Node<'_>, feature: &Feature) -> Result<Value, CatalogError> {
    let found = match feature.kind {
        FeatureKind::Number(_) => node.number().map(Value::Number),
        FeatureKind::Switch | FeatureKind::Level(_) => {
            node.text("the value").ok().and_then(|text| feature.value(text))
        }
    };
    found.ok_or_else(|| {
        node.error(
            format!("feature `{}` has no value {}", feature.key, node.shown()),
            format!("use {}", feature.known_values()),
        )
    })
}

/// The position of a declared feature, or what to say about an undeclared one.
pub(super) fn declared(features: &[Feature], key: &str) -> Result<usize, (String, String)> {
    features.iter().position(|feature| feature.key.as_str() == key).ok_or_else(|| {
        (
            format!("feature `{}` is not declared", key.escape_debug()),
            format!(
                "declare it in `[features]`, or use one of {}",
                list(features.iter().map(|feature| feature.key.as_str()))
            ),
        )
    })
}

/// Refuses keys that mean nothing: a misspelt one must not be silently without effect.
pub(super) fn known(entries: &[Entry<'_>], keys: &[&str], place: &str) -> Result<(), CatalogError> {
    match entries.iter().find(|entry| !keys.contains(&entry.key)) {
        Some(entry) => Err(entry.error(
            format!("{place} has an unknown key `{}`", entry.key.escape_debug()),
            format!("use one of {}", list(keys.iter().copied())),
        )),
        None => Ok(()),
    }
}

/// A short name that is safe in headers, tables and commands.
fn name<'a>(node: Node<'a>, what: &str) -> Result<&'a str, CatalogError> {
    let text = node.text(what)?;
    if is_name(text) { Ok(text) } else { Err(node.error(not_a_name(text, what), NAME_RULE)) }
}

fn plan_name(entry: &Entry<'_>, what: &str) -> Result<(), CatalogError> {
    if is_name(entry.key) {
        Ok(())
    } else {
        Err(entry.error(not_a_name(entry.key, what), NAME_RULE))
    }
}

fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    fits(text, plain, |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

fn not_a_name(text: &str, what: &str) -> String {
    format!("{what} `{}` is not a name", text.chars().take(80).collect::<String>().escape_debug())
}

const NAME_RULE: &str =
    "use 1 to 63 of `a-z`, `0-9`, `-` and `_`, beginning with a letter or a digit";
