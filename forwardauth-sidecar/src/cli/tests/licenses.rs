//! Licenses: granted, pinned, and told twice.

use entitlements::store::{self, Mode};
use serde_json::Value as Json;

use super::Bench;

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
    let list = bench.run("license list").await.unwrap();
    assert!(list.contains("  mid (pinned)  "), "{list}");
    let shown = bench.run("tenant show acme").await.unwrap();
    assert!(shown.contains(&format!("  mid (pinned {})  ", &sold.digest()[..12])), "{shown}");
    assert_eq!(current().await, first.digest(), "one license changes nobody else's plans");

    let days = async || {
        let shown = bench.run("tenant show acme --json").await.unwrap();
        serde_json::from_str::<Json>(&shown).unwrap()["features"]["retention_days"].clone()
    };
    let text = bench.run("license grant acme --tier low --pin").await.unwrap();
    assert!(text.contains(" (base low, pinned) to tenant `acme`"), "{text}");
    plans("29");
    assert_eq!(days().await, 31, "whatever later plans say");
    let text = bench.run("license grant acme --tier mid").await.unwrap();
    assert!(text.contains(" (base mid) to tenant `acme`"), "{text}");
    plans("60");
    assert_eq!(days().await, 60, "one that is not pinned follows them");
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

/// The gateway takes what the store tells as having happened, whatever its clock says; so does
/// whoever looks.
#[tokio::test]
async fn what_was_revoked_later_than_now_is_revoked() {
    let bench = Bench::new();
    for (tenant, tier) in [("acme", "high"), ("globex", "mid")] {
        bench.run(&format!("tenant add {tenant}")).await.unwrap();
        bench.run(&format!("license grant {tenant} --tier {tier}")).await.unwrap();
    }
    bench
        .run("override add acme retention_days --set 9 --permanent --reason 'a promise'")
        .await
        .unwrap();
    let line = "license grant acme --addon pack --source billing --source-ref sub_1";
    let plans = format!("{}\n[addons.pack]\nretention_days = 10\n", entitlements::testing::PLANS);
    std::fs::write(bench.plans(), plans).unwrap();
    bench.run(line).await.unwrap();
    bench
        .by_hand(
            "UPDATE licenses SET revoked_at = 32503680000000000, status_reason = 'by hand'
             WHERE tenant_id = 'acme';
             UPDATE licenses SET suspended_at = 32503680000000000, status_reason = 'by hand'
             WHERE tenant_id = 'globex';
             UPDATE overrides SET revoked_at = 32503680000000000, revoked_by = 'hand'",
        )
        .await;

    let shown = bench.json("tenant show acme").await;
    assert_eq!((&shown["state"], &shown["valid_until"]), (&"license_revoked".into(), &Json::Null));
    assert_eq!(shown["licenses"][0]["standing"], "revoked");
    assert_eq!(bench.json("tenant show globex").await["state"], "license_suspended");
    let list = bench.json("license list").await;
    let standings: Vec<_> = list.as_array().unwrap().iter().map(|it| &it["standing"]).collect();
    assert_eq!(standings, ["revoked", "revoked", "suspended"]);
    assert_eq!(bench.json("override list --all").await[0]["standing"], "revoked");
    assert_eq!(bench.json("override list").await.as_array().unwrap().len(), 0);
    assert!(bench.run(line).await.unwrap().contains("already, and revoked"));

    let nothing = bench.run("license suspend globex").await;
    Bench::expect_usage(nothing, &["no license that this can be done to", "(mid) is suspended"]);
    let nothing = bench.run("license revoke acme").await;
    Bench::expect_usage(nothing, &["this can be done to; see `tiergate license list acme`"]);
    bench.run("license resume globex").await.unwrap();
    // New plans take nothing from whoever has nothing.
    let plans = entitlements::testing::PLANS.replace("\"high\", \"bus", "\"upper\", \"bus");
    std::fs::write(bench.plans(), plans).unwrap();
    let file = bench.plans().into_string().unwrap();
    let text = bench.run(&format!("plans check {file} --store {}", bench.url())).await.unwrap();
    assert!(text.contains("2 tenants, 0 licenses orphaned"), "{text}");
}
