//! Which keys of a set are used, and why the others are not.

use auth_core::{
    Algorithm,
    keys::{KeyRejection, KeySet},
    testing::{KeyFault, TestKey},
};
use serde_json::{Value, json};

use crate::support::{World, base64url};

/// Beside a good key, this one is left out for this reason; alone, it makes no set.
#[track_caller]
fn check(what: &str, key: &Value, why: KeyRejection) {
    let good = TestKey::generate(Algorithm::EdDsa);
    for keys in [json!([good.jwk(), key]), json!([key, good.jwk()])] {
        let document = json!({ "keys": keys }).to_string();
        let set = KeySet::parse("test", document.as_bytes()).expect("the other key is good");
        let kid = key["kid"].as_str();
        assert_eq!(set.rejected().collect::<Vec<_>>(), [(kid, why)], "{what}");
        assert_eq!(set.len(), 1, "{what}");
    }
    let error = KeySet::parse("test", json!({ "keys": [key] }).to_string().as_bytes());
    let error = error.expect_err(what).to_string();
    assert!(error.contains(&why.to_string()), "{what}: `{error}` should say `{why}`");
}

/// A good key of this algorithm with members changed; `null` takes one away.
fn changed(algorithm: Algorithm, changes: &Value) -> Value {
    let mut jwk = TestKey::generate(algorithm).jwk().clone();
    let members = jwk.as_object_mut().expect("a JWK is an object");
    for (name, value) in changes.as_object().expect("changes are an object") {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    jwk
}

#[track_caller]
fn change(algorithm: Algorithm, changes: &Value, why: KeyRejection) {
    check(&format!("{algorithm}: {changes}"), &changed(algorithm, changes), why);
}

/// An RSA key with a modulus of so many bits and this exponent.
fn rsa(bits: usize, exponent: &[u8]) -> Value {
    let mut modulus = vec![0xa5; bits.div_ceil(8)];
    modulus[0] = 0xff >> (8 * modulus.len() - bits);
    let (n, e) = (base64url(modulus), base64url(exponent));
    json!({"kty": "RSA", "kid": "rsa", "use": "sig", "n": n, "e": e})
}

#[test]
fn secrets_in_public() {
    check("oct", &json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0"}), KeyRejection::Symmetric);
    let hs = json!({"kty": "oct", "kid": "k", "alg": "HS256", "k": "c2VjcmV0"});
    check("oct with alg", &hs, KeyRejection::Symmetric);
    for algorithm in Algorithm::ALL {
        change(algorithm, &json!({"d": "AAAA"}), KeyRejection::Private);
    }
    change(Algorithm::Rs256, &json!({"d": 7}), KeyRejection::Private);
    for member in ["p", "q", "dp", "dq", "qi", "oth"] {
        change(Algorithm::Rs256, &json!({ member: "AAAA" }), KeyRejection::Private);
    }
}

/// For such a key the signature R = A, S = 0 fits every eighth message or all of them.
#[test]
fn weak_ed25519() {
    let y = |first: u8, rest: u8, last: u8| [vec![first], vec![rest; 30], vec![last]].concat();
    let order_8 = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    for point in [
        y(0, 0, 0),
        y(1, 0, 0),
        y(0, 0, 0x80),
        y(1, 0, 0x80),
        y(0xec, 0xff, 0x7f),
        y(0xec, 0xff, 0xff),
        y(0xed, 0xff, 0x7f),
        y(0xee, 0xff, 0xff),
        order_8.to_vec(),
    ] {
        change(Algorithm::EdDsa, &json!({"x": base64url(point)}), KeyRejection::Weak);
    }
}

#[test]
fn weak_rsa() {
    let f4 = [1, 0, 1];
    for bits in [512, 1024, 2040, 2047] {
        check("short modulus", &rsa(bits, &f4), KeyRejection::Weak);
    }
    for bits in [8193, 16_384] {
        check("long modulus", &rsa(bits, &f4), KeyRejection::Weak);
    }
    for exponent in
        [&[1][..], &[3], &[17], &[0], &[1, 0, 0], &[1, 0, 2], &[0, 0, 3], &[1; 9], &[0xff; 256]]
    {
        check("exponent", &rsa(2048, exponent), KeyRejection::Weak);
    }
    // Zeros in front do not make a short modulus long.
    let short = base64url([vec![0; 128], vec![0xff; 128]].concat());
    check(
        "1024 bits and zeros",
        &json!({"kty": "RSA", "kid": "k", "n": short, "e": "AQAB"}),
        KeyRejection::Weak,
    );
    let short = base64url([vec![0; 140], vec![0xff; 128]].concat());
    check(
        "more zeros",
        &json!({"kty": "RSA", "kid": "k", "n": short, "e": "AQAB"}),
        KeyRejection::Invalid,
    );
}

#[test]
fn numbers_that_are_no_key() {
    let zero = |n: usize| base64url(vec![0; n]);
    for (algorithm, len) in [(Algorithm::Es256, 32), (Algorithm::Es384, 48)] {
        change(algorithm, &json!({"x": zero(len)}), KeyRejection::Invalid);
        change(algorithm, &json!({"x": zero(len), "y": zero(len)}), KeyRejection::Invalid);
        change(algorithm, &json!({"x": base64url(vec![0xff; len])}), KeyRejection::Invalid);
        change(algorithm, &json!({"x": base64url(vec![1; len - 1])}), KeyRejection::Invalid);
        change(algorithm, &json!({"y": base64url(vec![1; len + 1])}), KeyRejection::Invalid);
        for bad in [json!(""), json!("===="), json!("a b"), json!("A")] {
            change(algorithm, &json!({ "x": bad }), KeyRejection::Malformed);
        }
        for bad in [json!(7), json!([]), json!({}), Value::Null] {
            change(algorithm, &json!({ "y": bad }), KeyRejection::Unsupported);
        }
    }
    change(Algorithm::EdDsa, &json!({"x": base64url([1; 31])}), KeyRejection::Invalid);
    change(Algorithm::EdDsa, &json!({"x": base64url([1; 33])}), KeyRejection::Invalid);
    change(Algorithm::Rs256, &json!({"n": ""}), KeyRejection::Malformed);
    change(Algorithm::Rs256, &json!({"e": ""}), KeyRejection::Malformed);
    change(Algorithm::Rs256, &json!({"e": "AQAB=="}), KeyRejection::Malformed);
}

#[test]
fn other_types_curves_and_algorithms() {
    let p521 = json!({"kty": "EC", "crv": "P-521", "kid": "k", "x": base64url([1; 66]), "y": base64url([1; 66])});
    check("P-521", &p521, KeyRejection::Unsupported);
    let ml_dsa = json!({"kty": "AKP", "alg": "ML-DSA-65", "kid": "k", "pub": "AAAA"});
    check("AKP", &ml_dsa, KeyRejection::Unsupported);
    check(
        "X25519",
        &changed(Algorithm::EdDsa, &json!({"crv": "X25519", "alg": null})),
        KeyRejection::Unsupported,
    );
    for alg in [
        "HS256",
        "none",
        "RS384",
        "RS512",
        "PS384",
        "ES512",
        "ES256K",
        "RSA-OAEP",
        "RSA-OAEP-256",
        "x",
        "",
    ] {
        change(Algorithm::Rs256, &json!({ "alg": alg }), KeyRejection::Unsupported);
    }
    change(Algorithm::Es256, &json!({"alg": 7}), KeyRejection::Unsupported);
    change(Algorithm::Es256, &json!({"alg": "ES384"}), KeyRejection::AlgorithmMismatch);
    change(Algorithm::Es384, &json!({"alg": "RS256"}), KeyRejection::AlgorithmMismatch);
    change(Algorithm::Rs256, &json!({"alg": "EdDSA"}), KeyRejection::AlgorithmMismatch);
    change(Algorithm::EdDsa, &json!({"alg": "ES256"}), KeyRejection::AlgorithmMismatch);
    // A curve that its numbers do not fit.
    change(Algorithm::Es256, &json!({"crv": "P-384", "alg": null}), KeyRejection::Invalid);
    for kty in ["ec", "DH", ""] {
        change(Algorithm::Es256, &json!({ "kty": kty }), KeyRejection::Unsupported);
    }
    change(Algorithm::Es256, &json!({"kty": 7}), KeyRejection::Malformed);
    change(Algorithm::Es256, &json!({"kty": null}), KeyRejection::Malformed);
}

#[test]
fn purpose() {
    change(Algorithm::Es256, &json!({"use": "enc"}), KeyRejection::NotForSignatures);
    change(Algorithm::Es256, &json!({"use": "x"}), KeyRejection::NotForSignatures);
    for ops in [json!(["sign"]), json!(["encrypt", "wrapKey"]), json!([])] {
        change(Algorithm::Es256, &json!({ "key_ops": ops }), KeyRejection::NotForSignatures);
    }
    let verify = changed(Algorithm::Es256, &json!({"key_ops": ["sign", "verify"]}));
    assert_eq!(
        KeySet::parse("test", json!({"keys": [verify]}).to_string().as_bytes())
            .expect("good")
            .len(),
        1
    );
}

#[test]
fn kid() {
    change(Algorithm::Es256, &json!({"kid": null}), KeyRejection::NoKid);
    change(Algorithm::Es256, &json!({"kid": ""}), KeyRejection::NoKid);
    change(Algorithm::Es256, &json!({"kid": 7}), KeyRejection::Malformed);
    for value in [json!("text"), json!(7), json!([]), json!({}), json!(true)] {
        check("no key at all", &value, KeyRejection::Malformed);
    }
}

#[test]
fn two_keys_with_one_kid_mean_neither() {
    let named = |algorithm| changed(algorithm, &json!({"kid": "shared"}));
    for others in [vec![Algorithm::Es256], vec![Algorithm::Es384, Algorithm::Rs256]] {
        let world = World::cold(Algorithm::Es256, |b| b);
        let mut keys = vec![world.issuer.current_key().jwk().clone(), named(Algorithm::Es256)];
        keys.extend(others.into_iter().map(named));
        let document = json!({ "keys": keys }).to_string();
        let set = KeySet::parse("test", document.as_bytes()).expect("one is good");
        assert_eq!(set.len(), 1);
        assert_eq!(
            set.rejected().collect::<Vec<_>>(),
            [(Some("shared"), KeyRejection::DuplicateKid)]
        );
        world.keys.fault(KeyFault::Document(document.into()));
        world.accepts("the good one", &world.token().sign());
    }
    let keys = json!({"keys": [named(Algorithm::Es256), named(Algorithm::Es256)]}).to_string();
    drop(KeySet::parse("test", keys.as_bytes()).expect_err("none is left"));
}

#[test]
fn a_key_under_two_kids_is_two_names_of_one_key() {
    let world = World::cold(Algorithm::Es256, |b| b);
    let mut other = world.issuer.current_key().jwk().clone();
    other["kid"] = json!("other");
    let keys = json!({"keys": [world.issuer.current_key().jwk(), other]}).to_string();
    world.keys.fault(KeyFault::Document(keys.into()));
    world.accepts("its name", &world.token().sign());
    world.accepts("its other name", &world.token().header("kid", "other").sign());
}

#[test]
fn every_bad_key_beside_a_good_one() {
    let world = World::cold(Algorithm::Es384, |b| b);
    let keys = json!({"keys": [
        {"kty": "oct", "kid": "a", "k": "AAAA"}, 7, null, {}, {"kty": "RSA"}, rsa(1024, &[1, 0, 1]), rsa(2048, &[3]),
        {"kty": "AKP", "kid": "b", "alg": "ML-DSA-44", "pub": "AAAA"},
        world.issuer.current_key().jwk(),
        changed(Algorithm::Es256, &json!({"use": "enc"})), changed(Algorithm::Es256, &json!({"d": "AAAA"})),
    ]});
    let set = KeySet::parse("test", keys.to_string().as_bytes()).expect("one is good");
    assert_eq!((set.len(), set.rejected().count()), (1, 10));
    world.keys.fault(KeyFault::Document(keys.to_string().into()));
    world.accepts("the good one", &world.token().sign());
}

#[test]
fn too_many_keys() {
    let keys =
        |n: usize| json!({"keys": vec![TestKey::generate(Algorithm::EdDsa).jwk(); n]}).to_string();
    drop(KeySet::parse("test", keys(101).as_bytes()).expect_err("more than 100"));
    let distinct: Vec<_> =
        (0..100).map(|n| changed(Algorithm::EdDsa, &json!({"kid": n.to_string()}))).collect();
    let set = KeySet::parse("test", json!({ "keys": distinct }).to_string().as_bytes());
    assert_eq!(set.expect("a hundred is allowed").len(), 100);
}
