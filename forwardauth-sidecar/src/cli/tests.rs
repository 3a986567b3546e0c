//! The commands about plans, tenants and licenses, from their arguments to what they print.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use entitlements::store::{self, Mode};
use serde_json::Value as Json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};

use super::{CliError, audit, license, overrides, plans, store_copy, tenant};

#[derive(Parser)]
enum Command {
    Plans(plans::PlansArgs),
    Tenant(tenant::TenantArgs),
    License(license::LicenseArgs),
    Override(overrides::OverrideArgs),
    Audit(audit::AuditArgs),
    Store(store_copy::StoreArgs),
}

/// A store in a folder of its own, and the shipped plans beside it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plans.toml"), entitlements::testing::PLANS).unwrap();
        Self { folder }
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("tiergate.db").display())
    }

    fn plans(&self) -> OsString {
        self.folder.path().join("plans.toml").into_os_string()
    }

    /// Runs a command line; the store and the plans are added to it. What stands in `'` is one word.
    async fn run(&self, line: &str) -> Result<String, CliError> {
        let (code, text) = self.ask(line).await?;
        assert_eq!(code, format!("{:?}", ExitCode::SUCCESS), "{text}");
        Ok(text)
    }

    /// The answer to a question that is no.
    async fn run_for_no(&self, line: &str) -> String {
        let (code, text) = self.ask(line).await.unwrap();
        assert_eq!(code, format!("{:?}", ExitCode::from(1)), "{text}");
        text
    }

    /// The exit code and what was printed.
    async fn ask(&self, line: &str) -> Result<(String, String), CliError> {
        let mut words: Vec<OsString> = vec!["tiergate".into()];
        for (index, part) in line.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(part.into());
            } else {
                words.extend(part.split_whitespace().map(OsString::from));
            }
        }
        if words[1] != "plans" && words[1] != "store" {
            words.extend(["--store".into(), self.url().into(), "--plans".into(), self.plans()]);
        }
        let command =
            Command::try_parse_from(words).map_err(|error| CliError::usage(error.to_string()))?;
        let mut out = Vec::new();
        let code = match command {
            Command::Plans(args) => plans::run(args, &mut out).await?,
            Command::Tenant(args) => tenant::run(args, &mut out).await?,
            Command::License(args) => license::run(args, &mut out).await?,
            Command::Override(args) => overrides::run(args, &mut out).await?,
            Command::Audit(args) => audit::run(args, &mut out).await?,
            Command::Store(args) => store_copy::run(args, &mut out).await?,
        };
        Ok((format!("{code:?}"), String::from_utf8(out).unwrap()))
    }

    #[track_caller]
    fn expect_usage(outcome: Result<String, CliError>, parts: &[&str]) {
        let error = match outcome {
            Ok(text) => panic!("it went through: {text}"),
            Err(error) => error,
        };
        assert_eq!(format!("{:?}", error.exit_code()), format!("{:?}", ExitCode::from(2)));
        for part in parts {
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
    }
}

#[tokio::test]
async fn a_tenant_from_its_first_day_to_its_last() {
    let bench = Bench::new();
    let text =
        bench.run("tenant add acme --issuer https://id.test/oidc --organization org_1").await;
    assert!(text.unwrap().starts_with("added tenant `acme`, named by organization org_1"));
    let text =
        bench.run("license grant acme --tier low --ends 2999-01-01T00:00:00Z").await.unwrap();
    assert!(text.contains("until 2999-01-01T00:00:00Z, grace 7d"), "{text}");

    let shown: Json =
        serde_json::from_str(&bench.run("tenant show acme --json").await.unwrap()).unwrap();
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["tier"], "low");
    assert_eq!(shown["features"]["payload_lineage"], "limited");
    assert_eq!(shown["features"]["exchange_replay"], false);
    assert_eq!(shown["features"]["retention_days"], 7);
    assert_eq!(shown["organizations"][0]["organization"], "org_1");

    // An upgrade beside the old license; the tenant's name alone would be ambiguous now.
    let granted = bench.run("license grant acme --tier business --json").await.unwrap();
    let granted: Json = serde_json::from_str(&granted).unwrap();
    assert_eq!(granted["standing"], "active");
    let ambiguous = bench.run("license revoke acme").await;
    Bench::expect_usage(ambiguous, &["several licenses", "(low)", "(business)"]);
    let id = granted["license"].as_str().unwrap();
    bench.run(&format!("license revoke {id} --reason refund")).await.unwrap();
    Bench::expect_usage(bench.run(&format!("license revoke {id}")).await, &["revoked already"]);

    let list = bench.run("license list acme").await.unwrap();
    assert!(list.contains("revoked") && list.contains("active"), "{list}");
    bench.run("license suspend acme --reason unpaid").await.unwrap();
    let shown = bench.run("tenant show acme").await.unwrap();
    assert!(shown.contains("license_suspended") && shown.contains("(unpaid)"), "{shown}");
    bench.run("license resume acme").await.unwrap();

    bench.run("tenant suspend acme").await.unwrap();
    let list = bench.run("tenant list").await.unwrap();
    assert!(
        list.lines().any(|line| line.starts_with("acme") && line.contains("suspended")),
        "{list}"
    );
    bench.run("tenant activate acme").await.unwrap();
    bench.run("tenant close acme --reason gone").await.unwrap();
    Bench::expect_usage(bench.run("tenant activate acme").await, &["stays closed"]);
    Bench::expect_usage(bench.run("tenant add acme").await, &["tenant `acme` exists already"]);
    Bench::expect_usage(bench.run("license grant acme --tier low").await, &["is closed"]);
}

#[tokio::test]
async fn mistakes_are_told_with_their_remedy() {
    let bench = Bench::new();
    let missing = bench.run("tenant list").await;
    Bench::expect_usage(missing, &["there is no store", "tiergate.db"]);
    assert!(!bench.folder.path().join("tiergate.db").exists(), "reading creates nothing");

    bench.run("tenant add acme").await.unwrap();
    let check =
        async |line: &str, parts: &[&str]| Bench::expect_usage(bench.run(line).await, parts);
    check("tenant add Acme", &["is not a tenant id"]).await;
    check("tenant add other --issuer https://id.test", &["--organization"]).await;
    check("tenant show acm", &["there is no tenant `acm`", "did you mean `acme`?"]).await;
    check("license grant acm --tier low", &["did you mean `acme`?"]).await;
    check(
        "license grant acme --tier gold",
        &["no tier `gold`", "`low`, `mid`, `high`, `business`"],
    )
    .await;
    check("license grant acme --addon more", &["no add-on `more`"]).await;
    check("license grant acme", &["--tier"]).await;
    check("license grant acme --tier low --trial", &["--ends"]).await;
    check("license grant acme --tier low --ends tomorrow", &["RFC 3339"]).await;
    check("license grant acme --tier low --grace 7", &["`7d`"]).await;
    check("license grant acme --tier low --ends 2020-01-01T00:00:00Z", &["give a later end"]).await;
    check("license revoke lic_nothing", &["there is no license `lic_nothing`"]).await;
    check("license revoke acme", &["no license that this can be done to"]).await;
}

#[tokio::test]
async fn a_new_store_learns_the_plans_from_its_first_change() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    std::fs::remove_file(bench.plans()).unwrap();
    let words = ["tiergate", "license", "grant", "acme", "--tier", "mid", "--store"];
    let words = words.into_iter().map(OsString::from).chain([bench.url().into()]);
    let Ok(Command::License(args)) = Command::try_parse_from(words) else { panic!("it parses") };
    license::run(args, &mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn one_organization_names_one_tenant() {
    let bench = Bench::new();
    bench.run("tenant add acme --issuer https://id.test --organization org_1").await.unwrap();
    bench.run("tenant add globex").await.unwrap();
    let taken = bench.run("tenant map globex --issuer https://id.test --organization org_1").await;
    Bench::expect_usage(taken, &["is mapped to tenant `acme` already"]);
    // Another issuer may use the same id.
    bench.run("tenant map globex --issuer https://other.test --organization org_1").await.unwrap();
    bench.run("tenant unmap --issuer https://id.test --organization org_1").await.unwrap();
    bench.run("tenant map globex --issuer https://id.test --organization org_1").await.unwrap();
    let shown = bench.run("tenant show globex").await.unwrap();
    assert_eq!(shown.matches("named by  org_1 of ").count(), 2, "{shown}");
}

#[tokio::test]
async fn plans_are_checked_and_rendered() {
    let bench = Bench::new();
    let file = bench.plans();
    let file = file.to_str().unwrap();
    let text = bench.run(&format!("plans check {file}")).await.unwrap();
    assert!(text.contains("4 tiers, 6 features"), "{text}");
    let table = bench.run(&format!("plans render {file}")).await.unwrap();
    assert!(table.contains("\n| payload_lineage | limited | full | full | full |\n"), "{table}");

    std::fs::write(
        file,
        entitlements::testing::PLANS.replace("\"full\", \"full\", \"full\"]", "\"full\"]"),
    )
    .unwrap();
    let outcome = bench.run(&format!("plans check {file}")).await;
    Bench::expect_usage(
        outcome,
        &["plans.toml:16:1", "2 values for 4 tiers", "give one for each of"],
    );
}

#[tokio::test]
async fn a_store_is_copied_and_the_copy_verified() {
    let bench = Bench::new();
    bench.run("tenant add acme --issuer https://id.test --organization org_1").await.unwrap();
    bench.run("license grant acme --tier mid").await.unwrap();
    let copy = format!("sqlite:{}", bench.folder.path().join("copy.db").display());
    let file = bench.folder.path().join("address");
    std::fs::write(&file, format!("{copy}\n")).unwrap();
    let line = format!("store copy {} @{} --json", bench.url(), file.display());
    let answer: Json = serde_json::from_str(&bench.run(&line).await.unwrap()).unwrap();
    assert_eq!(answer["rows"]["tenants"], 1);
    assert_eq!(answer["rows"]["licenses"], 1);
    assert_eq!(answer["audit_entries_followed"], 2);
    assert_eq!(answer["changed_meanwhile"], serde_json::json!([]));

    // It is full now, and stays as it is.
    Bench::expect_usage(bench.run(&line).await, &["not empty", "name a new one"]);
    let third = bench.folder.path().join("third.db");
    let line = format!("store copy {copy} sqlite:{}", third.display());
    let told = bench.run(&line).await.unwrap();
    for part in ["licenses", "sha-256", "one chain of 2 entries", "did not change"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains(answer["sha256"].as_str().unwrap()), "{told}");
    let missing = format!("store copy sqlite:{}/none.db {copy}", bench.folder.path().display());
    Bench::expect_usage(bench.run(&missing).await, &["there is no store"]);
}

#[tokio::test]
async fn exceptions_have_a_reason_and_an_end() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    bench.run("license grant acme --tier mid").await.unwrap();
    let line = "override add acme exchange_replay --raise yes --ends 2999-01-01T00:00:00Z \
                --reason 'promised by sales' --ticket ACME-7 --by sue --json";
    let added: Json = serde_json::from_str(&bench.run(line).await.unwrap()).unwrap();
    assert_eq!((&added["standing"], &added["value"]), (&"active".into(), &"yes".into()));
    assert_eq!((&added["ticket"], &added["created_by"]), (&"ACME-7".into(), &"sue".into()));
    let shown = bench.run("tenant show acme").await.unwrap();
    assert!(shown.contains("by sue") && shown.contains("promised by sales"), "{shown}");
    Bench::expect_usage(bench.run(line).await, &["is in force in that time", "revoke it first"]);

    let text = bench
        .run(
            "override add acme retention_days --set 400 --permanent --reason contract \
              --starts 2998-01-01T00:00:00Z",
        )
        .await;
    assert!(text.unwrap().contains("set to 400 `retention_days`"));
    bench
        .run("override add acme payload_lineage --deny --permanent --reason 'their wish'")
        .await
        .unwrap();
    let shown: Json =
        serde_json::from_str(&bench.run("tenant show acme --json").await.unwrap()).unwrap();
    assert_eq!(shown["features"]["payload_lineage"], "off");
    assert_eq!(shown["features"]["retention_days"], 30);

    let list = bench.run("override list acme").await.unwrap();
    for part in ["active", "scheduled", "permanent", "promised by sales (ACME-7)"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    let id = added["override"].as_str().unwrap();
    bench.run(&format!("override revoke {id} --reason 'sold by now'")).await.unwrap();
    Bench::expect_usage(bench.run(&format!("override revoke {id}")).await, &["revoked already"]);
    assert!(!bench.run("override list").await.unwrap().contains(id));
    let all: Json =
        serde_json::from_str(&bench.run("override list --all --json").await.unwrap()).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[0]["standing"], "revoked");
    let log: Json = serde_json::from_str(&bench.run("audit list --json").await.unwrap()).unwrap();
    assert!(log.to_string().contains("sold by now"));
}

#[tokio::test]
async fn exceptions_that_make_no_sense_are_refused() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    let check = async |rest: &str, parts: &[&str]| {
        let outcome = bench.run(&format!("override add acme {rest}")).await;
        Bench::expect_usage(outcome, parts);
    };
    check("exchange_replay --raise yes --reason 'a promise'", &["--ends", "--permanent"]).await;
    check("exchange_replay --permanent --reason 'a promise'", &["--raise", "--set", "--deny"])
        .await;
    check("exchange_replay --deny --permanent", &["--reason"]).await;
    check("exchange_replay --deny --permanent --reason '  x  '", &["less than 5 characters"]).await;
    check("exchange_replay --deny --set yes --permanent --reason 'a promise'", &["--set"]).await;
    check(
        "replay --deny --permanent --reason 'a promise'",
        &["no feature `replay`", "`exchange_replay`"],
    )
    .await;
    check(
        "exchange_replay --raise 3 --permanent --reason 'a promise'",
        &["no value `3`", "`yes` or `no`"],
    )
    .await;
    check(
        "exchange_replay --raise no --permanent --reason 'a promise'",
        &["raises nothing", "--deny"],
    )
    .await;
    check(
        "exchange_replay --deny --ends 2020-01-01T00:00:00Z --reason 'a promise'",
        &["never hold"],
    )
    .await;
    Bench::expect_usage(
        bench.run("override add acm topology_graph --deny --permanent --reason 'a promise'").await,
        &["did you mean `acme`?"],
    );
    let nothing = bench.run("override revoke ovr_none").await;
    Bench::expect_usage(nothing, &["no override `ovr_none`", "tiergate override list"]);
}

#[tokio::test]
async fn the_audit_log_is_listed_and_followed() {
    let bench = Bench::new();
    bench.run("tenant add acme --by sue").await.unwrap();
    bench.run("tenant add globex").await.unwrap();
    bench.run("tenant suspend acme --reason 'not paid'").await.unwrap();
    let list = bench.run("audit list --tenant acme").await.unwrap();
    assert!(
        list.contains("tenant.add") && list.contains("sue") && list.contains("not paid"),
        "{list}"
    );
    assert!(!list.contains("globex"), "{list}");
    let later = bench.run("audit list --since 2999-01-01T00:00:00Z --json").await.unwrap();
    assert_eq!(later.trim(), "[]");
    let all: Json = serde_json::from_str(&bench.run("audit list --json").await.unwrap()).unwrap();
    assert_eq!(all[2]["after"]["status"], "suspended");

    let text = bench.run("audit verify").await.unwrap();
    assert!(text.contains("intact: 3 entries"), "{text}");
    let head = text.lines().last().unwrap().strip_prefix("head ").unwrap().to_owned();
    assert_eq!(head, format!("3:{}", all[2]["hash"].as_str().unwrap()));
    bench.run("tenant activate acme").await.unwrap();
    bench.run(&format!("audit verify --expect {head}")).await.unwrap();
    let other = format!("audit verify --expect 2:{}", head.strip_prefix("3:").unwrap());
    assert!(bench.run_for_no(&other).await.contains("BROKEN at entry 2"));
    let cut = format!("audit verify --expect 9:{}", head.strip_prefix("3:").unwrap());
    assert!(bench.run_for_no(&cut).await.contains("ends at entry 4"));
    Bench::expect_usage(bench.run("audit verify --expect 3").await, &["SEQ:HASH"]);
}

#[tokio::test]
async fn what_billing_grants_twice_is_one_license() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    let line = "license grant acme --tier mid --ends 2999-01-01T00:00:00Z \
                --source billing --source-ref sub_42";
    let first: Json =
        serde_json::from_str(&bench.run(&format!("{line} --json")).await.unwrap()).unwrap();
    assert_eq!((&first["changed"], &first["source"]), (&true.into(), &"billing".into()));
    let again: Json =
        serde_json::from_str(&bench.run(&format!("{line} --json")).await.unwrap()).unwrap();
    assert_eq!((&again["changed"], &again["license"]), (&false.into(), &first["license"]));
    assert!(bench.run(line).await.unwrap().starts_with("no change: `sub_42` of billing"));
    let all: Json = serde_json::from_str(&bench.run("license list --json").await.unwrap()).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1);
    let log: Json = serde_json::from_str(&bench.run("audit list --json").await.unwrap()).unwrap();
    assert_eq!(log.as_array().unwrap().len(), 2, "no change is no entry");

    let other = line.replace("mid", "high").replace("2999", "2998");
    let parts = ["plan is `mid`, not `high`", "end is `2999-", "not `2998-", "grant the new one"];
    Bench::expect_usage(bench.run(&other).await, &parts);
    bench.run("tenant add globex").await.unwrap();
    let stolen = bench.run(&line.replace("acme", "globex")).await;
    Bench::expect_usage(stolen, &["tenant is `acme`, not `globex`"]);
    // Another source may use the same name; a source without a name cannot be told apart.
    bench.run(&line.replace("billing", "import")).await.unwrap();
    let nameless = bench.run("license grant acme --tier mid --source billing").await;
    Bench::expect_usage(nameless, &["--source-ref"]);
    bench.run(&format!("license revoke {}", first["license"].as_str().unwrap())).await.unwrap();
    assert!(bench.run(line).await.unwrap().contains("already, and revoked"));
}

/// A billing system says the same thing again for years, whatever the plans are called by then.
#[tokio::test]
async fn what_billing_grants_twice_is_one_license_also_after_the_plans_have_changed() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    let line = "license grant acme --tier mid --starts 2026-01-01T00:00:00.1234567Z \
                --ends 2999-01-01T00:00:00.000000999Z --source billing --source-ref sub_42";
    bench.run(line).await.unwrap();
    // Finer than the store keeps it: it is the same moment all the same.
    assert!(bench.run(line).await.unwrap().starts_with("no change"));

    let plans = entitlements::testing::PLANS;
    let renamed = plans.replace("\"mid\"", "\"medium\"") + "\n[aliases]\nmid = \"medium\"\n";
    std::fs::write(bench.plans(), renamed).unwrap();
    assert!(bench.run(line).await.unwrap().starts_with("no change"), "under the old name");
    let new_name = line.replace("--tier mid", "--tier medium");
    assert!(bench.run(&new_name).await.unwrap().starts_with("no change"), "under the new one");
    let other = bench.run(&line.replace("--tier mid", "--tier high")).await;
    Bench::expect_usage(other, &["plan is `mid`, not `high`"]);

    std::fs::write(bench.plans(), plans.replace("\"mid\"", "\"medium\"")).unwrap();
    assert!(bench.run(line).await.unwrap().starts_with("no change"), "it is sold no more");
    let new = bench.run(&line.replace("sub_42", "sub_43")).await;
    Bench::expect_usage(new, &["there is no tier `mid`"]);
    let all: Json = serde_json::from_str(&bench.run("license list --json").await.unwrap()).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1);
}

const CONFIG: &str = r#"
schema = 1
plans  = "plans.toml"
[gateway]
listen          = "127.0.0.1:4180"
proxy           = "traefik"
trusted_proxies = ["127.0.0.1/32"]
[store]
url = "sqlite:tiergate.db"
[[issuer]]
name = "test"
url  = "https://id.test/oidc"
  [[issuer.accept]]
  path     = "organization"
  audience = "https://api.test"
[routes."app.test"]
"GET /topology" = { scopes = ["traces:read"], features = ["topology_graph"] }
"#;

const LIMITS: &str = r#"
schema  = 1
catalog = "limits"
tiers   = ["one", "two"]
[features]
max_agents = { type = "number", unit = "agents" }
[matrix]
max_agents = [5, 50]
[addons.agents]
max_agents = 10
"#;

#[tokio::test]
async fn limits_are_numbers_and_add_ons_count_as_often_as_bought() {
    let bench = Bench::new();
    std::fs::write(bench.plans(), LIMITS).unwrap();
    bench.run("tenant add acme").await.unwrap();
    bench.run("license grant acme --tier one").await.unwrap();
    let granted = bench.run("license grant acme --addon agents --quantity 3 --json").await.unwrap();
    let granted: Json = serde_json::from_str(&granted).unwrap();
    assert_eq!((&granted["kind"], &granted["quantity"]), (&"addon".into(), &3.into()));
    let agents = async || {
        let shown = bench.run("tenant show acme --json").await.unwrap();
        let shown: Json = serde_json::from_str(&shown).unwrap();
        shown["features"]["max_agents"].as_u64().unwrap()
    };
    assert_eq!(agents().await, 35);
    bench.run("license grant acme --addon agents").await.unwrap();
    assert_eq!(agents().await, 45, "one more, once");
    bench
        .run("override add acme max_agents --set 7 --permanent --reason 'abuse of it'")
        .await
        .unwrap();
    assert_eq!(agents().await, 7);
    let refused = bench.run("license grant acme --addon agents --quantity 0").await;
    Bench::expect_usage(refused, &["--quantity"]);
    let refused = bench.run("license grant acme --tier one --quantity 2").await;
    Bench::expect_usage(refused, &["--quantity"]);
}

#[tokio::test]
async fn cases_beside_the_plans_are_run() {
    let bench = Bench::new();
    let file = bench.plans().into_string().unwrap();
    let missing = bench.run(&format!("plans test {file}")).await;
    Bench::expect_usage(missing, &["plans_test.toml` cannot be read"]);
    let beside = bench.folder.path().join("plans_test.toml");
    let shipped = include_str!("../../../plans_test.toml");
    std::fs::write(&beside, shipped).unwrap();
    let text = bench.run(&format!("plans test {file}")).await.unwrap();
    assert!(text.contains("ok      low sees") && text.contains("cases, 0 failed"), "{text}");
    bench.run(&format!("plans test {}", beside.display())).await.unwrap();

    let other = entitlements::testing::PLANS.replace("[7,         30,", "[7,         31,");
    std::fs::write(bench.plans(), other).unwrap();
    let text = bench.run_for_no(&format!("plans test {file}")).await;
    for part in [
        "FAILED  mid adds",
        "plans_test.toml:",
        "retention_days: `30` is expected, the plans give `31`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = bench.run_for_no(&format!("plans test {file} --json")).await;
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(json["cases"][1]["differences"][0]["what"], "retention_days");

    std::fs::write(&beside, shipped.replacen("licenses", "licences", 1)).unwrap();
    let outcome = bench.run(&format!("plans test {file}")).await;
    Bench::expect_usage(outcome, &["plans_test.toml:7:1", "unknown key `licences`"]);
}

#[tokio::test]
async fn plans_that_take_something_away_are_told_with_the_tenants() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    bench.run("tenant add globex").await.unwrap();
    bench.run("license grant acme --tier mid").await.unwrap();
    let id: Json =
        serde_json::from_str(&bench.run("license grant globex --tier high --json").await.unwrap())
            .unwrap();
    let id = id["license"].as_str().unwrap();
    let old = bench.plans().into_string().unwrap();
    let new = bench.folder.path().join("new.toml").into_os_string().into_string().unwrap();
    let write = |text: String| std::fs::write(&new, text).unwrap();

    write(entitlements::testing::PLANS.replace("30,     90", "30,     60"));
    let text = bench.run_for_no(&format!("plans diff {old} {new}")).await;
    assert!(text.contains("loses  high") && text.contains("something is lost"), "{text}");
    let line = format!("plans diff {old} {new} --store {}", bench.url());
    let text = bench.run_for_no(&line).await;
    assert!(text.contains("loses  globex  retention_days  90   60"), "{text}");
    assert!(!text.contains("acme"), "{text}");

    write(entitlements::testing::PLANS.replace("30,     90", "30,     120"));
    let json: Json =
        serde_json::from_str(&bench.run(&format!("{line} --json")).await.unwrap()).unwrap();
    assert_eq!((&json["lost"], &json["tenants"][0]["new"]), (&false.into(), &"120".into()));
    bench.run(&format!("plans check {new} --store {}", bench.url())).await.unwrap();

    // A tier that goes orphans who holds it, unless its name lives on.
    let renamed =
        entitlements::testing::PLANS.replace("\"high\", \"business\"]", "\"upper\", \"business\"]");
    write(renamed.clone());
    let text = bench.run_for_no(&format!("plans check {new} --store {}", bench.url())).await;
    assert!(
        text.contains("tenant `globex`") && text.contains(id) && text.contains("[aliases]"),
        "{text}"
    );
    assert!(bench.run_for_no(&line).await.contains(id));
    write(format!("{renamed}\n[aliases]\nhigh = \"upper\"\n"));
    bench.run(&format!("plans check {new} --store {}", bench.url())).await.unwrap();
    bench.run(&line).await.unwrap();
}

#[tokio::test]
async fn a_pinned_license_keeps_its_plans_and_leaves_the_current_ones_alone() {
    let bench = Bench::new();
    let plans = |days: &str| {
        let text = entitlements::testing::PLANS.replace("[7,         30,", &format!("[7, {days},"));
        std::fs::write(bench.plans(), &text).unwrap();
        entitlements::Catalog::parse(&text).unwrap()
    };
    let current = async || {
        let store = store::open(&bench.url(), Mode::ReadOnly).await.unwrap();
        store.current_digest().await.unwrap().unwrap()
    };
    let first = plans("30");
    bench.run("tenant add acme").await.unwrap();
    assert_eq!(current().await, first.digest());
    let sold = plans("31");
    let granted = bench.run("license grant acme --tier mid --pin --json").await.unwrap();
    let granted: Json = serde_json::from_str(&granted).unwrap();
    assert_eq!(granted["catalog"], sold.digest());
    assert_eq!(current().await, first.digest(), "one license changes nobody else's plans");

    let days = async || {
        let shown = bench.run("tenant show acme --json").await.unwrap();
        serde_json::from_str::<Json>(&shown).unwrap()["features"]["retention_days"].clone()
    };
    plans("29");
    assert_eq!(days().await, 31, "whatever later plans say");
    bench.run("license grant acme --tier mid").await.unwrap();
    plans("60");
    assert_eq!(days().await, 60, "one that is not pinned follows them");
}

#[tokio::test]
async fn the_store_of_the_configuration_is_asked_for_orphans() {
    let bench = Bench::new();
    let config = bench.folder.path().join("tiergate.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let line = format!("plans check --config {}", config.display());
    let text = bench.run(&line).await.unwrap();
    assert!(text.contains("there is no store at") && text.contains("no license was"), "{text}");
    let json: Json = serde_json::from_str(&bench.run(&format!("{line} --json")).await.unwrap())
        .expect("one object");
    assert!(json["orphaned"].is_null() && json["note"].is_string(), "{json}");
    assert!(!bench.folder.path().join("tiergate.db").exists(), "reading creates nothing");

    bench.run("tenant add acme").await.unwrap();
    bench.run("license grant acme --tier high").await.unwrap();
    let text = bench.run(&line).await.unwrap();
    assert!(text.contains("1 tenants, 0 licenses orphaned") && !text.contains("note"), "{text}");
    let renamed = entitlements::testing::PLANS.replace("\"high\", \"bus", "\"upper\", \"bus");
    std::fs::write(bench.plans(), renamed).unwrap();
    let text = bench.run_for_no(&line).await;
    assert!(text.contains("tenant `acme`") && text.contains("[aliases]"), "{text}");
    // Without a store only the file is checked.
    bench.run(&format!("plans check {}", bench.plans().into_string().unwrap())).await.unwrap();

    // Whoever cannot look must not say that nobody is orphaned.
    std::fs::write(&config, CONFIG.replace("sqlite:tiergate.db", "postgres://t@127.0.0.1:9/t"))
        .unwrap();
    let error = bench.run(&line).await.unwrap_err();
    assert_eq!(format!("{:?}", error.exit_code()), format!("{:?}", ExitCode::from(3)), "{error}");
    assert!(error.to_string().contains("the store does not answer"), "{error}");
}

#[tokio::test]
async fn what_changes_nothing_is_said_to() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    bench.run("tenant add empty").await.unwrap();
    let granted = "license grant acme --tier mid --ends 2998-01-01T00:00:00Z --grace 0s";
    let text = bench.run(granted).await.unwrap();
    assert!(!text.contains("note:"), "{text}");
    let why = "--permanent --reason 'a promise'";
    let nothing = async |line: String, parts: &[&str]| {
        let text = bench.run(&line).await.unwrap();
        let notes: Vec<_> = text.lines().filter(|line| line.starts_with("note: ")).collect();
        assert_eq!(notes.len(), 1, "{line}: {text}");
        for part in parts {
            assert!(notes[0].contains(part), "`{part}` is not in: {text}");
        }
    };
    nothing(
        format!("override add acme retention_days --raise 5 {why}"),
        &["changes nothing for tenant `acme` from ", "the state is `active`"],
    )
    .await;
    nothing(
        format!("override add empty retention_days --raise 50 {why}"),
        &["tenant `empty`", "the state is `no_license`"],
    )
    .await;
    std::fs::write(
        bench.plans(),
        format!("{}\n[addons.pack]\nretention_days = 10\n", entitlements::testing::PLANS),
    )
    .unwrap();
    nothing("license grant empty --addon pack".to_owned(), &["the state is `no_license`"]).await;
    nothing("license grant acme --tier low".to_owned(), &["before 2998-01-01T00:00:00Z"]).await;

    let line = format!("override add acme exchange_replay --deny {why} --json");
    let json: Json = serde_json::from_str(&bench.run(&line).await.unwrap()).unwrap();
    assert!(json["note"].as_str().unwrap().starts_with("it changes nothing"), "{json}");
    // What changes something says no more than before.
    for line in [
        format!("override add acme topology_graph --deny {why} --json"),
        "license grant acme --addon pack --json".to_owned(),
        "license grant empty --tier low --starts 2999-01-01T00:00:00Z --json".to_owned(),
    ] {
        let json: Json = serde_json::from_str(&bench.run(&line).await.unwrap()).unwrap();
        assert!(json.get("note").is_none(), "{json}");
    }
}

#[tokio::test]
async fn a_log_that_was_tampered_with_is_found_at_its_first_entry() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    bench.run("tenant suspend acme --reason 'not paid'").await.unwrap();
    bench.run("tenant activate acme").await.unwrap();
    // Whoever owns the file can do away with the database's own rules.
    let file = SqliteConnectOptions::new().filename(bench.folder.path().join("tiergate.db"));
    let mut shell = SqliteConnection::connect_with(&file).await.unwrap();
    shell
        .execute(
            "DROP TRIGGER audit_is_not_rewritten;
             UPDATE audit_log SET reason = 'was paid' WHERE reason = 'not paid'",
        )
        .await
        .unwrap();
    shell.close().await.unwrap();
    let text = bench.run_for_no("audit verify").await;
    assert!(text.contains("BROKEN at entry 2: it is not what was written"), "{text}");
    let json: Json = serde_json::from_str(&bench.run_for_no("audit verify --json").await).unwrap();
    assert_eq!((&json["intact"], &json["first_broken"]), (&false.into(), &2.into()));
    assert_eq!(json["entries"], 1);
}
