//! The catalog: which tiers there are, and what each of them is worth.
//!
//! [`Catalog::parse`] reads a plans file once and checks everything about it; whoever holds a
//! `Catalog` holds one that is right. It refuses unknown keys, rows that do not have one value for
//! each tier, levels and features that were not declared, and a dearer tier that has less than a
//! cheaper one unless `allow_regression` names the feature.
//!
//! ```
//! use entitlements::Catalog;
//!
//! let catalog = Catalog::parse(
//!     r#"
//!     schema  = 1
//!     catalog = "traces"
//!     tiers   = ["low", "high"]
//!
//!     [features]
//!     topology_graph  = { title = "Topology graph", type = "switch" }
//!     payload_lineage = { type = "level", levels = ["off", "limited", "full"] }
//!
//!     [matrix]
//!     topology_graph  = ["no", "yes"]
//!     payload_lineage = ["limited", "full"]
//!     "#,
//! )?;
//! assert!(catalog.need("payload_lineage=full").is_ok());
//!
//! let error = Catalog::parse("schema = 1\ncatalog = \"traces\"\ntears = []").unwrap_err();
//! assert_eq!((error.line(), error.column()), (3, 1));
//! # Ok::<(), entitlements::CatalogError>(())
//! ```

mod cases;
mod check;
mod diff;
mod digest;
mod document;
mod need;
mod parse;
mod render;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use cases::{CaseDifference, CaseOutcome, PlanCases};
pub use diff::{Change as PlanChange, OrphanedLicense, orphans};
pub(crate) use digest::hex;
pub use document::CatalogError;
pub use need::{Need, UnknownFeature};

use crate::model::{FeatureKey, LicenseKind, Value};

/// A checked plans file; cheap to clone.
#[derive(Clone)]
pub struct Catalog(Arc<Contents>);

/// What a plans file says.
struct Contents {
    name: String,
    tiers: Vec<Tier>,
    features: Vec<Feature>,
    addons: Vec<Addon>,
    aliases: BTreeMap<String, String>,
    terms: Terms,
    digest: Arc<str>,
    text: String,
}

/// One tier: a column of the matrix.
#[derive(Clone, Debug)]
pub struct Tier {
    pub(crate) name: Arc<str>,
    /// One value for each feature, in the order of the features.
    pub(crate) values: Vec<Value>,
}

/// One feature: a row of the matrix.
#[derive(Clone, Debug)]
pub struct Feature {
    pub(crate) key: FeatureKey,
    pub(crate) title: String,
    pub(crate) kind: FeatureKind,
}

/// What values a feature can have.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FeatureKind {
    /// On or off.
    Switch,
    /// One of these levels, from the least to the most.
    Level(Vec<Arc<str>>),
    /// A whole number, counted in the unit if one is given.
    Number(Option<String>),
}

/// Something that can be bought beside a tier.
#[derive(Clone, Debug)]
pub struct Addon {
    pub(crate) name: Arc<str>,
    /// One place for each feature, in the order of the features; none: it says nothing about it.
    pub(crate) values: Vec<Option<Value>>,
}

/// What holds for licenses that do not say otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// How long a license goes on after its end.
    pub grace: Duration,
    /// What becomes of a tenant without a usable license.
    pub on_expiry: OnExpiry,
}

/// What becomes of a tenant without a usable license.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnExpiry {
    /// Every feature at its lowest; what asks for no license stays open.
    Lowest,
    /// The tenant is refused everywhere.
    Deny,
}

impl Catalog {
    /// Reads and checks a plans file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its line, its column and a remedy.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        parse::parse(text).map(|contents| Self(Arc::new(contents)))
    }

    /// The catalog's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The tiers, the cheapest first.
    pub fn tiers(&self) -> &[Tier] {
        &self.0.tiers
    }

    /// The features in the order of the file.
    pub fn features(&self) -> &[Feature] {
        &self.0.features
    }

    /// The add-ons in the order of the file.
    pub fn addons(&self) -> &[Addon] {
        &self.0.addons
    }

    /// Retired names and the tiers that they stand for now.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.aliases.iter().map(|(alias, tier)| (alias.as_str(), tier.as_str()))
    }

    /// What holds for licenses that do not say otherwise.
    pub fn terms(&self) -> Terms {
        self.0.terms
    }

    /// SHA-256 in hex over what the catalog means: comments, titles and spacing do not change it.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The tier of that name, or of the name that the alias stands for.
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tier_rank(name).map(|rank| &self.0.tiers[rank])
    }

    /// The add-on of that name.
    pub fn addon(&self, name: &str) -> Option<&Addon> {
        self.0.addons.iter().find(|addon| &*addon.name == name)
    }

    /// True if a license of this kind may name this plan; the aliases of tiers are followed.
    pub(crate) fn knows(&self, kind: LicenseKind, plan: &str) -> bool {
        match kind {
            LicenseKind::Base | LicenseKind::Trial => self.tier(plan).is_some(),
            LicenseKind::Addon => self.addon(plan).is_some(),
        }
    }

    /// The feature of that name.
    pub fn feature(&self, key: &FeatureKey) -> Option<&Feature> {
        self.position(key).map(|position| &self.0.features[position])
    }

    /// What a route or a caller asks for: `topology_graph`, or `payload_lineage=limited` for at
    /// least that level.
    ///
    /// # Errors
    ///
    /// If the catalog declares no such feature, the feature no such value, or the value is the
    /// lowest, which everybody has.
    pub fn need(&self, text: &str) -> Result<Need, UnknownFeature> {
        need::parse(self, text)
    }

    /// The position of a tier among the tiers, aliases followed.
    pub(crate) fn tier_rank(&self, name: &str) -> Option<usize> {
        let real = self.0.aliases.get(name).map_or(name, String::as_str);
        self.0.tiers.iter().position(|tier| &*tier.name == real)
    }

    /// The position of a feature among the features.
    pub(crate) fn position(&self, key: &FeatureKey) -> Option<usize> {
        // Catalogs have a handful of features: a scan beats a hash.
        self.0.features.iter().position(|feature| feature.key == *key)
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("name", &self.0.name)
            .field("digest", &self.0.digest)
            .finish()
    }
}

impl Tier {
    /// The tier's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One value for each feature, in the order of the features.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

impl Feature {
    /// The feature's key.
    pub fn key(&self) -> &FeatureKey {
        &self.key
    }

    /// The name for people; the key if the file gives none.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What values it can have.
    pub fn kind(&self) -> &FeatureKind {
        &self.kind
    }

    /// The least that it can be.
    pub fn lowest(&self) -> Value {
        match &self.kind {
            FeatureKind::Switch => Value::Switch(false),
            FeatureKind::Level(levels) => Value::Level { rank: 0, name: levels[0].clone() },
            FeatureKind::Number(_) => Value::Number(0),
        }
    }

    /// Reads a value as this feature knows it: `yes`, a level's name, a number.
    pub fn value(&self, text: &str) -> Option<Value> {
        match &self.kind {
            FeatureKind::Switch => match text {
                "yes" => Some(Value::Switch(true)),
                "no" => Some(Value::Switch(false)),
                _ => None,
            },
            FeatureKind::Level(levels) => {
                let rank = levels.iter().position(|level| &**level == text)?;
                let name = levels[rank].clone();
                u16::try_from(rank).ok().map(|rank| Value::Level { rank, name })
            }
            FeatureKind::Number(_) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().map(Value::Number)
            }
            FeatureKind::Number(_) => None,
        }
    }

    /// What values it knows, for messages.
    pub fn known_values(&self) -> String {
        match &self.kind {
            FeatureKind::Switch => "`yes` or `no`".to_owned(),
            FeatureKind::Level(levels) => list(levels.iter().map(|level| &**level)),
            FeatureKind::Number(_) => "a whole number from 0 on".to_owned(),
        }
    }
}

impl Addon {
    /// The add-on's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl OnExpiry {
    /// The word in the plans file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lowest => "lowest",
            Self::Deny => "deny",
        }
    }
}

/// Names in backticks, separated by commas.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
