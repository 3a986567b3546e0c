//! The commands about plans, tenants and licenses, from their arguments to what they print.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value as Json;

use super::{CliError, license, plans, store_copy, tenant};

#[derive(Parser)]
enum Command {
    Plans(plans::PlansArgs),
    Tenant(tenant::TenantArgs),
    License(license::LicenseArgs),
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

    /// Runs a command line; the store and the plans are added to it.
    async fn run(&self, line: &str) -> Result<String, CliError> {
        let mut words: Vec<OsString> = vec!["tiergate".into()];
        words.extend(line.split_whitespace().map(OsString::from));
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
            Command::Store(args) => store_copy::run(args, &mut out).await?,
        };
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
        Ok(String::from_utf8(out).unwrap())
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
