//! Exceptions.

use serde_json::Value as Json;

use super::Bench;

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
    let first = added["override"].as_str().unwrap();
    let since = added["starts_at"].as_str().unwrap();
    let way = format!("{first} holds from {since} until 2999-01-01T00:00:00Z; revoke it first");
    Bench::expect_usage(bench.run(line).await, &["is in force in that time: ", &way]);
    bench.run(&line.replace("--ends", "--permanent --starts")).await.unwrap();
    let both = bench.run(&line.replace("--ends 2999-01-01T00:00:00Z", "--permanent")).await;
    let second = " holds from 2999-01-01T00:00:00Z for good; revoke them first";
    Bench::expect_usage(both, &[first, " until 2999-01-01T00:00:00Z, ovr_", second]);
    // The later one goes again.
    let later = bench.json("override list").await[1]["override"].as_str().unwrap().to_owned();
    bench.run(&format!("override revoke {later}")).await.unwrap();
    assert_eq!(bench.json("override list").await.as_array().unwrap().len(), 1);

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
    assert_eq!(all.as_array().unwrap().len(), 4);
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
