//! Plans that licenses name and a catalog does not know: such a catalog does not become current.

use std::fmt;

use super::Refusal;
use crate::catalog::Catalog;
use crate::model::LicenseKind;

/// A plan that licenses name.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HeldPlan {
    /// What the licenses are.
    pub kind: LicenseKind,
    /// The plan's name, as the licenses have it.
    pub plan: String,
    /// How many licenses name it.
    pub licenses: u64,
}

impl fmt::Display for HeldPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let licenses = if self.licenses == 1 { "license" } else { "licenses" };
        write!(f, "`{}` ({} {} {licenses})", self.plan.escape_debug(), self.licenses, self.kind)
    }
}

/// Refuses a catalog that does not know all of these plans. An alias is known.
pub(super) fn known_to(catalog: &Catalog, held: Vec<HeldPlan>) -> Result<(), Refusal> {
    let unknown = held.into_iter().filter(|held| !catalog.knows(held.kind, &held.plan));
    let unknown: Vec<_> = unknown.collect();
    if unknown.is_empty() { Ok(()) } else { Err(Refusal::Orphans(unknown)) }
}

/// The plans, one after the other.
pub(super) fn in_words(plans: &[HeldPlan]) -> String {
    plans.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
