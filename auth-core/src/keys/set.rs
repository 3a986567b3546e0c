//! A JWK Set, read key by key (RFC 7517, section 5).

use std::collections::{HashMap, HashSet};

use super::{Key, KeyError, KeyRejection};
use crate::token::json;

/// The usable keys of an issuer, by `kid`, and why the others are not used.
pub struct KeySet {
    keys: HashMap<Box<str>, Key>,
    /// Few and looked through at every request: a list.
    fingerprints: Vec<[u8; 32]>,
    rejected: Vec<(Option<Box<str>>, KeyRejection)>,
}

/// More keys than any issuer has; Logto shows at most three.
const MAX_KEYS: usize = 100;

impl KeySet {
    /// Reads a document. Unusable keys are left out and can be asked for with [`Self::rejected`].
    ///
    /// # Errors
    ///
    /// [`KeyError::Malformed`] if it is not a JWK Set, [`KeyError::NoUsableKey`] if none is left.
    pub fn parse(issuer: &str, document: &[u8]) -> Result<Self, KeyError> {
        let malformed = |message: String| KeyError::Malformed {
            issuer: issuer.into(),
            message: message.into(),
        };
        // Once for unique member names, once for the types of the JWK crate.
        json::Object::parse(document).map_err(|e| malformed(e.to_string()))?;
        let value: serde_json::Value =
            serde_json::from_slice(document).map_err(|e| malformed(e.to_string()))?;
        let keys = value.get("keys").and_then(|k| k.as_array());
        let keys = keys.ok_or_else(|| malformed("it has no array `keys`".to_owned()))?;
        if keys.len() > MAX_KEYS {
            return Err(malformed(format!("it has {} keys, more than {MAX_KEYS}", keys.len())));
        }
        let mut set = Self { keys: HashMap::new(), fingerprints: Vec::new(), rejected: Vec::new() };
        let mut twice = HashSet::new();
        for value in keys {
            let kid = || value.get("kid").and_then(|k| k.as_str()).map(Box::from);
            match Key::parse(value.clone()) {
                Err(why) => set.rejected.push((kid(), why)),
                Ok((kid, key)) => {
                    // Which of two keys a `kid` means cannot be known, so it means neither.
                    if set.keys.insert(kid.clone(), key).is_some() {
                        twice.insert(kid);
                    }
                }
            }
        }
        for kid in twice {
            set.keys.remove(&kid);
            set.rejected.push((Some(kid), KeyRejection::DuplicateKid));
        }
        if set.keys.is_empty() {
            let why: Vec<_> = set
                .rejected()
                .map(|(kid, why)| format!("key `{}`: {why}", kid.unwrap_or("without kid")))
                .collect();
            let why = if why.is_empty() { "it is empty".to_owned() } else { why.join(", ") };
            return Err(KeyError::NoUsableKey { issuer: issuer.into(), rejected: why.into() });
        }
        set.fingerprints = set.keys.values().map(|k| k.fingerprint).collect();
        Ok(set)
    }

    /// The number of usable keys.
    #[expect(clippy::len_without_is_empty, reason = "an empty set cannot be made")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that are not used: their `kid`, where they have one, and why.
    pub fn rejected(&self) -> impl Iterator<Item = (Option<&str>, KeyRejection)> {
        self.rejected.iter().map(|(kid, why)| (kid.as_deref(), *why))
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&Key> {
        self.keys.get(kid)
    }

    /// Whether a key of this fingerprint is in the set: under the same `kid`, for the same
    /// algorithms, with the same numbers.
    pub(crate) fn holds(&self, fingerprint: &[u8; 32]) -> bool {
        self.fingerprints.contains(fingerprint)
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySet")
            .field("kids", &self.keys.keys())
            .field("rejected", &self.rejected)
            .finish_non_exhaustive()
    }
}
