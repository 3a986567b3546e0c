//! Strangers, too much of everything, and too little time.

use auth_core::testing::KeyFault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Gateway, Options, Question};

#[tokio::test]
async fn strangers_are_refused_whatever_they_say() {
    let options = Options { trusted: Some("10.0.0.0/8"), ..Options::default() };
    let gateway = Gateway::with(options).await;
    let token = gateway.token("low-co");
    for uri in ["/public", "/admin", "/a/../b"] {
        let answer = gateway.get(uri, Some(&token)).await;
        assert_eq!(answer.verdict(), "403 untrusted_proxy");
        assert_eq!(answer.header("x-tenant-id"), None);
    }
    let spoofed = Question::new("/public").set("X-Forwarded-For", "10.0.0.1");
    assert_eq!(gateway.ask(&spoofed).await.verdict(), "403 untrusted_proxy");
    // The operator's listener is not the proxy's: it answers whoever can reach it.
    assert_eq!(gateway.admin("/livez").await.status, 200);
}

#[tokio::test]
async fn headers_that_are_too_large_are_431() {
    let gateway = Gateway::start().await;
    let question = Question::new(&format!("/public?{}", "a".repeat(2 * 1024 * 1024)));
    assert_eq!(gateway.ask(&question).await.status, 431);
    let mut question = Question::new("/public");
    for number in 0..200 {
        question = question.line(&format!("X-Client-{number}"), "x");
    }
    assert_eq!(gateway.ask(&question).await.status, 431);
}

#[tokio::test]
async fn the_deadline_is_ours() {
    let gateway = Gateway::with(Options {
        gateway: "deadline = \"1s\"",
        keys: KeyFault::Hang,
        ..Options::default()
    })
    .await;
    let token = gateway.token("low-co");
    let answer = gateway.get("/topology", Some(&token)).await;
    assert_eq!(answer.verdict(), "503 deadline");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("x-tenant-id"), None);
    // It goes on answering what it can.
    assert_eq!(gateway.get("/public", None).await.verdict(), "200");
}

#[tokio::test]
async fn a_panic_is_503() {
    let options = Options { keys: KeyFault::Panic, ..Options::default() };
    let gateway = Gateway::with(options).await;
    let token = gateway.token("low-co");
    assert_eq!(gateway.get("/topology", Some(&token)).await.status, 503);
    assert_eq!(gateway.get("/public", None).await.verdict(), "200");
}

#[tokio::test]
async fn connections_are_kept() {
    let gateway = Gateway::start().await;
    let mut stream = TcpStream::connect(gateway.address).await.expect("a listener");
    // Caddy leaves the client's wish to upgrade on its question.
    let question = Question::new("/public")
        .line("Connection", "keep-alive, Upgrade")
        .line("Upgrade", "websocket")
        .bytes();
    for _ in 0..3 {
        stream.write_all(&question).await.expect("an open connection");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.expect("an answer");
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}
