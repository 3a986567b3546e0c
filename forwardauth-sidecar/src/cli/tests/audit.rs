//! The log of changes.

use serde_json::Value as Json;

use super::Bench;

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
    // Nothing is told of a tenant with nothing to tell; one that does not exist is a mistake.
    let later = bench.run("audit list --tenant acme --since 2999-01-01T00:00:00Z --json").await;
    assert_eq!(later.unwrap().trim(), "[]");
    let unknown = bench.run("audit list --tenant acm").await;
    Bench::expect_usage(unknown, &["there is no tenant `acm`", "did you mean `acme`?"]);
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
async fn a_log_that_was_tampered_with_is_found_at_its_first_entry() {
    let bench = Bench::new();
    bench.run("tenant add acme").await.unwrap();
    bench.run("tenant suspend acme --reason 'not paid'").await.unwrap();
    bench.run("tenant activate acme").await.unwrap();
    // Whoever owns the file can do away with the database's own rules.
    let rewritten = "DROP TRIGGER audit_is_not_rewritten;
                     UPDATE audit_log SET reason = 'was paid' WHERE reason = 'not paid'";
    bench.by_hand(rewritten).await;
    let text = bench.run_for_no("audit verify").await;
    assert!(text.contains("BROKEN at entry 2: it is not what was written"), "{text}");
    let json: Json = serde_json::from_str(&bench.run_for_no("audit verify --json").await).unwrap();
    assert_eq!((&json["intact"], &json["first_broken"]), (&false.into(), &2.into()));
    assert_eq!(json["entries"], 1);
}
