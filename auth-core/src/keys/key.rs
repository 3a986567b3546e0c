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
    verifiers: Verifiers,
    /// SHA-256 of everything that a verdict by this key rests on: its `kid`, its algorithms and its
    /// numbers. A cached verdict holds as long as such a key is in the set.
    pub(crate) fingerprint: [u8; 32],
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
    /// An RSA modulus under 2048 or over 8192 bits, a small or even exponent, or an Ed25519 point of
    /// small order, for which one signature fits many messages.
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
        if PRIVATE.iter().any(|member| value.get(member).is_some()) {
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
        let (material, mut verifiers) = Self::from_parameters(&jwk.algorithm)?;
        if let Some(named) = named {
            verifiers.retain(|(alg, _)| *alg == named);
            if verifiers.is_empty() {
                return Err(KeyRejection::AlgorithmMismatch);
            }
        }
        let fingerprint = fingerprint(&kid, &verifiers, &material);
        Ok((kid, Self { verifiers, fingerprint }))
    }

    /// The public numbers, and what they can verify.
    fn from_parameters(
        parameters: &AlgorithmParameters,
    ) -> Result<(Vec<u8>, Verifiers), KeyRejection> {
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
                let parsed = parsed.map_err(|_| KeyRejection::Invalid)?;
                Ok((point, vec![(alg, parsed)]))
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
                let verifiers = vec![
                    (Algorithm::Rs256, parsed(&signature::RSA_PKCS1_2048_8192_SHA256)?),
                    (Algorithm::Ps256, parsed(&signature::RSA_PSS_2048_8192_SHA256)?),
                ];
                Ok((material, verifiers))
            }
            AlgorithmParameters::OctetKeyPair(okp) => {
                if okp.curve != EllipticCurve::Ed25519 {
                    return Err(KeyRejection::Unsupported);
                }
                let x = decode(&okp.x)?;
                let Ok(point) = <[u8; 32]>::try_from(x.as_slice()) else {
                    return Err(KeyRejection::Invalid);
                };
                if has_small_order(point) {
                    return Err(KeyRejection::Weak);
                }
                let parsed = ParsedPublicKey::new(&signature::ED25519, &x);
                let parsed = parsed.map_err(|_| KeyRejection::Invalid)?;
                Ok((x, vec![(Algorithm::EdDsa, parsed)]))
            }
            AlgorithmParameters::OctetKey(_) => Err(KeyRejection::Symmetric),
            _ => Err(KeyRejection::Unsupported),
        }
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

type Verifiers = Vec<(Algorithm, ParsedPublicKey)>;

/// The members that only a private key has (RFC 7518, section 6; RFC 8037, section 2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

fn fingerprint(kid: &str, verifiers: &Verifiers, material: &[u8]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    let algorithms: String = verifiers.iter().flat_map(|(alg, _)| [alg.as_str(), " "]).collect();
    // Each part after its length, so that no two keys are written alike.
    for part in [kid.as_bytes(), algorithms.as_bytes(), material] {
        hash.update(&part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Whether an Ed25519 point is one of the eight whose multiples are few, in any encoding.
fn has_small_order(mut point: [u8; 32]) -> bool {
    // The sign of x makes no difference to the order.
    point[31] &= 0x7f;
    SMALL_ORDER.contains(&point)
}

/// The y coordinates, little-endian, of the points of small order: 0, 1, p - 1, the two of order 8,
/// and p and p + 1, which some decoders take for 0 and 1.
const SMALL_ORDER: [[u8; 32]; 7] = {
    const fn end(first: u8) -> [u8; 32] {
        let mut y = [0xff; 32];
        y[0] = first;
        y[31] = 0x7f;
        y
    }
    const fn small(first: u8) -> [u8; 32] {
        let mut y = [0; 32];
        y[0] = first;
        y
    }
    [small(0), small(1), end(0xec), end(0xed), end(0xee), ORDER_8[0], ORDER_8[1]]
};

const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

fn decode(text: &str) -> Result<Vec<u8>, KeyRejection> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyRejection::Malformed)?;
    if bytes.is_empty() { Err(KeyRejection::Malformed) } else { Ok(bytes) }
}
