//! What a route or a caller asks for: a feature, and how much of it.

use std::fmt;
use std::str::FromStr;

use super::{Catalog, Feature, FeatureKind, list};
use crate::model::{FeatureKey, Value};

/// A feature that is asked for, checked against a catalog.
///
/// On a feature with levels, a need without a level means: anything above the lowest.
#[derive(Clone, Debug)]
pub struct Need {
    pub(crate) catalog: Catalog,
    pub(crate) position: usize,
    pub(crate) minimum: Minimum,
}

/// How much of the feature is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Minimum {
    /// Anything above the lowest.
    Any,
    /// At least this, which is above the lowest.
    AtLeast(Value),
}

impl Need {
    /// The feature that is asked for.
    pub fn feature(&self) -> &FeatureKey {
        &self.declared().key
    }

    /// The least value that satisfies it.
    pub fn minimum(&self) -> Value {
        match &self.minimum {
            Minimum::AtLeast(value) => value.clone(),
            Minimum::Any => match &self.declared().kind {
                FeatureKind::Switch => Value::Switch(true),
                FeatureKind::Level(levels) => Value::Level { rank: 1, name: levels[1].clone() },
                FeatureKind::Number(_) => Value::Number(1),
            },
        }
    }

    pub(crate) fn declared(&self) -> &Feature {
        &self.catalog.features()[self.position]
    }

    /// True if the value is enough; the value belongs to the catalog that the need was read with.
    pub(crate) fn satisfied_by(&self, value: &Value) -> bool {
        match &self.minimum {
            Minimum::Any => !value.is_lowest(),
            Minimum::AtLeast(least) => value.at_least(least),
        }
    }
}

impl Eq for Need {}

impl PartialEq for Need {
    fn eq(&self, other: &Self) -> bool {
        self.feature() == other.feature() && self.minimum == other.minimum
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.minimum {
            Minimum::Any => write!(f, "{}", self.feature()),
            Minimum::AtLeast(value) => write!(f, "{}={value}", self.feature()),
        }
    }
}

/// A need that the catalog does not know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}; {remedy}")]
pub struct UnknownFeature {
    message: String,
    remedy: String,
}

impl UnknownFeature {
    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

pub(super) fn parse(catalog: &Catalog, text: &str) -> Result<Need, UnknownFeature> {
    let (name, wanted) = match text.split_once('=') {
        Some((name, wanted)) => (name, Some(wanted)),
        None => (text, None),
    };
    let position = FeatureKey::from_str(name)
        .ok()
        .and_then(|key| catalog.position(&key))
        .ok_or_else(|| unknown_name(catalog, name))?;
    let feature = &catalog.features()[position];
    let minimum = match wanted {
        None => Minimum::Any,
        Some(wanted) => {
            let value = feature.value(wanted).ok_or_else(|| UnknownFeature {
                message: format!(
                    "feature `{name}` has no value `{}`",
                    wanted.chars().take(80).collect::<String>().escape_debug()
                ),
                remedy: format!("use {}", feature.known_values()),
            })?;
            // A requirement that everybody meets protects nothing; whoever writes one means more.
            if value.is_lowest() {
                return Err(UnknownFeature {
                    message: format!("`{text}` asks for the lowest value, which every tenant has"),
                    remedy: format!("ask for more, or leave `{name}` out"),
                });
            }
            Minimum::AtLeast(value)
        }
    };
    Ok(Need { catalog: catalog.clone(), position, minimum })
}

fn unknown_name(catalog: &Catalog, name: &str) -> UnknownFeature {
    let name: String = name.chars().take(80).collect();
    UnknownFeature {
        message: format!(
            "feature `{}` is not in catalog `{}`",
            name.escape_debug(),
            catalog.name()
        ),
        remedy: format!(
            "use one of {}",
            list(catalog.features().iter().map(|feature| feature.key.as_str()))
        ),
    }
}
