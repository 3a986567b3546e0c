//! What a feature can be worth to a tenant.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The value of one feature: a switch, a level among ordered levels, or a number.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Value {
    /// On or off.
    Switch(bool),
    /// A named level; the rank counts from zero, the least.
    Level {
        /// The position among the feature's levels.
        rank: u16,
        /// The level's name.
        name: Arc<str>,
    },
    /// A limit; zero is the least.
    Number(u64),
}

impl Value {
    /// True for the least that the feature can be: `no`, the first level, zero.
    pub fn is_lowest(&self) -> bool {
        match self {
            Self::Switch(on) => !on,
            Self::Level { rank, .. } => *rank == 0,
            Self::Number(number) => *number == 0,
        }
    }

    /// True if this is at least `other`.
    ///
    /// Values of different types are never at least each other: whoever compares them has made a
    /// mistake, and the answer must not grant anything.
    pub fn at_least(&self, other: &Self) -> bool {
        self.compare(other).is_some_and(Ordering::is_ge)
    }

    /// The order within one feature; nothing between different types.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Switch(a), Self::Switch(b)) => Some(a.cmp(b)),
            (Self::Level { rank: a, .. }, Self::Level { rank: b, .. }) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(true) => f.write_str("yes"),
            Self::Switch(false) => f.write_str("no"),
            Self::Level { name, .. } => f.write_str(name),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_different_types_never_satisfy_each_other() {
        assert!(!Value::Number(1).at_least(&Value::Switch(false)));
        assert!(!Value::Switch(true).at_least(&Value::Number(0)));
    }

    #[test]
    fn levels_compare_by_rank_and_print_their_name() {
        let low = Value::Level { rank: 0, name: "off".into() };
        let high = Value::Level { rank: 2, name: "full".into() };
        assert!(high.at_least(&low) && !low.at_least(&high));
        assert_eq!(high.to_string(), "full");
        assert!(low.is_lowest() && !high.is_lowest());
    }
}
