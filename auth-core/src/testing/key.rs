//! A signing key that is made anew for each test.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::token::Algorithm;

/// A freshly generated key pair with its public JWK.
pub struct TestKey {
    algorithm: Algorithm,
    pair: Pair,
    jwk: Value,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed(Ed25519KeyPair),
}

const MADE: &str = "the machine has random numbers";

impl TestKey {
    /// A new key for this algorithm; its `kid` is the thumbprint (RFC 7638).
    ///
    /// # Panics
    ///
    /// If the machine has no random numbers.
    pub fn generate(algorithm: Algorithm) -> Self {
        let (pair, mut jwk) = match algorithm {
            Algorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", 48),
            Algorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", 32),
            Algorithm::Rs256 | Algorithm::Ps256 => rsa(),
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().expect(MADE);
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                (Pair::Ed(pair), json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
            }
        };
        let canonical = jwk.to_string();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        jwk["kid"] = json!(URL_SAFE_NO_PAD.encode(hash));
        jwk["use"] = json!("sig");
        // As Logto does: EC keys name their algorithm, RSA keys do not.
        if !matches!(pair, Pair::Rsa(_)) {
            jwk["alg"] = json!(algorithm.as_str());
        }
        Self { algorithm, pair, jwk }
    }

    /// The public JWK, with `kid`.
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// The `kid`.
    ///
    /// # Panics
    ///
    /// Never: every key is made with one.
    pub fn kid(&self) -> &str {
        self.jwk["kid"].as_str().expect("every test key has a kid")
    }

    /// The algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A compact JWS over exactly these bytes.
    pub fn sign(&self, header: &str, payload: &str) -> String {
        let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let input = format!("{header}.{payload}");
        let signature = URL_SAFE_NO_PAD.encode(self.sign_bytes(input.as_bytes()));
        format!("{input}.{signature}")
    }

    fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, message).expect(MADE).as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if self.algorithm == Algorithm::Ps256 {
                        &RSA_PSS_SHA256
                    } else {
                        &RSA_PKCS1_SHA256
                    };
                pair.sign(padding, &random, message, &mut signature).expect(MADE);
                signature
            }
        }
    }
}

fn ec(
    algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm,
    curve: &str,
    len: usize,
) -> (Pair, Value) {
    let pair = EcdsaKeyPair::generate(algorithm).expect(MADE);
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(len);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    (Pair::Ec(pair), json!({"crv": curve, "kty": "EC", "x": x, "y": y}))
}

fn rsa() -> (Pair, Value) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect(MADE);
    let public = pair.public_key();
    let n = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
    let e = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
    (Pair::Rsa(pair), json!({"e": e, "kty": "RSA", "n": n}))
}

impl std::fmt::Debug for TestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestKey").field("kid", &self.kid()).finish_non_exhaustive()
    }
}
