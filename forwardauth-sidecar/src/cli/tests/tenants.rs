//! Tenants and the organizations that name them.

use serde_json::Value as Json;

use super::Bench;

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

/// Whoever reads when something changes wants to know into what.
#[tokio::test]
async fn what_comes_next_is_told() {
    let bench = Bench::new();
    let check = async |tenant: &str, lines: &[&str], told: &str, next: [Json; 3]| {
        bench.run(&format!("tenant add {tenant}")).await.unwrap();
        for line in lines {
            bench.run(&line.replace("TENANT", tenant)).await.unwrap();
        }
        let text = bench.run(&format!("tenant show {tenant}")).await.unwrap();
        assert!(text.lines().any(|line| line == format!("changes   {told}")), "{told}: {text}");
        let json = bench.json(&format!("tenant show {tenant}")).await;
        assert_eq!(
            [&json["valid_until"], &json["next_state"], &json["next_tier"]],
            next.each_ref()
        );
    };
    let end: Json = "2999-01-01T00:00:00Z".into();
    let mid = "license grant TENANT --tier mid --ends 2999-01-01T00:00:00Z";
    check(
        "grace",
        &[mid],
        "2999-01-01T00:00:00Z, then grace",
        [end.clone(), "grace".into(), "mid".into()],
    )
    .await;
    check(
        "expired",
        &[&format!("{mid} --grace 0s")],
        "2999-01-01T00:00:00Z, then expired",
        [end.clone(), "expired".into(), Json::Null],
    )
    .await;
    check(
        "lower",
        &[&format!("{mid} --grace 0s"), "license grant TENANT --tier low"],
        "2999-01-01T00:00:00Z, then tier low",
        [end.clone(), "active".into(), "low".into()],
    )
    .await;
    let values =
        "override add TENANT retention_days --set 9 --ends 2999-01-01T00:00:00Z --reason promised";
    check(
        "values",
        &["license grant TENANT --tier mid", values],
        "2999-01-01T00:00:00Z, then other values",
        [end.clone(), "active".into(), "mid".into()],
    )
    .await;
    check(
        "same",
        &["license grant TENANT --tier mid", &format!("{mid} --grace 0s")],
        "2999-01-01T00:00:00Z, then the same values",
        [end, "active".into(), "mid".into()],
    )
    .await;
    check(
        "for-good",
        &["license grant TENANT --tier mid"],
        "-",
        [Json::Null, Json::Null, Json::Null],
    )
    .await;
}

#[tokio::test]
async fn a_tenant_is_shown_with_its_exceptions() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    bench.run("license grant acme --tier mid").await.unwrap();
    assert!(!bench.run("tenant show acme").await.unwrap().contains("OVERRIDE"));
    let over = "override add acme topology_graph --deny --permanent --reason 'a mistake'";
    let over = bench.json(over).await["override"].as_str().unwrap().to_owned();
    bench.run(&format!("override revoke {over}")).await.unwrap();
    for line in [
        "retention_days --set 9 --permanent --reason 'a promise'",
        "exchange_replay --raise yes --starts 2998-01-01T00:00:00Z --permanent --reason 'to come'",
    ] {
        bench.run(&format!("override add acme {line}")).await.unwrap();
    }
    let shown = bench.run("tenant show acme").await.unwrap();
    let table = shown.split("\n\n").last().unwrap();
    assert_eq!(table, bench.run("override list acme").await.unwrap());
    assert!(table.contains("a promise") && table.contains("to come"), "{table}");
    let shown = bench.json("tenant show acme").await;
    assert_eq!(shown["overrides"], bench.json("override list acme").await);
    assert_eq!(shown["overrides"].as_array().unwrap().len(), 2, "{over} was revoked");
}
