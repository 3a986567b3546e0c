//! What a tenant would have with one more license.
//!
//! No rules of its own: the license is added to those that the tenant holds, and the resolution is
//! asked. Whatever beats a license (a suspended tenant, an override) beats this one too, and what
//! waits for one (an add-on without a tier, a raise) is there with it.

use std::ops::Range;

use super::set::Parts;
use super::{Held, decided, held, state};
use crate::model::{License, LicenseKind, Value};

/// Something that can be bought, and what the tenant would have with it.
pub(super) struct Offer {
    /// The tier's name, or `addon:NAME`.
    pub(super) name: String,
    /// The values of the features that were asked for.
    pub(super) values: Vec<Value>,
}

/// Every tier, the cheapest first, and every add-on, as if the tenant had taken one more of it.
pub(super) fn taken(parts: &Parts, positions: Range<usize>) -> Vec<Offer> {
    let (catalog, tenant, now) = (&parts.catalog, &parts.tenant, parts.at);
    let tiers = catalog.tiers().iter().map(|tier| (LicenseKind::Base, &tier.name));
    let addons = catalog.addons().iter().map(|addon| (LicenseKind::Addon, &addon.name));
    let more = tiers.chain(addons).map(|(kind, plan)| License::endless("", kind, plan, now));
    let more: Vec<_> = more.collect();

    let mut held = held(catalog, tenant, now);
    more.iter()
        .map(|license| {
            held.push(Held::new(tenant.licenses.len(), license, catalog, now));
            let (state, _) = state::judge(tenant.status, &held, now);
            let value = |position: usize| {
                let feature = &catalog.features()[position];
                decided(position, feature, state, &held, tenant, now).0
            };
            let values = positions.clone().map(value).collect();
            held.pop();
            let prefix = if license.kind == LicenseKind::Addon { "addon:" } else { "" };
            Offer { name: format!("{prefix}{}", license.plan), values }
        })
        .collect()
}
