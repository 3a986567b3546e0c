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
