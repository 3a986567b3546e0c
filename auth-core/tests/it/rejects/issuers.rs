//! Several issuers side by side: none may speak for another.

use auth_core::{
    Accept, Algorithm, IssuerPolicy, Verifier,
    testing::{TestClock, TestIssuer},
};

use crate::support::{API, NOW, World, block_on, code};

const ONE: &str = "https://one.test/oidc";
const TWO: &str = "https://two.test/oidc";

struct Both {
    one: TestIssuer,
    two: TestIssuer,
    verifier: Verifier,
}

impl Both {
    fn new() -> Self {
        let clock = TestClock::at_unix(NOW);
        let one = TestIssuer::new(ONE, Algorithm::Es384).clock(clock.clone());
        let two = TestIssuer::new(TWO, Algorithm::Es256).clock(clock.clone());
        let verifier = Verifier::builder()
            .issuer(IssuerPolicy::new("one", ONE).accept(Accept::organization(API)), one.keys())
            .issuer(
                IssuerPolicy::new("two", TWO)
                    .accept(Accept::roles(API, [("admin", "server:admin")]))
                    .accept(Accept::organization("https://two-api.test")),
                two.keys(),
            )
            .clock(clock)
            .build()
            .expect("two issuers may name one audience");
        block_on(verifier.ready()).expect("both are up");
        Self { one, two, verifier }
    }

    #[track_caller]
    fn check(&self, what: &str, token: &str, expected: &str) {
        assert_eq!(code(&block_on(self.verifier.verify(token))), expected, "{what}");
        assert_eq!(code(&block_on(self.verifier.verify(token))), expected, "{what}, again");
    }
}

#[test]
fn each_has_its_own_keys_audiences_and_path() {
    let both = Both::new();
    let old = NOW - 60;
    let one = both.one.token(API).claim("iat", old).scopes(["read"]).roles(["admin"]).sign();
    let two = both.two.token(API).claim("iat", old).scopes(["read"]).roles(["admin"]).sign();
    let one = block_on(both.verifier.verify(&one)).expect("a token of one");
    let two = block_on(both.verifier.verify(&two)).expect("a token of two");
    assert_eq!(
        (one.issuer_name(), one.issuer(), one.path().as_str()),
        ("one", ONE, "organization")
    );
    assert_eq!((two.issuer_name(), two.issuer(), two.path().as_str()), ("two", TWO, "roles"));
    assert_eq!((one.has_scope("read"), one.roles().count()), (true, 0));
    assert_eq!((two.scopes().count(), two.has_role("server:admin")), (0, true));

    let token = both.one.token("https://two-api.test").claim("iat", old).sign();
    both.check("one's token for two's API", &token, "wrong_audience");
}

#[test]
fn a_key_of_one_does_not_sign_for_the_other() {
    let both = Both::new();
    let old = NOW - 60;
    // Two signs, and claims to be one: with its own kid, and with one's.
    let forged = both.two.token(API).claim("iat", old).claim("iss", ONE);
    both.check("two's kid", &forged.sign(), "unknown_key");
    let kid = both.one.current_key().kid().to_owned();
    both.check("one's kid", &forged.header("kid", kid.as_str()).sign(), "algorithm_mismatch");
    let forged =
        both.two.token(API).claim("iat", old).claim("iss", ONE).header("kid", kid.as_str());
    both.check("one's alg too", &forged.header("alg", "ES384").sign(), "bad_signature");
    // The wrong issuer, with the other's good key and kid.
    let token = both.one.token(API).claim("iat", old).claim("iss", TWO).sign();
    both.check("one's key as two", &token, "unknown_key");
    let token = both.one.token(API).claim("iat", old).claim("iss", "https://three.test").sign();
    both.check("one's key as nobody", &token, "untrusted_issuer");
}

#[test]
fn equal_kids_stay_apart() {
    // Two tenants of one provider may share a `kid`, by chance or by design.
    let clock = TestClock::at_unix(NOW);
    let one = TestIssuer::new(ONE, Algorithm::Es256).clock(clock.clone());
    let two = TestIssuer::new(TWO, Algorithm::Es256).clock(clock.clone());
    let keys = |issuer: &TestIssuer| {
        let mut jwk = issuer.current_key().jwk().clone();
        jwk["kid"] = "shared".into();
        let document = serde_json::json!({ "keys": [jwk] }).to_string();
        auth_core::keys::StaticKeys::from_json(document).expect("a good key")
    };
    let policy =
        |name: &str, url: &str| IssuerPolicy::new(name, url).accept(Accept::organization(API));
    let verifier = Verifier::builder()
        .issuer(policy("one", ONE), keys(&one))
        .issuer(policy("two", TWO), keys(&two))
        .clock(clock)
        .build()
        .expect("sound");
    block_on(verifier.ready()).expect("static keys are there");
    let token = |by: &TestIssuer, iss: &str| {
        by.token(API).claim("iat", NOW - 60).claim("iss", iss).header("kid", "shared").sign()
    };
    let told = |token: &str| code(&block_on(verifier.verify(token)));
    let (good_one, good_two) = (token(&one, ONE), token(&two, TWO));
    for _ in 0..2 {
        assert_eq!(told(&good_one), "ok");
        assert_eq!(told(&good_two), "ok");
        assert_eq!(told(&token(&one, TWO)), "bad_signature");
        assert_eq!(told(&token(&two, ONE)), "bad_signature");
    }
    assert_eq!(verifier.cache_status().entries, 2);
}

#[test]
fn the_admin_tenant_is_no_issuer() {
    let world = World::new();
    let admin =
        TestIssuer::new("https://id.test:3002/oidc", Algorithm::Es384).clock(world.clock.clone());
    for audience in [
        "https://default.logto.app/api",
        "https://admin.logto.app/me",
        "https://x1y2z3.logto.app/api",
    ] {
        let token = admin.token(audience).claim("iat", NOW - 60).scopes(["all"]).sign();
        world.refuses(audience, &token, "admin_tenant_token");
        // The same audience from the trusted issuer is the Management API all the same.
        let token = world.token_for(audience).scopes(["all"]).sign();
        world.refuses(audience, &token, "admin_tenant_token");
    }
    world.refuses("our API", &admin.token(API).sign(), "untrusted_issuer");
    for audience in [
        "https://evil-logto.app/api",
        "http://default.logto.app/api",
        "https://logto.app.evil.test/api",
    ] {
        world.refuses(audience, &world.token_for(audience).sign(), "wrong_audience");
    }
}
