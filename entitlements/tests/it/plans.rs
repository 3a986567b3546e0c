//! Cases beside the plans, and what changes for whom when plans change.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use entitlements::store::{Actor, Change, Store};
use entitlements::testing::{PLANS, license, store};
use entitlements::{
    Catalog, EntitlementService, License, LicenseKind, PlanCases, Reason, TenantId, TenantRecord,
    TenantRef, TenantStatus, orphans,
};

use crate::catalog;

const CASES: &str = include_str!("../../../plans_test.toml");

/// Numeric limits and add-ons, beside what the shipped plans have.
const LIMITS: &str = r#"
schema  = 1
catalog = "limits"
tiers   = ["one", "two"]
[features]
max_agents = { type = "number", unit = "agents" }
replay     = { type = "switch" }
[matrix]
max_agents = [5, 50]
replay     = ["no", "no"]
[addons.agents]
max_agents = 10
[addons.replay_pack]
replay = "yes"
"#;

#[test]
fn the_shipped_plans_keep_their_promises() {
    let cases = PlanCases::parse(CASES, &catalog()).unwrap_or_else(|error| panic!("{error}"));
    assert!(cases.len() >= 10);
    for outcome in cases.run() {
        assert!(outcome.passed(), "{}: {:?}", outcome.name, outcome.differences);
    }
}

#[test]
fn a_cell_that_changes_is_found_by_a_case() {
    for (from, to) in [
        (
            "exchange_replay           = [\"no\",      \"no\", ",
            "exchange_replay           = [\"no\",      \"yes\",",
        ),
        ("[7,         30,", "[7,         31,"),
        ("\"7d\"", "\"8d\""),
    ] {
        assert!(PLANS.contains(from), "{from}");
        let other = Catalog::parse(&PLANS.replace(from, to)).expect("it is right");
        let outcomes = PlanCases::parse(CASES, &other).expect("the cases still read").run();
        assert!(outcomes.iter().any(|outcome| !outcome.passed()), "{to}");
    }
}

#[test]
fn numeric_limits_add_up_times_the_quantity() {
    let limits = Catalog::parse(LIMITS).expect("it is right");
    let text = r#"
[[test]]
name     = "five of the tier and ten for each of three packs"
now      = "2026-11-22T12:00:00Z"
licenses = [{ plan = "one" }, { plan = "agents", kind = "addon", quantity = 3 }, { plan = "replay_pack", kind = "addon" }]
expect   = { max_agents = 35, replay = "yes" }
[[test]]
name      = "a set replaces the sum, a raise below it does nothing"
now       = "2026-11-22T12:00:00Z"
licenses  = [{ plan = "two" }, { plan = "agents", kind = "addon" }]
overrides = [{ feature = "max_agents", raise = 59 }, { feature = "replay", set = "yes" }]
expect    = { max_agents = 60, replay = "yes" }
[[test]]
name     = "an add-on alone opens nothing, and has its grace beside a tier"
now      = "2026-11-22T12:00:00Z"
licenses = [{ plan = "agents", kind = "addon" }]
state    = "no_license"
expect   = { max_agents = 0, replay = "no" }
"#;
    let outcomes = PlanCases::parse(text, &limits).unwrap_or_else(|error| panic!("{error}")).run();
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes {
        assert!(outcome.passed(), "{}: {:?}", outcome.name, outcome.differences);
    }
    assert!(limits.need("max_agents=40").is_ok(), "a route can ask for a limit");
}

/// The text is refused at the first place where `at` stands in it.
#[track_caller]
fn wrong(text: &str, at: &str, parts: &[&str]) {
    let limits = Catalog::parse(LIMITS).expect("it is right");
    let error = PlanCases::parse(text, &limits).expect_err("it is wrong");
    let before = &text[..text.find(at).expect("the place is in the text")];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    assert_eq!((error.line(), error.column()), (line, column), "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn mistakes_in_cases_are_told_with_their_place() {
    let case = |fields: &str, expect: &str| {
        format!(
            "[[test]]\nname = \"a\"\nnow = \"2026-11-22T12:00:00Z\"\n{fields}\nexpect = {expect}\n"
        )
    };
    let all = "{ max_agents = 5, replay = \"no\" }";
    wrong(&case("", "{ max_agents = 5 }"), "{ max", &["nothing is expected of feature `replay`"]);
    wrong(&case("", "{ max_agents = 5, replay = \"no\", gone = 1 }"), "gone", &["not declared"]);
    wrong(&case("", "{ max_agents = \"5\", replay = \"no\" }"), "\"5\"", &["a whole number"]);
    wrong(&case("licences = []", all), "licences", &["unknown key `licences`", "`licenses`"]);
    wrong(
        &case("licenses = [{ plan = \"three\" }]", all),
        "\"three\"",
        &["no tier `three`", "`one`, `two`"],
    );
    wrong(
        &case("licenses = [{ plan = \"one\", kind = \"addon\" }]", all),
        "\"one\"",
        &["no add-on `one`"],
    );
    wrong(
        &case("licenses = [{ plan = \"one\", kind = \"basic\" }]", all),
        "\"basic\"",
        &["license kind"],
    );
    wrong(&case("licenses = [{ plan = \"one\", quantity = 2 }]", all), "2 }", &["only an add-on"]);
    wrong(
        &case("licenses = [{ plan = \"one\", kind = \"trial\" }]", all),
        "{ plan",
        &["a trial has an end"],
    );
    wrong(&case("licenses = [{ plan = \"one\", end = 1 }]", all), "end = ", &["unknown key `end`"]);
    wrong(
        &case("licenses = [{ plan = \"one\", ends = \"soon\" }]", all),
        "\"soon\"",
        &["RFC 3339"],
    );
    wrong(&case("overrides = [{ feature = \"replay\" }]", all), "{ feature", &["no single effect"]);
    wrong(
        &case("overrides = [{ feature = \"replay\", set = \"maybe\" }]", all),
        "\"maybe\"",
        &["no value"],
    );
    wrong(&case("state = \"fine\"", all), "\"fine\"", &["no state `fine`", "`grace`"]);
    wrong(&case("tier = \"three\"", all), "\"three\"", &["no tier `three`", "`none`"]);
    let twice = case("", all) + &case("", all).replace("[[test]]", "\n[[test]]");
    let error =
        PlanCases::parse(&twice, &Catalog::parse(LIMITS).expect("right")).expect_err("twice");
    assert!(error.to_string().contains("case `a` stands there twice"), "{error}");
    wrong("", "", &["there is no case", "[[test]]"]);
}

fn acme(licenses: Vec<License>) -> TenantRecord {
    TenantRecord {
        id: "acme".parse().expect("it is a tenant id"),
        name: "Acme".to_owned(),
        status: TenantStatus::Active,
        status_reason: None,
        revision: 1,
        licenses,
        overrides: Vec::new(),
    }
}

#[test]
fn a_difference_names_who_gains_and_who_loses() {
    let old = Catalog::parse(LIMITS).expect("it is right");
    let same = Catalog::parse(&format!("# a comment\n{LIMITS}")).expect("it is right");
    assert_eq!(old.changes_to(&same), []);
    let text = LIMITS
        .replace("[5, 50]", "[4, 60]")
        .replace("[\"no\", \"no\"]", "[\"no\", \"yes\"]")
        .replace("[addons.agents]\nmax_agents = 10\n", "[addons.seats]\nmax_agents = 10\n");
    let new = Catalog::parse(&text).expect("it is right");
    let told: Vec<_> = old
        .changes_to(&new)
        .into_iter()
        .map(|change| (change.whose, change.what, change.loss))
        .collect();
    let expected = [
        ("one", "max_agents", true),
        ("two", "max_agents", false),
        ("two", "replay", false),
        ("addon:agents", "tier", true),
        ("addon:seats", "tier", false),
    ];
    assert_eq!(told, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c)));

    let at = SystemTime::UNIX_EPOCH;
    let one = License { starts_at: at, ..license("lic_1", "one") };
    let changes = old.changes_for(&new, &acme(vec![one]), at);
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].old.as_deref(), changes[0].new.as_deref()), (Some("5"), Some("4")));
    assert!(changes[0].loss);
}

#[test]
fn levels_are_compared_by_name_and_lost_features_are_losses() {
    let gone = PLANS
        .lines()
        .filter(|line| !line.starts_with("exchange_replay"))
        .collect::<Vec<_>>()
        .join("\n");
    let new = Catalog::parse(&gone).expect("it is right");
    let lost: Vec<_> = catalog().changes_to(&new);
    assert!(lost.iter().all(|change| change.loss && change.what == "exchange_replay"));
    assert_eq!(lost.iter().map(|c| c.whose.as_str()).collect::<Vec<_>>(), ["high", "business"]);
    // One more level between two others moves the ranks, and takes nothing from anybody.
    let finer = PLANS
        .replace("\"off\", \"limited\", \"full\"", "\"off\", \"least\", \"limited\", \"full\"");
    assert_eq!(catalog().changes_to(&Catalog::parse(&finer).expect("it is right")), []);
    let strict = PLANS.replace("\"7d\"", "\"1d\"").replace("\"lowest\"", "\"deny\"");
    let changes = catalog().changes_to(&Catalog::parse(&strict).expect("it is right"));
    assert_eq!(changes.iter().filter(|change| change.loss).count(), 2, "{changes:?}");
}

#[test]
fn a_live_license_that_nobody_knows_is_an_orphan() {
    let limits = Catalog::parse(LIMITS).expect("it is right");
    let at = SystemTime::UNIX_EPOCH;
    let live = License { starts_at: at, ..license("lic_1", "three") };
    let revoked = License { revoked_at: Some(at), id: "lic_2".to_owned(), ..live.clone() };
    let addon = License { kind: LicenseKind::Addon, id: "lic_3".to_owned(), ..live.clone() };
    let known = License { plan: "two".to_owned(), id: "lic_4".to_owned(), ..live.clone() };
    let found = orphans(&limits, &acme(vec![live, revoked, addon, known]), at);
    let names: Vec<_> = found.iter().map(|it| (it.tenant.as_str(), it.license.as_str())).collect();
    assert_eq!(names, [("acme", "lic_1"), ("acme", "lic_3")]);
    let aliased = Catalog::parse(&format!("{LIMITS}\n[aliases]\nthree = \"two\"")).expect("right");
    let left =
        orphans(&aliased, &acme(vec![License { starts_at: at, ..license("lic_1", "three") }]), at);
    assert_eq!(left, []);
}

/// The shipped plans, with a tier of another name in the place of `high`.
fn renamed(tier: &str) -> Catalog {
    Catalog::parse(&PLANS.replace("\"high\"", &format!("\"{tier}\""))).expect("it is right")
}

/// A store with the shipped plans, and `acme` and `globex` on these tiers; `lic_acme` is a license.
async fn sold(tiers: [&str; 2]) -> Arc<dyn Store> {
    let (store, by, at) = (store(), Actor::person("test"), SystemTime::UNIX_EPOCH);
    store.publish(&catalog(), &by, at).await.expect("it is published");
    for (tenant, tier) in ["acme", "globex"].into_iter().zip(tiers) {
        let (id, name): (TenantId, _) = (tenant.parse().expect("a tenant id"), tenant.to_owned());
        let license = license(&format!("lic_{tenant}"), tier);
        for change in [
            Change::AddTenant { id: id.clone(), name, organizations: Vec::new() },
            Change::GrantLicense { tenant: id, license },
        ] {
            store.apply(&change, &by, at).await.expect("it is applied");
        }
    }
    store
}

/// Longer than the time between two looks at the plans.
const A_WHILE: Duration = Duration::from_secs(40);

#[tokio::test(start_paused = true)]
async fn plans_that_orphan_a_license_are_served_and_do_not_become_current() {
    let store = sold(["high", "mid"]).await;
    let plans = renamed("upper");
    let service = EntitlementService::with_store(Arc::clone(&store), plans.clone()).start();
    tokio::time::sleep(A_WHILE).await;
    assert!(service.ready() && service.status().catalog_differs);
    let current = async || store.current_digest().await.expect("it answers").expect("one is there");
    assert_eq!(current().await, catalog().digest());
    let ask = async |tenant: &str| {
        let id: TenantId = tenant.parse().expect("a tenant id");
        service.entitlements(TenantRef::Id(&id)).await.expect("it is known")
    };
    assert_eq!(ask("globex").await.tier(), Some("mid"), "the others are served");
    let denial = ask("acme").await.usable().expect_err("nobody knows the plan");
    assert_eq!(denial.reason, Reason::UnknownPlan);

    // Whoever does what the refusal says need not start it again.
    let license = "lic_acme".to_owned();
    let revoke = Change::RevokeLicense { license, reason: "another tier".to_owned() };
    let at = SystemTime::UNIX_EPOCH;
    store.apply(&revoke, &Actor::person("test"), at).await.expect("it is revoked");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(current().await, plans.digest());
    assert!(!service.status().catalog_differs);
}

#[tokio::test(start_paused = true)]
async fn plans_that_were_refused_do_not_replace_later_ones() {
    let store = sold(["high", "mid"]).await;
    let _service = EntitlementService::with_store(Arc::clone(&store), renamed("upper")).start();
    tokio::time::sleep(A_WHILE).await;
    let later = Catalog::parse(&PLANS.replace("\"7d\"", "\"8d\"")).expect("it is right");
    let (by, at) = (Actor::person("test"), SystemTime::UNIX_EPOCH);
    store.publish(&later, &by, at).await.expect("it knows everybody");
    tokio::time::sleep(A_WHILE).await;
    let license = "lic_acme".to_owned();
    let revoke = Change::RevokeLicense { license, reason: "another tier".to_owned() };
    store.apply(&revoke, &by, at).await.expect("it is revoked");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(store.current_digest().await.expect("it answers").as_deref(), Some(later.digest()));
}
