//! The JOSE header (RFC 7515, section 4).

use std::fmt;

use super::{json::Object, raw::decode};
use crate::reason::{self, Reason};

/// A signature algorithm that is accepted (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// ECDSA with P-384 and SHA-384: Logto's default.
    Es384,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every accepted algorithm.
    pub const ALL: [Self; 5] = [Self::Es384, Self::Es256, Self::Rs256, Self::Ps256, Self::EdDsa];

    /// The `alg` value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es384 => "ES384",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of an `alg` value; also `Ed25519`, its fully specified name (RFC 9864).
    pub fn parse(alg: &str) -> Option<Self> {
        match alg {
            "Ed25519" => Some(Self::EdDsa),
            _ => Self::ALL.into_iter().find(|a| a.as_str() == alg),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What `typ` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Type {
    /// `at+jwt` (RFC 9068, section 2.1).
    AccessToken,
    /// `logout+jwt` (OpenID Connect Back-Channel Logout 1.0, section 2.4).
    LogoutToken,
    /// Absent, or `JWT`.
    Unsaid,
    /// Anything else, `dpop+jwt` for one.
    Other,
}

/// The checked header. `jwk`, `jku`, `x5u` and `x5c` are never looked at: keys come from the issuer.
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Box<str>,
    pub(crate) kind: Type,
}

/// The largest decoded header; a longer one is never an access token's.
const MAX_HEADER: usize = 4096;

impl Header {
    pub(crate) fn parse(encoded: &str) -> Result<Self, Reason> {
        let text = decode(encoded)?;
        if text.len() > MAX_HEADER {
            return Err(reason::MALFORMED_TOKEN);
        }
        let object = Object::parse(&text).map_err(|_| reason::MALFORMED_TOKEN)?;
        if object.has("enc") {
            return Err(reason::ENCRYPTED_TOKEN);
        }
        if object.has("crit") {
            return Err(reason::CRITICAL_HEADER);
        }
        let alg = object.get("alg").and_then(|v| v.as_str()).ok_or(reason::MALFORMED_TOKEN)?;
        let algorithm = Algorithm::parse(alg).ok_or(reason::UNSUPPORTED_ALGORITHM)?;
        let token_type = match object.get("typ") {
            None => Type::Unsaid,
            Some(named) => Type::parse(named.as_str().ok_or(reason::MALFORMED_TOKEN)?),
        };
        let kid = match object.get("kid") {
            None => return Err(reason::MISSING_KID),
            Some(named) => named.as_str().ok_or(reason::MALFORMED_TOKEN)?,
        };
        if kid.is_empty() {
            return Err(reason::MISSING_KID);
        }
        Ok(Self { algorithm, kid: kid.into(), kind: token_type })
    }
}

impl Type {
    /// Media types compare without case and may leave out `application/` (RFC 7515, 4.1.9).
    fn parse(typ: &str) -> Self {
        let lower = typ.to_ascii_lowercase();
        match lower.strip_prefix("application/").unwrap_or(&lower) {
            "at+jwt" => Self::AccessToken,
            "logout+jwt" => Self::LogoutToken,
            "jwt" => Self::Unsaid,
            _ => Self::Other,
        }
    }
}
