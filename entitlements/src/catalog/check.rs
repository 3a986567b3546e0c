//! Rules that need the whole row or the whole file, not one value.

use super::document::{CatalogError, Node};
use super::{Feature, Tier};
use crate::model::Value;

/// A dearer tier never has less than a cheaper one, unless the file says that it may.
pub(super) fn monotone(
    feature: &Feature,
    cells: &[(Node<'_>, Value)],
    tiers: &[Tier],
    allowed: bool,
) -> Result<(), CatalogError> {
    if allowed {
        return Ok(());
    }
    for (column, pair) in cells.windows(2).enumerate() {
        let [(_, cheaper), (place, dearer)] = pair else { continue };
        if !dearer.at_least(cheaper) {
            return Err(place.error(
                format!(
                    "tier `{}` has less of `{}` than the cheaper tier `{}`: `{dearer}` after `{cheaper}`",
                    tiers[column + 1].name, feature.key, tiers[column].name
                ),
                format!(
                    "raise it to at least `{cheaper}`, or write `allow_regression = [\"{}\"]`",
                    feature.key
                ),
            ));
        }
    }
    Ok(())
}

/// Every name once.
pub(super) fn once<'a>(
    names: impl Iterator<Item = (Node<'a>, &'a str)>,
    what: &str,
) -> Result<(), CatalogError> {
    let mut seen = std::collections::BTreeSet::new();
    for (place, name) in names {
        if !seen.insert(name) {
            return Err(place
                .error(format!("{what} `{name}` stands there twice"), "leave the second one out"));
        }
    }
    Ok(())
}
