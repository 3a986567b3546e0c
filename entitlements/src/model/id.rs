//! Names that travel in headers, URLs and databases: checked once, cheap to clone afterwards.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A name that does not have the form its kind asks for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is not a {kind}: {rule}", text.escape_debug())]
pub struct InvalidName {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

/// Declares one checked name: the types differ only in their rule, and must never be mixed up.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $first:expr, $rest:expr) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if fits(text, $first, $rest) {
                    Ok(Self(Arc::from(text)))
                } else {
                    // The text may be hostile: what is echoed is bounded.
                    let text = text.chars().take(80).collect();
                    Err(InvalidName { kind: $kind, rule: $rule, text })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

name!(
    /// A tenant of this installation: `^[a-z0-9][a-z0-9-]{0,62}$`.
    ///
    /// It is not an organization id: organizations of several issuers map to tenants.
    TenantId,
    "tenant id",
    "use 1 to 63 of `a-z`, `0-9` and `-`, beginning with a letter or a digit",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit(),
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
);

name!(
    /// A feature declared in the catalog: `^[a-z][a-z0-9_]{0,62}$`.
    FeatureKey,
    "feature",
    "use 1 to 63 of `a-z`, `0-9` and `_`, beginning with a letter",
    |b| b.is_ascii_lowercase(),
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
);

/// True if `text` has 1 to 63 bytes, the first and the others of their kinds.
pub(crate) fn fits(text: &str, first: fn(u8) -> bool, rest: fn(u8) -> bool) -> bool {
    match text.as_bytes() {
        [head, tail @ ..] => tail.len() <= 62 && first(*head) && tail.iter().all(|b| rest(*b)),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn tenant(text: &str, ok: bool) {
        assert_eq!(text.parse::<TenantId>().is_ok(), ok, "{text:?}");
    }

    #[test]
    fn tenant_ids_follow_the_rule() {
        tenant("a", true);
        tenant("0acme-2", true);
        tenant(&"a".repeat(63), true);
        tenant(&"a".repeat(64), false);
        for bad in ["", "-a", "A", "a_b", "a b", "a\n", "ä", "a.b", "a\0"] {
            tenant(bad, false);
        }
    }

    #[test]
    fn feature_keys_follow_the_rule() {
        for (text, ok) in [("topology_graph", true), ("0a", false), ("_a", false), ("a-b", false)] {
            assert_eq!(text.parse::<FeatureKey>().is_ok(), ok, "{text:?}");
        }
    }

    #[test]
    fn a_bad_name_is_echoed_escaped_and_short() {
        let error = format!("x\n{}", "y".repeat(500)).parse::<TenantId>().unwrap_err().to_string();
        assert!(error.contains("x\\n"), "{error}");
        assert!(error.len() < 250, "{error}");
    }

    #[test]
    fn names_are_checked_when_deserialized() {
        assert!(serde_json::from_str::<TenantId>("\"acme\"").is_ok());
        assert!(serde_json::from_str::<TenantId>("\"Acme\"").is_err());
    }
}
