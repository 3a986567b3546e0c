//! What changes for whom when one plans file follows another.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::{Addon, Catalog, OnExpiry, Tier};
use crate::model::{
    FeatureKey, License, LicenseKind, Standing, TenantRecord, TenantStatus, Value, format_duration,
};
use crate::resolve::resolve;

/// One thing that is otherwise in the new plans.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The tier's name, `addon:NAME`, `license` for terms, or the tenant's id.
    pub whose: String,
    /// The feature, `grace` or `on_expiry`; `tier` where the whole offer comes or goes, and `state`
    /// where a tenant is served no longer.
    pub what: String,
    /// What it was; none: it was not there.
    pub old: Option<String>,
    /// What it becomes; none: it is gone.
    pub new: Option<String>,
    /// True if somebody has less than before.
    pub loss: bool,
}

/// A license that the plans would no longer know.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OrphanedLicense {
    /// The tenant.
    pub tenant: String,
    /// The license's id.
    pub license: String,
    /// What it is.
    pub kind: LicenseKind,
    /// The plan that it names.
    pub plan: String,
}

/// The licenses of a tenant that count or may count again, and whose plan the catalog does not
/// know. One that keeps to an older catalog is asked there; those of a closed tenant never count.
pub fn orphans(catalog: &Catalog, tenant: &TenantRecord, at: SystemTime) -> Vec<OrphanedLicense> {
    if tenant.status == TenantStatus::Closed {
        return Vec::new();
    }
    let live =
        |license: &&License| !matches!(license.standing(at), Standing::Expired | Standing::Revoked);
    let unknown = |license: &&License| {
        let catalog = match &license.pin {
            Some(pin) if pin.digest != catalog.digest() => pin.catalog.as_ref(),
            _ => Some(catalog),
        };
        catalog.is_none_or(|catalog| !catalog.knows(license.kind, &license.plan))
    };
    let orphan = |license: &License| OrphanedLicense {
        tenant: tenant.id.to_string(),
        license: license.id.clone(),
        kind: license.kind,
        plan: license.plan.clone(),
    };
    tenant.licenses.iter().filter(live).filter(unknown).map(orphan).collect()
}

impl Catalog {
    /// What each offer gains and loses when `new` follows this catalog. Names that `new` has as
    /// aliases are compared with what they stand for there.
    pub fn changes_to(&self, new: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for tier in self.tiers() {
            let found = new.tier(tier.name()).map(Tier::values);
            let old: Vec<_> = tier.values.iter().cloned().map(Some).collect();
            let became = found.map(|values| values.iter().cloned().map(Some).collect());
            self.offer(new, tier.name(), &old, became, &mut changes);
        }
        let added = new.tiers().iter().filter(|tier| self.tier(tier.name()).is_none());
        changes.extend(added.map(|tier| came(tier.name())));
        for addon in self.addons() {
            let name = format!("addon:{}", addon.name());
            let became = new.addon(addon.name()).map(|addon| addon.values.clone());
            self.offer(new, &name, &addon.values, became, &mut changes);
        }
        let added = new.addons().iter().filter(|addon| self.addon(addon.name()).is_none());
        changes.extend(added.map(Addon::name).map(|name| came(&format!("addon:{name}"))));
        self.terms_to(new, &mut changes);
        changes
    }

    /// What one tenant gains and loses at a moment when `new` follows this catalog.
    pub fn changes_for(&self, new: &Self, tenant: &TenantRecord, at: SystemTime) -> Vec<Change> {
        let (old_set, new_set) = (resolve(self, tenant, at), resolve(new, tenant, at));
        let whose = tenant.id.as_str();
        let mut changes = Vec::new();
        if old_set.state() != new_set.state() {
            changes.push(Change {
                whose: whose.to_owned(),
                what: "state".to_owned(),
                old: Some(old_set.state().to_string()),
                new: Some(new_set.state().to_string()),
                loss: old_set.usable().is_ok() && new_set.usable().is_err(),
            });
        }
        for key in self.features_of_both(new) {
            let values = (old_set.value(&key), new_set.value(&key));
            Self::compare(new, whose, &key, values, &mut changes);
        }
        changes
    }

    fn offer(
        &self,
        new: &Self,
        whose: &str,
        old: &[Option<Value>],
        became: Option<Vec<Option<Value>>>,
        changes: &mut Vec<Change>,
    ) {
        let Some(became) = became else {
            changes.push(Change {
                whose: whose.to_owned(),
                what: "tier".to_owned(),
                old: Some(whose.to_owned()),
                new: None,
                loss: true,
            });
            return;
        };
        for key in self.features_of_both(new) {
            let at = |catalog: &Self, values: &[Option<Value>]| {
                catalog.position(&key).and_then(|position| values[position].clone())
            };
            let (old, became) = (at(self, old), at(new, &became));
            Self::compare(new, whose, &key, (old.as_ref(), became.as_ref()), changes);
        }
    }

    /// Notes a difference of one feature, each value read as its own catalog has it.
    fn compare(
        new: &Self,
        whose: &str,
        key: &FeatureKey,
        (old, became): (Option<&Value>, Option<&Value>),
        changes: &mut Vec<Change>,
    ) {
        let text = |value: Option<&Value>| value.map(ToString::to_string);
        let rank = |value: Option<&Value>| value.is_none_or(Value::is_lowest);
        let same_text = text(old) == text(became);
        let loss = match (old, became, new.feature(key)) {
            (old, _, _) if rank(old) => false,
            // What it was, as the new plans would say it, must still be reached.
            (Some(old), Some(became), Some(feature)) => {
                feature.translate(old).is_none_or(|old| !became.at_least(&old))
            }
            _ => true,
        };
        // Without a value or at its lowest is the same to whoever holds it.
        if loss || !(same_text || (rank(old) && rank(became))) {
            changes.push(Change {
                whose: whose.to_owned(),
                what: key.to_string(),
                old: text(old),
                new: text(became),
                loss,
            });
        }
    }

    fn features_of_both(&self, new: &Self) -> Vec<FeatureKey> {
        let mut seen = BTreeSet::new();
        let all = self.features().iter().chain(new.features()).map(|feature| feature.key.clone());
        all.filter(|key| seen.insert(key.clone())).collect()
    }

    fn terms_to(&self, new: &Self, changes: &mut Vec<Change>) {
        let (old, new) = (self.terms(), new.terms());
        let mut note = |what: &str, old: String, new: String, loss: bool| {
            if old != new {
                changes.push(Change {
                    whose: "license".to_owned(),
                    what: what.to_owned(),
                    old: Some(old),
                    new: Some(new),
                    loss,
                });
            }
        };
        let less = new.grace < old.grace;
        note("grace", format_duration(old.grace), format_duration(new.grace), less);
        let (was, becomes) = (old.on_expiry.as_str(), new.on_expiry.as_str());
        note("on_expiry", was.to_owned(), becomes.to_owned(), new.on_expiry == OnExpiry::Deny);
    }
}

fn came(name: &str) -> Change {
    Change {
        whose: name.to_owned(),
        what: "tier".to_owned(),
        old: None,
        new: Some(name.to_owned()),
        loss: false,
    }
}
