//! Connections: kept for the proxy, not for those who send nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{FULL, Running, export, span, with};

/// Waits until the server closes the connection; what it still said.
async fn closed(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
    read.expect("the server keeps the connection").unwrap();
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_connection_without_a_request_is_not_kept_for_ever() {
    let server = Running::start_with(|options| options.idle = Duration::from_millis(200)).await;
    for begun in ["", "P", "PRI * HTTP/2", "GET /healthz HTTP/1.1\r\nhost: a"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        assert!(!closed(stream).await.contains("200"), "{begun}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_answers_again() {
    let server = Running::start_with(|options| options.idle = Duration::from_millis(600)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..3 {
        // Longer than the limit in all, but not at once.
        tokio::time::sleep(Duration::from_millis(300)).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        let mut rest = [0; 512];
        assert!(stream.read(&mut rest).await.unwrap() > 0);
    }
    assert_eq!(closed(stream).await, "");
    server.stop().await;
}

/// A client that asks for an answer of some 14 MB and reads its first bytes only.
async fn ask_and_do_not_read(server: &Running, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: a\r\nx-tenant-id: acme\r\nx-tenant-features: {FULL}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    stream
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_with_its_connection() {
    let server = Running::start_with(|options| options.send = Duration::from_millis(500)).await;
    let text = "x".repeat(900_000);
    for id in 1..=16 {
        let sent = with(span(id, 0, "GET /", id), &[("text", &text)]);
        server.export_ok("acme", &export("shop", vec![sent])).await;
    }
    let path = format!("/api/v1/exchanges/{}", server.only_exchange("acme").await);
    let mut first = ask_and_do_not_read(&server, &path).await;
    let second = ask_and_do_not_read(&server, &path).await;
    // Both of the tenant's turns are taken; this one comes when the first answer is given up.
    let status = timeout(Duration::from_secs(20), server.get("acme", FULL, "/api/v1/status")).await;
    assert_eq!(status.expect("the turns never end").json()["spans"], 16);
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(20), first.read_to_end(&mut rest)).await;
    let _ = ended.expect("the server keeps the connection");
    assert!(rest.len() < 14_000_000, "all {} bytes were sent", rest.len());
    drop(second);
    server.stop().await;
}
