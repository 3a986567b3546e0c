//! Tokens and key sets recorded from a real Logto, with the clock where they were recorded.

use auth_core::{
    Accept, Algorithm, Identity, IssuerPolicy, Verifier, VerifyError,
    testing::{KeyFault, TestClock, TestIssuer, TestKeys},
};
use serde_json::Value;

use crate::support::{base64url, block_on, code, split};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/logto/", $name))
    };
}

const LOGTO: &str = "http://127.0.0.1:3001/oidc";
const API: &str = "https://api.cameleer.local";
const CLIENTS: [&str; 2] = ["9mgss0qf0q0x28d80r6oq", "1q6kk3yboz6zleytju964"];

/// The key sets in the order in which they were seen, with the number of their keys.
const STAGES: [(&str, &str, usize); 7] = [
    ("0", fixture!("jwks-0-initial.json"), 1),
    ("1", fixture!("jwks-1-after-first-rotation.json"), 2),
    ("1b", fixture!("jwks-1b-ec-current-rsa-previous.json"), 2),
    ("2", fixture!("jwks-2-after-rsa-rotation.json"), 2),
    ("3", fixture!("jwks-3-during-staged-rotation.json"), 3),
    ("3c", fixture!("jwks-3c-after-staged-activation.json"), 2),
    ("4", fixture!("jwks-4-current.json"), 1),
];

/// Each recorded token: what it is on the organization path, and what on the roles path.
/// An accepted one reads: kind, subject, organization, permissions.
const EXPECTED: &[(&str, &str, &str)] = &[
    (
        "m2m.m2m_resource",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_missing",
    ),
    ("m2m.m2m_resource_noscope", "machine 9mgss0qf0q0x28d80r6oq - []", "roles_missing"),
    ("m2m.m2m_resource_norole", "machine y2oob8kewtijdd6dcprcm - []", "roles_missing"),
    (
        "m2m.m2m_organization",
        "machine 9mgss0qf0q0x28d80r6oq 66ohyuzagcgr [org:read]",
        "wrong_audience",
    ),
    (
        "m2m.m2m_organization_noscope",
        "machine 9mgss0qf0q0x28d80r6oq 66ohyuzagcgr []",
        "wrong_audience",
    ),
    (
        "m2m.m2m_org_resource",
        "machine 9mgss0qf0q0x28d80r6oq 66ohyuzagcgr [read:routes write:routes]",
        "roles_missing",
    ),
    (
        "m2m.m2m_client_secret_post",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes]",
        "roles_missing",
    ),
    ("m2m.m2m_second_secret", "machine 9mgss0qf0q0x28d80r6oq - [read:routes]", "roles_missing"),
    ("user.code_exchange.id_token", "id_token", "id_token"),
    (
        "user.refresh_resource",
        "user acq0va2vxlyy - [read:routes write:routes admin:cluster]",
        "roles_missing",
    ),
    ("user.refresh_resource.id_token", "id_token", "id_token"),
    ("user.refresh_resource_downscoped", "user acq0va2vxlyy - [read:routes]", "roles_missing"),
    ("user.refresh_org", "user acq0va2vxlyy 66ohyuzagcgr [org:read org:manage]", "wrong_audience"),
    ("user.refresh_org.id_token", "id_token", "id_token"),
    ("user.refresh_org_globex", "user acq0va2vxlyy hoehf8s3y377 [org:read]", "wrong_audience"),
    ("user.refresh_org_globex.id_token", "id_token", "id_token"),
    (
        "user.refresh_org_resource",
        "user acq0va2vxlyy 66ohyuzagcgr [read:routes write:routes admin:cluster]",
        "roles_missing",
    ),
    ("user.refresh_org_resource.id_token", "id_token", "id_token"),
    (
        "user.refresh_org_resource_globex",
        "user acq0va2vxlyy hoehf8s3y377 [read:routes write:routes]",
        "roles_missing",
    ),
    ("user.refresh_org_resource_globex.id_token", "id_token", "id_token"),
    ("user.refresh_plain.id_token", "id_token", "id_token"),
    (
        "m2m.custom.roles_array",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "machine 9mgss0qf0q0x28d80r6oq - [agent ingest]",
    ),
    (
        "m2m.custom.tier",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_missing",
    ),
    (
        "m2m.custom.roles_tier_from_app_custom_data",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "machine 9mgss0qf0q0x28d80r6oq - [agent ingest]",
    ),
    (
        "m2m.custom.roles_tier_default",
        "machine y2oob8kewtijdd6dcprcm - []",
        "machine y2oob8kewtijdd6dcprcm - []",
    ),
    (
        "m2m.custom.org_resource",
        "machine 9mgss0qf0q0x28d80r6oq 66ohyuzagcgr [read:routes write:routes]",
        "machine 9mgss0qf0q0x28d80r6oq 66ohyuzagcgr [agent ingest]",
    ),
    (
        "m2m.custom.org_token",
        "machine 9mgss0qf0q0x28d80r6oq 66ohyuzagcgr [org:read]",
        "wrong_audience",
    ),
    (
        "m2m.custom.odd_shapes",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_ill_typed",
    ),
    (
        "m2m.custom.echo_context",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_missing",
    ),
    (
        "m2m.custom.reserved_claims",
        "machine 9mgss0qf0q0x28d80r6oq evil [read:routes write:routes]",
        "machine 9mgss0qf0q0x28d80r6oq evil []",
    ),
    (
        "m2m.custom.reserved_claims_org",
        "machine 9mgss0qf0q0x28d80r6oq evil [read:routes write:routes]",
        "machine 9mgss0qf0q0x28d80r6oq evil []",
    ),
    (
        "m2m.custom.script_throws",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_missing",
    ),
    (
        "m2m.custom.syntax_error",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_missing",
    ),
    (
        "m2m.custom.returns_string",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_missing",
    ),
    (
        "m2m.custom.returns_undefined",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_missing",
    ),
    (
        "m2m.custom.script_throws_block_flag",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_missing",
    ),
    (
        "m2m.custom.script_hangs",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "roles_missing",
    ),
    (
        "m2m.custom.large_token",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "machine 9mgss0qf0q0x28d80r6oq - []",
    ),
    (
        "rotation.rs256",
        "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]",
        "machine 9mgss0qf0q0x28d80r6oq - [agent ingest]",
    ),
];

struct Logto {
    clock: TestClock,
    keys: TestKeys,
    verifier: Verifier,
}

impl Logto {
    fn new(accept: Accept, now: u64, jwks: &'static str) -> Self {
        let clock = TestClock::at_unix(now);
        let keys = TestIssuer::new(LOGTO, Algorithm::Es384).keys();
        keys.fault(KeyFault::Document(jwks.into()));
        let verifier = Verifier::builder()
            .issuer(IssuerPolicy::new("logto", LOGTO).accept(accept), keys.clone())
            .clock(clock.clone())
            .build()
            .expect("the policy is sound");
        block_on(verifier.ready()).expect("the recorded keys are usable");
        Self { clock, keys, verifier }
    }

    fn organization(now: u64, jwks: &'static str) -> Self {
        Self::new(Accept::organization(API).organization_tokens(CLIENTS), now, jwks)
    }

    fn roles(now: u64, jwks: &'static str) -> Self {
        let map = [("agent", "agent"), ("ingest", "ingest"), ("viewer", "viewer")];
        Self::new(Accept::roles(API, map), now, jwks)
    }

    fn told(&self, token: &str) -> String {
        told(&block_on(self.verifier.verify(token)))
    }

    /// The provider shows this set from now on, and the verifier fetches it because of a token
    /// whose key it does not know.
    fn stage(&self, jwks: &'static str, probe: &str) {
        self.keys.fault(KeyFault::Document(jwks.into()));
        self.clock.advance(std::time::Duration::from_secs(11));
        let before = self.keys.fetches();
        assert_eq!(self.told(probe), "unknown_key");
        assert_eq!(self.keys.fetches(), before + 1);
    }
}

fn told(verdict: &Result<Identity, VerifyError>) -> String {
    match verdict {
        Err(_) => code(verdict).to_owned(),
        Ok(identity) => {
            let permissions: Vec<_> = identity.scopes().chain(identity.roles()).collect();
            let organization = identity.organization().unwrap_or("-");
            let kind = identity.kind().as_str();
            format!("{kind} {} {organization} [{}]", identity.subject(), permissions.join(" "))
        }
    }
}

fn recorded(text: &str) -> Value {
    serde_json::from_str(text).expect("the fixture is JSON")
}

/// Name, text and issue time of each token of a fixture.
fn tokens(fixture: &Value) -> Vec<(&str, &str, u64)> {
    let tokens = fixture["tokens"].as_array().expect("the fixture has tokens");
    tokens
        .iter()
        .map(|t| {
            let text = |v| t[v].as_str().expect("a text");
            (text("name"), text("token"), t["payload"]["iat"].as_u64().expect("a time"))
        })
        .collect()
}

fn find(name: &str) -> String {
    let fixture = recorded(fixture!("tokens.json"));
    let found = tokens(&fixture).into_iter().find(|(n, ..)| *n == name);
    found.map(|(_, token, _)| token.to_owned()).expect("the token was recorded")
}

#[test]
fn every_recorded_token() {
    let fixture = recorded(fixture!("tokens.json"));
    let now = fixture["valid_at_unix"].as_u64().expect("a time");
    let tokens = tokens(&fixture);
    let recorded: Vec<_> = tokens.iter().map(|(name, ..)| *name).collect();
    let expected: Vec<_> = EXPECTED.iter().map(|(name, ..)| *name).collect();
    assert_eq!(recorded, expected, "each recorded token has an expectation, and no other");
    for ((name, token, issued), (_, organization, roles)) in tokens.iter().zip(EXPECTED) {
        // One token was recorded a minute after the moment that suits the others.
        let now = now.max(*issued);
        let verifiers =
            [Logto::organization, Logto::roles].map(|v| v(now, fixture!("jwks-all.json")));
        for (logto, expected) in verifiers.iter().zip([organization, roles]) {
            assert_eq!(logto.told(token), *expected, "{name}");
            assert_eq!(logto.told(token), *expected, "{name}, again");
        }
    }
}

#[test]
fn a_token_from_a_minute_ahead() {
    let logto = Logto::organization(1_795_372_000, fixture!("jwks-all.json"));
    assert_eq!(logto.told(&find("rotation.rs256")), "issued_in_future");
}

#[test]
fn tokens_of_browser_flows() {
    let fixture = recorded(fixture!("sign-in-tokens.json"));
    let kinds = fixture["tokens"].as_array().expect("the fixture has tokens").iter();
    let mut seen = [0; 3];
    for ((name, token, issued), kind) in tokens(&fixture).into_iter().zip(kinds) {
        let logto = Logto::organization(issued + 1, fixture!("jwks-4-current.json"));
        let told = logto.told(token);
        let n = match kind["kind"].as_str() {
            Some(kind @ "logout_token") => (0, assert_eq!(told, kind, "{name}")),
            Some(kind @ "id_token") => (1, assert_eq!(told, kind, "{name}")),
            Some("access_token") => {
                (2, assert!(told.starts_with("user ") && told.contains(" - "), "{name}: {told}"))
            }
            kind => panic!("{name} has no expectation for {kind:?}"),
        };
        seen[n.0] += 1;
    }
    assert_eq!(seen, [4, 4, 4]);
}

#[test]
fn the_recorded_discovery_document_names_the_issuer() {
    let discovery = recorded(fixture!("discovery.json"));
    assert_eq!(discovery["issuer"], LOGTO);
    assert_eq!(discovery["jwks_uri"], format!("{LOGTO}/jwks"));
}

#[test]
fn expired_and_altered() {
    let token = find("m2m.m2m_org_resource");
    let at = |now| Logto::organization(now, fixture!("jwks-all.json"));
    assert_eq!(
        at(1_795_375_462 + 14).told(&token),
        "machine 9mgss0qf0q0x28d80r6oq 66ohyuzagcgr [read:routes write:routes]"
    );
    assert_eq!(at(1_795_375_462 + 15).told(&token), "token_expired");
    let [header, payload, signature] = split(&token);
    let other = find("m2m.m2m_resource");
    let [_, other, _] = split(&other);
    let logto = at(1_795_372_000);
    assert_eq!(logto.told(&format!("{header}.{other}.{signature}")), "bad_signature");
    assert_eq!(logto.told(&format!("{header}.{payload}")), "malformed_token");
}

/// A token with the recorded claims that names a key which no set has.
fn probe() -> String {
    let token = find("m2m.m2m_resource");
    let [_, payload, signature] = split(&token);
    format!(
        "{}.{payload}.{signature}",
        base64url(r#"{"alg":"ES384","typ":"at+jwt","kid":"probe"}"#)
    )
}

#[test]
fn every_stage_of_rotation_is_followed() {
    let (first, rsa, probe) = (find("m2m.m2m_org_resource"), find("rotation.rs256"), probe());
    let valid = "machine 9mgss0qf0q0x28d80r6oq 66ohyuzagcgr [read:routes write:routes]";
    let valid_rsa = "machine 9mgss0qf0q0x28d80r6oq - [read:routes write:routes]";
    let logto = Logto::organization(1_795_372_060, STAGES[0].1);
    assert_eq!((logto.told(&first).as_str(), logto.told(&rsa).as_str()), (valid, "unknown_key"));
    for (stage, jwks, keys) in &STAGES[1..] {
        logto.stage(jwks, &probe);
        assert_eq!(logto.verifier.key_status()[0].keys, *keys, "stage {stage}");
        let expected = match *stage {
            // The first key is the previous one now: cached and new tokens of it hold.
            "1" => (valid, "unknown_key"),
            // It is gone, and so is the cached token. The RSA key has no `alg`.
            "1b" => ("unknown_key", valid_rsa),
            _ => ("unknown_key", "unknown_key"),
        };
        let told = (logto.told(&first), logto.told(&rsa));
        assert_eq!((told.0.as_str(), told.1.as_str()), expected, "stage {stage}");
    }
    // The last set signs the tokens of the browser flows, an hour later.
    let fixture = recorded(fixture!("sign-in-tokens.json"));
    let mut newest =
        tokens(&fixture).into_iter().filter(|(name, ..)| name.contains("access_token"));
    let (_, token, issued) = newest.next_back().expect("an access token was recorded");
    logto.clock.advance(std::time::Duration::from_secs(issued - 1_795_372_060));
    assert!(logto.told(token).starts_with("user "));
}

#[test]
fn a_signature_by_a_key_that_is_only_published_yet() {
    // Staged rotation: the next key is in the set twenty seconds before it signs.
    let logto = Logto::organization(1_795_372_060, STAGES[4].1);
    assert_eq!(logto.verifier.key_status()[0].keys, 3);
    logto.stage(STAGES[5].1, &probe());
    assert_eq!(logto.verifier.key_status()[0].keys, 2);
    assert_eq!(logto.verifier.key_status()[0].failures, 0);
}
