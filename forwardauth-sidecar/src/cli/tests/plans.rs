//! The plans file, alone and beside a store.

use std::process::ExitCode;

use serde_json::Value as Json;

use super::Bench;

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
async fn cases_beside_the_plans_are_run() {
    let bench = Bench::new();
    let file = bench.plans().into_string().unwrap();
    let missing = bench.run(&format!("plans test {file}")).await;
    Bench::expect_usage(missing, &["plans_test.toml` cannot be read"]);
    let beside = bench.folder.path().join("plans_test.toml");
    let shipped = include_str!("../../../../plans_test.toml");
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
