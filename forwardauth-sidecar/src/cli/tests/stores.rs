//! The store itself.

use std::ffi::OsString;

use clap::Parser as _;
use serde_json::Value as Json;

use super::{Bench, Command};
use crate::cli::license;

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
