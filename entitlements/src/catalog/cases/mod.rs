//! Cases that a plans file has to pass: what a tenant holds at a moment, and all that it then has.
//!
//! They stand in a file beside the plans (`plans_test.toml` beside `plans.toml`), so that whoever
//! changes a price list sees at once which promise it breaks. The clock is what the case says, and
//! the expectations are complete: a feature that a case leaves out is an error, because a test
//! that looks away from a feature would also look away from its loss.

mod parse;

use std::time::SystemTime;

use super::{Catalog, CatalogError};
use crate::model::{TenantRecord, Value};
use crate::resolve::{State, resolve};

/// The cases of a file, read against the plans that they are about.
#[derive(Clone, Debug)]
pub struct PlanCases {
    catalog: Catalog,
    cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    line: usize,
    now: SystemTime,
    tenant: TenantRecord,
    /// One value for each feature, in the order of the catalog.
    features: Vec<Value>,
    tier: Option<String>,
    state: Option<String>,
}

/// What became of one case.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CaseOutcome {
    /// The name of the case.
    pub name: String,
    /// The line at which it begins, counted from one.
    pub line: usize,
    /// What is not as expected; nothing if the case passes.
    pub differences: Vec<CaseDifference>,
}

/// Something that a case expects otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CaseDifference {
    /// A feature, or `tier` or `state`.
    pub what: String,
    /// What the case says.
    pub expected: String,
    /// What the plans give.
    pub found: String,
    /// Which license or override gave it; nothing for `tier` and `state`.
    pub from: Option<String>,
}

impl PlanCases {
    /// Reads a file of cases.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its line, its column and a remedy: an unknown key, a
    /// plan or feature that the catalog does not know, a feature without an expectation.
    pub fn parse(text: &str, catalog: &Catalog) -> Result<Self, CatalogError> {
        let cases = parse::parse(text, catalog)?;
        Ok(Self { catalog: catalog.clone(), cases })
    }

    /// How many cases there are; never none.
    #[expect(clippy::len_without_is_empty, reason = "a file without cases is an error")]
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Resolves each case at its own moment and compares everything.
    pub fn run(&self) -> Vec<CaseOutcome> {
        self.cases.iter().map(|case| case.run(&self.catalog)).collect()
    }
}

impl Case {
    fn run(&self, catalog: &Catalog) -> CaseOutcome {
        let set = resolve(catalog, &self.tenant, self.now);
        let mut differences = Vec::new();
        for (row, expected) in set.explain().iter().zip(&self.features) {
            if row.value != *expected {
                differences.push(CaseDifference {
                    what: row.feature.to_string(),
                    expected: expected.to_string(),
                    found: row.value.to_string(),
                    from: Some(row.from.clone()),
                });
            }
        }
        let mut whole = |what: &str, expected: &Option<String>, found: &str| {
            if let Some(expected) = expected
                && expected != found
            {
                differences.push(CaseDifference {
                    what: what.to_owned(),
                    expected: expected.clone(),
                    found: found.to_owned(),
                    from: None,
                });
            }
        };
        whole("tier", &self.tier, set.tier().unwrap_or("none"));
        whole("state", &self.state, set.state().as_str());
        CaseOutcome { name: self.name.clone(), line: self.line, differences }
    }
}

impl CaseOutcome {
    /// True if everything is as expected.
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// The words that `state` may be.
const STATES: [State; 10] = [
    State::Active,
    State::Grace,
    State::Expired,
    State::NotYetValid,
    State::LicenseSuspended,
    State::LicenseRevoked,
    State::NoLicense,
    State::UnknownPlan,
    State::TenantSuspended,
    State::TenantClosed,
];
