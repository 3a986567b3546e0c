//! What is too long, empty or blank is refused in words, not by a constraint of the database.

use super::Bench;

#[tokio::test]
async fn names_and_references_have_limits() {
    let bench = Bench::new();
    let (a, b) = (|count: usize| "a".repeat(count), |count: usize| "\u{e9}".repeat(count));
    let check = async |line: String, parts: &[&str]| {
        let outcome = bench.run(&line).await;
        let told = outcome.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        for raw in ["CHECK", "length(", "instr(", "constraint"] {
            assert!(!told.contains(raw), "{told}");
        }
        Bench::expect_usage(outcome, parts);
    };
    let organization =
        |issuer: &str, id: &str| format!("--issuer '{issuer}' --organization '{id}'");
    let name = ["name", "0 characters", "200"];
    check("tenant add acme --name ''".to_owned(), &name).await;
    check(format!("tenant add acme --name '{}'", a(201)), &["name", "201", "200"]).await;
    for line in ["tenant add acme", "tenant map globex"] {
        bench.run("tenant add globex").await.ok();
        check(format!("{line} {}", organization("https://id.test", "")), &["organization", "256"])
            .await;
        let long = organization("https://id.test", &a(257));
        check(format!("{line} {long}"), &["organization", "256"]).await;
        check(format!("{line} {}", organization("", "org")), &["issuer", "2048"]).await;
        check(format!("{line} {}", organization(&a(2049), "org")), &["issuer", "2048"]).await;
    }
    // Characters are counted, not bytes, and the limits themselves are taken.
    let longest = organization(&b(2048), &b(256));
    bench.run(&format!("tenant add acme --name '{}' {longest}", b(200))).await.unwrap();

    let grant = "license grant acme --tier mid --source billing --source-ref";
    check(format!("{grant} ''"), &["source_ref", "256"]).await;
    check(format!("{grant} '{}'", a(257)), &["source_ref", "256"]).await;
    bench.run(&format!("{grant} '{}'", b(256))).await.unwrap();
}

#[tokio::test]
async fn a_reason_is_not_blank() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    bench.run("license grant acme --tier mid").await.unwrap();
    let add = "override add acme topology_graph --deny --permanent --reason 'a promise'";
    let exception = bench.json(add).await["override"].as_str().unwrap().to_owned();
    let revoke = format!("override revoke {exception}");
    for line in [
        "license suspend acme",
        "license revoke acme",
        "tenant suspend acme",
        "tenant close acme",
        &revoke,
    ] {
        for blank in ["", "  ", "\t\n"] {
            let outcome = bench.run(&format!("{line} --reason '{blank}'")).await;
            Bench::expect_usage(outcome, &["reason", "is blank; say why"]);
        }
    }
    // Nothing was done, and without a reason there is one.
    assert_eq!(bench.json("tenant show acme").await["state"], "active");
    for line in ["license suspend acme", "license revoke acme", &revoke, "tenant close acme"] {
        bench.run(line).await.unwrap();
    }
}
