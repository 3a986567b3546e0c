//! Starting, being ready, draining.

use std::time::Duration;

use auth_core::testing::KeyFault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Gateway, Options, Question};

async fn ready(gateway: &Gateway) -> bool {
    gateway.admin("/readyz").await.status == 200
}

#[tokio::test]
async fn ready_once_everything_was_loaded_and_then_for_good() {
    let gateway = Gateway::start().await;
    for _ in 0..100 {
        if ready(&gateway).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(ready(&gateway).await);
    gateway.keys.fault(KeyFault::Fail);
    gateway.store.set_down(true);
    gateway.clock.advance(Duration::from_hours(48));
    assert!(ready(&gateway).await, "dependencies are metrics");
}

#[tokio::test]
async fn who_is_not_ready_says_why() {
    let options = Options { keys: KeyFault::Fail, ..Options::default() };
    let gateway = Gateway::with(options).await;
    let mut answer = gateway.admin("/readyz").await;
    for _ in 0..100 {
        if answer.json()["missing"].to_string().contains("the last fetch failed") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = gateway.admin("/readyz").await;
    }
    assert_eq!(answer.status, 503);
    let missing = answer.json()["missing"].to_string();
    assert!(missing.contains("have not been loaded yet; the last fetch failed: "), "{missing}");
}

#[tokio::test]
async fn draining_withdraws_readiness_before_it_stops_answering() {
    let options = Options { gateway: "drain_wait = \"1s\"", ..Options::default() };
    let mut gateway = Gateway::with(options).await;
    while !ready(&gateway).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A connection that was there before goes on as well.
    let mut kept = TcpStream::connect(gateway.address).await.expect("a listener");
    gateway.stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!ready(&gateway).await);
    assert!(gateway.admin("/readyz").await.json()["draining"].as_bool().expect("a flag"));
    assert_eq!(gateway.admin("/livez").await.status, 200);
    assert_eq!(gateway.get("/public", None).await.verdict(), "200");
    kept.write_all(&Question::new("/public").bytes()).await.expect("an open connection");
    let mut answer = Vec::new();
    kept.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"));

    let stopped = tokio::time::timeout(Duration::from_secs(5), &mut gateway.task).await;
    stopped.expect("it stops in time").expect("without a panic");
    assert!(TcpStream::connect(gateway.address).await.is_err());
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_drain_up() {
    let options =
        Options { gateway: "drain_wait = \"0s\"\ndrain_timeout = \"20s\"", ..Options::default() };
    let mut gateway = Gateway::with(options).await;
    let idle = TcpStream::connect(gateway.address).await.expect("a listener");
    assert_eq!(gateway.get("/public", None).await.verdict(), "200");
    gateway.stop();
    let stopped = tokio::time::timeout(Duration::from_secs(5), &mut gateway.task).await;
    stopped.expect("it stops in time").expect("without a panic");
    drop(idle);
}
