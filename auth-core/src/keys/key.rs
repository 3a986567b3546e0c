//! One public key, with the algorithms it may verify.

use std::fmt;

use aws_lc_rs::{
    digest,
    signature::{
        self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey,
        RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};

use crate::token::Algorithm;

/// A usable key. The algorithm of a token must be one of its own: `alg` if it names one
/// (RFC 7517, section 4.4), else what its type and curve can verify.
pub(crate) struct Key {
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
    /// SHA-256 of the public key: a cached verdict holds as long as this very key is in the set.
    pub(crate) thumbprint: [u8; 32],
}

/// Why a key of a set is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyRejection {
    /// Not a JWK, or a member is of the wrong type.
    Malformed,
    /// No `kid`, which tokens could name.
    NoKid,
    /// Two keys of the set share this `kid`.
    DuplicateKid,
    /// `kty: oct`: a shared secret in a public document would let anybody sign.
    Symmetric,
    /// The private half is in a public document.
    Private,
    /// `use` or `key_ops` say it is for something else.
    NotForSignatures,
    /// An RSA modulus under 2048 or over 8192 bits, or a small or even exponent.
    Weak,
    /// A key type, curve or algorithm that is not accepted.
    Unsupported,
    /// `alg` is not one that the key's type and curve can verify.
    AlgorithmMismatch,
    /// The numbers are not a public key: a point off the curve, for one.
    Invalid,
}

impl fmt::Display for KeyRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a well-formed JWK",
            Self::NoKid => "it has no `kid`",
            Self::DuplicateKid => "its `kid` stands twice in the set",
            Self::Symmetric => "it is a symmetric key",
            Self::Private => "it is a private key",
            Self::NotForSignatures => "`use` or `key_ops` say it does not verify signatures",
            Self::Weak => "it is weak",
            Self::Unsupported => "its type, curve or algorithm is not accepted",
            Self::AlgorithmMismatch => "its `alg` does not go with its type and curve",
            Self::Invalid => "its numbers are no public key",
        })
    }
}

impl Key {
    /// Reads one member of a set's `keys`. The `kid` comes with it.
    pub(crate) fn parse(value: serde_json::Value) -> Result<(Box<str>, Self), KeyRejection> {
        match value.get("kty").and_then(|kty| kty.as_str()) {
            Some("oct") => return Err(KeyRejection::Symmetric),
            Some("EC" | "RSA" | "OKP") => {}
            Some(_) => return Err(KeyRejection::Unsupported),
            None => return Err(KeyRejection::Malformed),
        }
        if value.get("d").is_some() {
            return Err(KeyRejection::Private);
        }
        let named = match value.get("alg") {
            None => None,
            Some(alg) => {
                Some(alg.as_str().and_then(Algorithm::parse).ok_or(KeyRejection::Unsupported)?)
            }
        };
        let jwk: Jwk = serde_json::from_value(value).map_err(|_| KeyRejection::Malformed)?;
        let kid = jwk.common.key_id.as_deref().filter(|k| !k.is_empty());
        let kid: Box<str> = kid.ok_or(KeyRejection::NoKid)?.into();
        let for_signatures =
            jwk.common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature)
                && jwk
                    .common
                    .key_operations
                    .as_ref()
                    .is_none_or(|ops| ops.contains(&KeyOperations::Verify));
        if !for_signatures {
            return Err(KeyRejection::NotForSignatures);
        }
        let mut key = Self::from_parameters(&jwk.algorithm)?;
        if let Some(named) = named {
            key.verifiers.retain(|(alg, _)| *alg == named);
            if key.verifiers.is_empty() {
                return Err(KeyRejection::AlgorithmMismatch);
            }
        }
        Ok((kid, key))
    }

    fn from_parameters(parameters: &AlgorithmParameters) -> Result<Self, KeyRejection> {
        match parameters {
            AlgorithmParameters::EllipticCurve(ec) => {
                let (alg, verifier, len) = match ec.curve {
                    EllipticCurve::P256 => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
                    EllipticCurve::P384 => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
                    _ => return Err(KeyRejection::Unsupported),
                };
                // SEC 1, section 2.3.3: an uncompressed point.
                let mut point = vec![4];
                for coordinate in [&ec.x, &ec.y] {
                    let bytes = decode(coordinate)?;
                    if bytes.len() != len {
                        return Err(KeyRejection::Invalid);
                    }
                    point.extend(bytes);
                }
                let parsed = ParsedPublicKey::new(verifier, &point);
                Ok(Self::new(&point, vec![(alg, parsed.map_err(|_| KeyRejection::Invalid)?)]))
            }
            AlgorithmParameters::RSA(rsa) => {
                let (n, e) = (decode(&rsa.n)?, decode(&rsa.e)?);
                let bits = n.len() * 8 - n.first().map_or(0, |b| b.leading_zeros() as usize);
                let exponent = e
                    .iter()
                    .try_fold(0_u64, |acc, b| acc.checked_mul(256).map(|acc| acc | u64::from(*b)));
                let exponent = exponent.ok_or(KeyRejection::Weak)?;
                if !(2048..=8192).contains(&bits) || exponent < 65_537 || exponent % 2 == 0 {
                    return Err(KeyRejection::Weak);
                }
                let material = [n.as_slice(), &e].concat();
                let components = RsaPublicKeyComponents { n, e };
                let parsed = |params| {
                    components.to_parsed_public_key(params).map_err(|_| KeyRejection::Invalid)
                };
                Ok(Self::new(
                    &material,
                    vec![
                        (Algorithm::Rs256, parsed(&signature::RSA_PKCS1_2048_8192_SHA256)?),
                        (Algorithm::Ps256, parsed(&signature::RSA_PSS_2048_8192_SHA256)?),
                    ],
                ))
            }
            AlgorithmParameters::OctetKeyPair(okp) => {
                if okp.curve != EllipticCurve::Ed25519 {
                    return Err(KeyRejection::Unsupported);
                }
                let x = decode(&okp.x)?;
                if x.len() != 32 {
                    return Err(KeyRejection::Invalid);
                }
                let parsed = ParsedPublicKey::new(&signature::ED25519, &x);
                let parsed = parsed.map_err(|_| KeyRejection::Invalid)?;
                Ok(Self::new(&x, vec![(Algorithm::EdDsa, parsed)]))
            }
            AlgorithmParameters::OctetKey(_) => Err(KeyRejection::Symmetric),
            _ => Err(KeyRejection::Unsupported),
        }
    }

    fn new(material: &[u8], verifiers: Vec<(Algorithm, ParsedPublicKey)>) -> Self {
        let hash = digest::digest(&digest::SHA256, material);
        let thumbprint = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
        Self { verifiers, thumbprint }
    }

    /// Whether the key may verify this algorithm at all.
    pub(crate) fn can_verify(&self, algorithm: Algorithm) -> bool {
        self.verifiers.iter().any(|(alg, _)| *alg == algorithm)
    }

    /// Whether `signature` is this key's over `message`. The expensive step.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let verifier = self.verifiers.iter().find(|(alg, _)| *alg == algorithm);
        verifier.is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }
}

fn decode(text: &str) -> Result<Vec<u8>, KeyRejection> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyRejection::Malformed)?;
    if bytes.is_empty() { Err(KeyRejection::Malformed) } else { Ok(bytes) }
}
