//! The program on PostgreSQL: moved there from SQLite by the command line, and served from there.

use std::process::Command;
use std::time::Duration;

use auth_core::testing::TestIssuer;
use auth_core::{Algorithm, Clock as _, SystemClock};
use entitlements::store::{self, Actor, Change, Mode};
use entitlements::testing::license;

use crate::cluster::Database;
use crate::restart::{ISSUER, Installation, Keys, holds, pause, refused};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run cargo xtask test"]
async fn a_store_moves_to_postgresql_and_is_served_from_there() {
    let issuer = TestIssuer::new(ISSUER, Algorithm::Es384);
    let keys = Keys::serve(issuer.jwks());
    let place = Installation::new(keys.address);
    place.add("acme", license("lic_1", "mid")).await;
    place.add("globex", license("lic_2", "mid")).await;
    let database = Database::alone().await;
    let url = database.url();

    // The address may hold a password: it is read from a file.
    std::fs::write(place.path("postgres.url"), format!("{url}\n")).expect("a file");
    let copy = || {
        Command::new(env!("CARGO_BIN_EXE_tiergate"))
            .args(["store", "copy"])
            .arg(format!("sqlite:{}", place.path("tiergate.db").display()))
            .arg(format!("@{}", place.path("postgres.url").display()))
            .output()
            .expect("the binary runs")
    };
    let copied = copy();
    let told = String::from_utf8_lossy(&copied.stdout);
    assert!(copied.status.success(), "{told}{}", String::from_utf8_lossy(&copied.stderr));
    assert!(told.contains("verified: the audit log is one chain of 4 entries"), "{told}");
    let again = copy();
    assert_eq!(again.status.code(), Some(2), "it is not empty any more");
    place.remove_the_store();

    let serving = place.serve(&[("TIERGATE_STORE__URL", &url)]);
    let token = |organization: &str| {
        let token = issuer.token("https://api.example.com").organization(organization);
        token.scopes(["traces:read"]).sign()
    };
    let (token, other) = (token("org-acme"), token("org-globex"));
    let up = async {
        while serving.ready().await != 200 || serving.ask(&token).await.status == 503 {
            pause().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), up).await.expect("it is up");
    for token in [&token, &other] {
        assert_eq!(serving.ask(token).await.status, 200);
    }

    // A change at the new place is enforced without anybody asking for it.
    let store = store::open(&url, Mode::ReadWrite).await.expect("it is there");
    let revoke = Change::RevokeLicense { license: "lic_1".to_owned(), reason: "refund".to_owned() };
    let by = Actor::person("test");
    store.apply(&revoke, &by, SystemClock.now()).await.expect("it is revoked");
    let enforced = async {
        while serving.ask(&token).await.status == 200 {
            pause().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), enforced).await.expect("it is enforced");
    refused(&serving.ask(&token).await, 403, "license_revoked");
    assert!(!place.path("tiergate.db").exists(), "nothing is made where the old one was");

    // A restart without the server answers as of the snapshot, of which the revocation is a part.
    while !holds(&place.path("tiergate.snapshot"), &["org-acme", "org-globex", "refund"]) {
        pause().await;
    }
    drop(serving);
    database.cluster.stop();
    let serving = place.serve(&[("TIERGATE_STORE__URL", &url)]);
    refused(&serving.ask(&token).await, 403, "license_revoked");
    assert_eq!(serving.ask(&other).await.status, 200);
    assert_eq!(serving.ready().await, 200);
    drop(serving);
}
