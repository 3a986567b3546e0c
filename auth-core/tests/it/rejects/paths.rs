//! Organizations and roles: which claims name the tenant, and what a token must bring on each path.

use auth_core::{Accept, Algorithm, IssuerPolicy, Kind, Verifier, testing::TokenBuilder};
use serde_json::json;

use crate::support::{API, ISSUER, ROLES_API, SINGLE_API, World};

fn refuses(
    what: &str,
    audience: &str,
    change: impl FnOnce(TokenBuilder) -> TokenBuilder,
    code: &str,
) {
    let world = World::new();
    world.refuses(what, &change(world.token_for(audience)).sign(), code);
}

#[test]
fn organization_claim() {
    for value in [
        json!(null),
        json!(""),
        json!(7),
        json!(["org_a"]),
        json!({"id": "org_a"}),
        json!(true),
        json!("a b"),
        json!("a\nb"),
        json!("ö"),
        json!("x".repeat(257)),
    ] {
        for audience in [API, ROLES_API] {
            let set = |t: TokenBuilder| t.roles(["admin"]).claim("organization_id", value.clone());
            refuses(&format!("organization_id: {value}"), audience, set, "invalid_claims");
        }
    }
    let world = World::new();
    let identity = world.accepts("organization", &world.token().organization("org_a").sign());
    assert_eq!(identity.organization(), Some("org_a"));
    let identity = world.accepts("none", &world.token().scopes(["platform:admin"]).sign());
    assert_eq!((identity.organization(), identity.single_tenant()), (None, None));
}

#[test]
fn organization_audience() {
    let urn = "urn:logto:organization:org_a";
    let world = World::new();
    let identity = world.accepts("a named client", &world.token_for(urn).machine("agent_1").sign());
    assert_eq!(identity.organization(), Some("org_a"));
    assert_eq!((identity.kind(), identity.audience()), (Kind::Machine, urn));

    refuses("a client that is not named", urn, |t| t.client("agent_2"), "client_not_accepted");
    refuses("the client of another block", urn, |t| t.client("app_1"), "client_not_accepted");
    refuses("no client", urn, |t| t.without("client_id"), "invalid_claims");
    let both = |t: TokenBuilder| t.client("agent_1").organization("org_a");
    refuses("both", urn, both, "conflicting_organizations");
    let both = |t: TokenBuilder| t.client("agent_1").organization("org_b");
    refuses("both, different", urn, both, "conflicting_organizations");
    for (aud, code) in [
        ("urn:logto:organization:", "invalid_claims"),
        ("urn:logto:organization: ", "invalid_claims"),
        ("urn:logto:organization:a b", "invalid_claims"),
        ("urn:logto:organization:a\r\nX-Tenant-Id: b", "invalid_claims"),
        ("urn:logto:organization:ö", "invalid_claims"),
        ("urn:logto:organization:\u{0}", "invalid_claims"),
        ("URN:logto:organization:org_a", "wrong_audience"),
        (" urn:logto:organization:org_a", "wrong_audience"),
        ("https://evil.test/urn:logto:organization:org_a", "wrong_audience"),
        ("urn:logto:organizations:org_a", "wrong_audience"),
    ] {
        refuses(aud, aud, |t| t.client("agent_1"), code);
    }
    let long = format!("urn:logto:organization:{}", "x".repeat(257));
    refuses("a long id", &long, |t| t.client("agent_1"), "invalid_claims");
}

#[test]
fn organization_audience_where_no_block_takes_it() {
    let world = World::new();
    let policy = IssuerPolicy::new("test", ISSUER)
        .accept(Accept::organization(API))
        .accept(Accept::roles(ROLES_API, [("a", "b")]).organization_tokens(["agent_1"]));
    let verifier = Verifier::builder()
        .issuer(policy, world.issuer.keys())
        .clock(world.clock.clone())
        .build()
        .expect("sound");
    let token = world.token_for("urn:logto:organization:org_a").client("agent_1").sign();
    let verdict = crate::support::block_on(verifier.verify(&token));
    assert_eq!(crate::support::code(&verdict), "wrong_audience");
}

#[test]
fn roles_path() {
    let check = |value: serde_json::Value, code| {
        let set = |t: TokenBuilder| t.claim("roles", value.clone());
        refuses(&format!("roles: {value}"), ROLES_API, set, code);
    };
    refuses("no roles", ROLES_API, |t| t, "roles_missing");
    refuses(
        "scopes are no roles",
        ROLES_API,
        |t| t.scopes(["admin", "server:admin"]),
        "roles_missing",
    );
    check(json!(null), "roles_missing");
    for value in [
        json!("admin"),
        json!("admin viewer"),
        json!(1),
        json!(true),
        json!({"admin": true}),
        json!([1]),
        json!([null]),
        json!(["admin", 1]),
        json!(["admin", null]),
        json!([["admin"]]),
        json!([{"name": "admin"}]),
    ] {
        check(value, "roles_ill_typed");
    }
}

#[test]
fn roles_are_mapped_exactly_and_once() {
    let world = World::new();
    let roles = |value: serde_json::Value| {
        let token = world.token_for(ROLES_API).claim("roles", value).scopes(["read"]).sign();
        let identity = world.accepts("roles", &token);
        assert_eq!(identity.scopes().count(), 0, "scopes are ignored on the roles path");
        identity.roles().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(roles(json!([])), Vec::<String>::new());
    assert_eq!(roles(json!(["admin"])), ["server:admin"]);
    assert_eq!(roles(json!(["viewer", "admin", "viewer"])), ["server:viewer", "server:admin"]);
    // Nothing reaches the server under its own name, in other letters, or as a part.
    let foreign =
        json!(["Admin", "admin ", "server:admin", "adm", "admins", "", "platform:admin", "ädmin"]);
    assert_eq!(roles(foreign), Vec::<String>::new());
}

#[test]
fn ill_typed_scopes_do_not_matter_on_the_roles_path() {
    let world = World::new();
    for scope in [json!(7), json!(null), json!(["admin"]), json!("a\"b")] {
        let token = world.token_for(ROLES_API).roles(["admin"]).claim("scope", scope).sign();
        assert_eq!(world.accepts("scope", &token).scopes().count(), 0);
    }
}

#[test]
fn single_tenant() {
    let world = World::new();
    let token = |t: TokenBuilder| world.accepts("single tenant", &t.roles(["admin"]).sign());
    let identity = token(world.token_for(SINGLE_API));
    assert_eq!((identity.single_tenant(), identity.organization()), (Some("acme"), None));
    // The token's own organization comes first.
    let identity = token(world.token_for(SINGLE_API).organization("org_a"));
    assert_eq!((identity.single_tenant(), identity.organization()), (None, Some("org_a")));
    let identity = token(world.token_for(SINGLE_API).organization("org_a").client("app_2"));
    assert_eq!(identity.organization(), Some("org_a"));
    // A block without `single_tenant` binds nobody.
    assert_eq!(token(world.token_for(ROLES_API)).single_tenant(), None);

    refuses(
        "another client",
        SINGLE_API,
        |t| t.roles(["admin"]).client("app_2"),
        "client_not_accepted",
    );
    refuses("no roles", SINGLE_API, |t| t, "roles_missing");
}

#[test]
fn policies_that_do_not_stop_the_start_would_be_ambiguous() {
    let world = World::new();
    let build = |policies: Vec<IssuerPolicy>| {
        let builder =
            policies.into_iter().fold(Verifier::builder(), |b, p| b.issuer(p, world.issuer.keys()));
        builder.build().map(drop).map_err(|e| e.to_string())
    };
    let one = |accept: Vec<Accept>| {
        let policy = accept.into_iter().fold(IssuerPolicy::new("a", ISSUER), IssuerPolicy::accept);
        build(vec![policy])
    };
    let org = || Accept::organization(API);
    let refused = |result: Result<(), String>, what: &str| {
        let error = result.expect_err(what);
        assert!(error.contains(what), "`{error}` should say `{what}`");
    };
    assert_eq!(one(vec![org()]), Ok(()));
    refused(build(vec![]), "no issuer");
    refused(one(vec![]), "accepts no audience");
    refused(one(vec![org(), org()]), "in two blocks");
    refused(one(vec![org(), Accept::roles(API, [("a", "b")])]), "in two blocks");
    let both = vec![
        org().organization_tokens(["agent"]),
        Accept::organization("https://b.test").organization_tokens(["agent"]),
    ];
    refused(one(both), "in two blocks");
    refused(one(vec![Accept::organization("")]), "`audience` is empty");
    refused(one(vec![Accept::organization("urn:logto:organization:x")]), "is an organization");
    refused(one(vec![org().organization_tokens([""])]), "empty id");
    refused(one(vec![Accept::roles::<&str, &str>(API, [])]), "`roles` is empty");
    refused(one(vec![Accept::roles(API, [("a", "")])]), "empty name");
    let none: [&str; 0] = [];
    refused(
        one(vec![Accept::roles(API, [("a", "b")]).single_tenant("t", none)]),
        "at least one client",
    );
    let named = |name: &str, url: &str| IssuerPolicy::new(name, url).accept(org());
    refused(build(vec![named("a", ISSUER), named("b", ISSUER)]), "stands twice");
    refused(build(vec![named("a", ISSUER), named("a", "https://b.test")]), "stands twice");
    refused(build(vec![named("", ISSUER)]), "`name` is empty");
    refused(build(vec![named("a", "")]), "`url` is empty");
    refused(
        build(vec![named("a", ISSUER).algorithms([] as [Algorithm; 0])]),
        "`algorithms` is empty",
    );
}
