//! Connections: kept for the proxy, not for those who send nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::Running;

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
