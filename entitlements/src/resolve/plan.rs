//! What one license gives, by the catalog that counts for it.

use std::sync::Arc;

use crate::catalog::{Addon, Catalog, Feature, Tier};
use crate::model::{License, LicenseKind, Value};

/// A plan that the catalog knows.
pub(super) struct Plan<'a> {
    offer: Offer<'a>,
    /// The older catalog that the license keeps to, if its meaning differs from the current one.
    older: Option<&'a Catalog>,
}

enum Offer<'a> {
    Tier(&'a Tier),
    Addon(&'a Addon),
}

impl Plan<'_> {
    pub(super) fn name(&self) -> &Arc<str> {
        match self.offer {
            Offer::Tier(tier) => &tier.name,
            Offer::Addon(addon) => &addon.name,
        }
    }
}

/// The plan that a license names, or nothing if the catalog that counts does not know it.
pub(super) fn of<'a>(current: &'a Catalog, license: &'a License) -> Option<Plan<'a>> {
    let (catalog, older) = match &license.pin {
        None => (current, None),
        Some(pin) if pin.digest == current.digest() => (current, None),
        Some(pin) => {
            let catalog = pin.catalog.as_ref()?;
            (catalog, Some(catalog))
        }
    };
    let offer = match license.kind {
        LicenseKind::Base | LicenseKind::Trial => Offer::Tier(catalog.tier(&license.plan)?),
        LicenseKind::Addon => Offer::Addon(catalog.addon(&license.plan)?),
    };
    Some(Plan { offer, older })
}

/// What the plan says about the current catalog's feature at `position`.
///
/// A feature that the older catalog did not have was not sold with it: it says nothing.
pub(super) fn contribution(
    plan: Option<&Plan<'_>>,
    position: usize,
    feature: &Feature,
) -> Option<Value> {
    let plan = plan?;
    let position = match plan.older {
        None => position,
        Some(older) => older.position(&feature.key)?,
    };
    let value = match plan.offer {
        Offer::Tier(tier) => tier.values.get(position)?,
        Offer::Addon(addon) => addon.values.get(position)?.as_ref()?,
    };
    match plan.older {
        None => Some(value.clone()),
        Some(_) => feature.translate(value),
    }
}
