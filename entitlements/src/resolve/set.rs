//! The answer: what a tenant may do, until when, and how fresh the knowledge is.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use super::explain::{self, Provenance};
use super::{Origin, State};
use crate::catalog::{Catalog, Need, OnExpiry};
use crate::model::{FeatureKey, TenantId, TenantRecord, Value};
use crate::reason::Reason;

/// What a tenant may do at a moment; cheap to clone.
#[derive(Clone)]
pub struct EntitlementSet {
    resolved: Arc<Resolved>,
    freshness: Freshness,
}

/// How current the rows are that the answer was resolved from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Freshness {
    /// As the store has them.
    Fresh,
    /// The store could not be asked for that long; the rows are those from before.
    Stale {
        /// The time since the store was last heard.
        age: Duration,
    },
    /// From a file or from signed claims; no store was asked.
    Offline,
}

/// What [`resolve`](crate::resolve) found.
pub(super) struct Parts {
    pub(super) catalog: Catalog,
    pub(super) tenant: Arc<TenantRecord>,
    pub(super) values: Vec<Value>,
    pub(super) origins: Vec<Origin>,
    pub(super) tier: Option<Arc<str>>,
    pub(super) state: State,
    pub(super) blamed: Option<usize>,
    pub(super) at: SystemTime,
    pub(super) since: Option<SystemTime>,
    pub(super) valid_until: Option<SystemTime>,
}

struct Resolved {
    parts: Parts,
    /// Made when somebody asks: the request path never does.
    explained: OnceLock<Vec<Provenance>>,
}

pub(super) fn build(parts: Parts) -> EntitlementSet {
    EntitlementSet {
        resolved: Arc::new(Resolved { parts, explained: OnceLock::new() }),
        freshness: Freshness::Fresh,
    }
}

impl EntitlementSet {
    /// The tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.parts().tenant.id
    }

    /// The tenant's name for people.
    pub fn tenant_name(&self) -> &str {
        &self.parts().tenant.name
    }

    /// The dearest usable tier; none without a usable license.
    pub fn tier(&self) -> Option<&str> {
        self.parts().tier.as_deref()
    }

    /// Why the tenant is served, or why not.
    pub fn state(&self) -> State {
        self.parts().state
    }

    /// Every feature with its value, in the order of the catalog.
    pub fn features(&self) -> impl Iterator<Item = (&FeatureKey, &Value)> {
        let parts = self.parts();
        parts.catalog.features().iter().map(|feature| &feature.key).zip(&parts.values)
    }

    /// The value of a feature; none if the catalog does not declare it.
    pub fn value(&self, feature: &FeatureKey) -> Option<&Value> {
        let parts = self.parts();
        parts.catalog.position(feature).map(|position| &parts.values[position])
    }

    /// True if the feature is at its lowest, or not declared at all.
    pub fn is_lowest(&self, feature: &FeatureKey) -> bool {
        self.value(feature).is_none_or(Value::is_lowest)
    }

    /// True if the feature is above its lowest.
    pub fn has(&self, feature: &FeatureKey) -> bool {
        !self.is_lowest(feature)
    }

    /// Asks for a feature.
    ///
    /// # Errors
    ///
    /// If the tenant has not enough of it, with the reason and what would unlock it. A tenant that
    /// is not served at all is told that instead of "not in your plan".
    pub fn require(&self, need: &Need) -> Result<(), NotEntitled> {
        let parts = self.parts();
        if need.catalog.same(&parts.catalog) {
            return self.require_at(need);
        }
        // The need was read with another catalog object: what it says counts, not its positions.
        match parts.catalog.need(&need.to_string()) {
            Ok(need) => self.require_at(&need),
            Err(error) => Err(NotEntitled {
                reason: Reason::NotInPlan,
                feature: Some(need.feature().clone()),
                required: Some(need.minimum().to_string().into()),
                current: None,
                unlocked_by: Vec::new(),
                detail: format!("the catalog in force does not know the requirement: {error}"),
                cause: None,
            }),
        }
    }

    fn require_at(&self, need: &Need) -> Result<(), NotEntitled> {
        if need.satisfied_by(&self.parts().values[need.position]) {
            return Ok(());
        }
        Err(explain::denial(self, need))
    }

    /// True state of business: the tenant is active, and a license is active or in grace.
    ///
    /// # Errors
    ///
    /// If not, with the reason.
    pub fn usable(&self) -> Result<(), NotEntitled> {
        match self.state().reason() {
            None => Ok(()),
            Some(reason) => Err(explain::unusable(self, reason)),
        }
    }

    /// The tenant is active, and is not refused for want of a license (`on_expiry = "deny"`).
    ///
    /// # Errors
    ///
    /// If not, with the reason.
    pub fn admitted(&self) -> Result<(), NotEntitled> {
        match self.state() {
            State::TenantSuspended | State::TenantClosed => self.usable(),
            _ => match self.parts().catalog.terms().on_expiry {
                OnExpiry::Lowest => Ok(()),
                OnExpiry::Deny => self.usable(),
            },
        }
    }

    /// The next moment at which anything may change by the clock alone; graces are included.
    pub fn valid_until(&self) -> Option<SystemTime> {
        self.parts().valid_until
    }

    /// The moment that it was resolved for.
    pub fn resolved_at(&self) -> SystemTime {
        self.parts().at
    }

    /// The revision of the tenant's rows: it grows with every change.
    pub fn revision(&self) -> u64 {
        self.parts().tenant.revision
    }

    /// The digest of the catalog that it was resolved with.
    pub fn catalog_digest(&self) -> &str {
        self.parts().catalog.digest()
    }

    /// The catalog that it was resolved with.
    pub fn catalog(&self) -> &Catalog {
        &self.parts().catalog
    }

    /// How current the rows are.
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// For each feature in the order of the catalog: its value, what decided it, what would unlock
    /// more.
    pub fn explain(&self) -> &[Provenance] {
        self.resolved.explained.get_or_init(|| explain::provenance(self))
    }

    /// Every license and override of the tenant in words, and how it stands at
    /// [`Self::resolved_at`]: for operators, because reasons and names stand there too.
    pub fn rows_in_words(&self) -> Vec<String> {
        explain::rows_in_words(self.parts())
    }

    /// True if both were resolved from the very same rows and hold until the same moment: then they
    /// say the same. Rows that were read anew are others, even if nothing in them is.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let (one, other) = (self.parts(), other.parts());
        Arc::ptr_eq(&one.tenant, &other.tenant)
            && one.valid_until == other.valid_until
            && one.catalog.same(&other.catalog)
    }

    /// True if a resolution at `now` would give the same answer.
    pub(crate) fn holds_at(&self, now: SystemTime) -> bool {
        let parts = self.parts();
        parts.since.is_none_or(|since| since <= now)
            && parts.valid_until.is_none_or(|until| now < until)
    }

    /// The same answer with another word on how current it is.
    pub(crate) fn with_freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// The rows that it was resolved from.
    pub(crate) fn record(&self) -> &Arc<TenantRecord> {
        &self.parts().tenant
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.resolved.parts
    }
}

impl fmt::Debug for EntitlementSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntitlementSet")
            .field("tenant", self.tenant())
            .field("tier", &self.tier())
            .field("state", &self.state())
            .field("features", &self.features().collect::<Vec<_>>())
            .field("valid_until", &self.valid_until())
            .field("revision", &self.revision())
            .field("freshness", &self.freshness)
            .finish_non_exhaustive()
    }
}

/// Why a tenant does not get what it asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{detail}")]
pub struct NotEntitled {
    /// The reason's code, and with it title and remedy.
    pub reason: Reason,
    /// The feature that was asked for; none if the tenant is not served at all.
    pub feature: Option<FeatureKey>,
    /// The least value that would do.
    pub required: Option<Box<str>>,
    /// The value that the tenant has.
    pub current: Option<Box<str>>,
    /// Tiers, the cheapest first, and add-ons (`addon:NAME`): the tenant would be granted the need
    /// with one more of it, without end, beside all that it has. Empty where none would do.
    pub unlocked_by: Vec<String>,
    /// A sentence for people; the tenant may be told.
    pub detail: String,
    /// What only the operator may see, where there is more: who denied or suspended, and why.
    pub cause: Option<Box<str>>,
}
