//! One issuer, one verifier, one clock that stands still.

use std::time::Duration;

use auth_core::{
    Accept, Algorithm, Identity, IssuerPolicy, Verifier, VerifierBuilder, VerifyError,
    testing::{TestClock, TestIssuer, TestKeys, TokenBuilder},
};

/// The moment at which every test begins.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://id.test/oidc";
pub(crate) const API: &str = "https://api.test";
pub(crate) const ROLES_API: &str = "https://server.test";
pub(crate) const SINGLE_API: &str = "https://single.test";

pub(crate) struct World {
    pub(crate) clock: TestClock,
    pub(crate) issuer: TestIssuer,
    pub(crate) keys: TestKeys,
    pub(crate) verifier: Verifier,
}

impl World {
    /// An ES384 issuer whose keys have been loaded at [`NOW`].
    pub(crate) fn new() -> Self {
        Self::with(Algorithm::Es384)
    }

    pub(crate) fn with(algorithm: Algorithm) -> Self {
        let world = Self::cold(algorithm, |builder| builder);
        block_on(world.verifier.ready()).expect("the issuer is up");
        world
    }

    /// The same before any key has been loaded, with other settings.
    pub(crate) fn cold(
        algorithm: Algorithm,
        settings: impl FnOnce(VerifierBuilder) -> VerifierBuilder,
    ) -> Self {
        let clock = TestClock::at_unix(NOW);
        let issuer = TestIssuer::new(ISSUER, algorithm).clock(clock.clone());
        let keys = issuer.keys();
        let builder = Verifier::builder().issuer(policy(), keys.clone()).clock(clock.clone());
        let verifier = settings(builder).build().expect("the policy is sound");
        Self { clock, issuer, keys, verifier }
    }

    /// A good token, issued a minute ago: the key set is younger, so an unknown key is the token's
    /// fault.
    pub(crate) fn token(&self) -> TokenBuilder {
        self.token_for(API)
    }

    pub(crate) fn token_for(&self, audience: &str) -> TokenBuilder {
        self.issuer.token(audience).claim("iat", NOW - 60)
    }

    /// The token is refused with this code however it is asked, and leaves nothing in the cache.
    #[track_caller]
    pub(crate) fn refuses(&self, what: &str, token: &str, code: &str) {
        let shown = || format!("{what}: {}", token.get(..200).unwrap_or(token));
        let signatures = || self.verifier.cache_status().signatures;
        let before = signatures();
        for _ in 0..2 {
            match block_on(self.verifier.verify(token)) {
                Ok(_) => panic!("accepted, expected {code}: {}", shown()),
                Err(error) => assert_eq!(error.reason().code(), code, "{}", shown()),
            }
        }
        match self.verifier.verify_now(token) {
            // A key that is not in the set is for `verify` to judge.
            None => assert_eq!(code, "unknown_key", "{}", shown()),
            Some(Ok(_)) => panic!("accepted without waiting, expected {code}: {}", shown()),
            Some(Err(error)) => assert_eq!(error.reason().code(), code, "{}", shown()),
        }
        assert_eq!(self.verifier.cache_status().entries, 0, "{}", shown());
        if !AFTER_THE_SIGNATURE.contains(&code) {
            assert_eq!(signatures(), before, "an expensive check was wasted: {}", shown());
        }
    }

    /// The token is accepted, and the cache gives the same identity.
    #[track_caller]
    pub(crate) fn accepts(&self, what: &str, token: &str) -> Identity {
        let cold = match block_on(self.verifier.verify(token)) {
            Ok(identity) => identity,
            Err(error) => panic!("refused with {:?} ({error}): {what}: {token}", error.reason()),
        };
        let cached = self.verifier.verify_cached(token).expect(what).expect(what);
        assert!(cold == cached, "the cache tells another identity: {what}");
        cold
    }

    #[track_caller]
    pub(crate) fn code(&self, token: &str) -> &'static str {
        code(&block_on(self.verifier.verify(token)))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// What only a true token is told; everything else is refused before the signature is checked.
const AFTER_THE_SIGNATURE: [&str; 7] = [
    "bad_signature",
    "client_not_accepted",
    "conflicting_organizations",
    "invalid_claims",
    "no_organization",
    "roles_ill_typed",
    "roles_missing",
];

/// `ok`, or the reason code.
pub(crate) fn code(verdict: &Result<Identity, VerifyError>) -> &'static str {
    verdict.as_ref().map_or_else(|error| error.reason().code(), |_| "ok")
}

/// Both paths, each with its own audience.
pub(crate) fn policy() -> IssuerPolicy {
    IssuerPolicy::new("test", ISSUER)
        .accept(Accept::organization(API).organization_tokens(["agent_1"]))
        .accept(Accept::roles(ROLES_API, [("admin", "server:admin"), ("viewer", "server:viewer")]))
        .accept(Accept::roles(SINGLE_API, [("admin", "admin")]).single_tenant("acme", ["app_1"]))
}

/// Runs a future on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(future)
}

/// The parts of a token.
pub(crate) fn split(token: &str) -> [&str; 3] {
    let mut parts = token.split('.');
    let mut next = || parts.next().expect("a signed token has three parts");
    [next(), next(), next()]
}

/// Base64url without padding.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.as_ref().chunks(3) {
        let group = chunk.iter().fold(0_usize, |group, byte| (group << 8) | usize::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(group >> (18 - 6 * digit)) & 63]));
        }
    }
    text
}
