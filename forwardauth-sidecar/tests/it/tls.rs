//! TLS, HTTP/2 and many questions over one connection.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Gateway, Options};

fn write_certificate(folder: &Path) {
    let issued =
        rcgen::generate_simple_self_signed(["gate.test".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("gate.pem"), issued.cert.pem()).expect("a file");
    std::fs::write(folder.join("gate.key"), issued.signing_key.serialize_pem()).expect("a file");
}

async fn connect(gateway: &Gateway, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
    let certificate =
        CertificateDer::from_pem_file(gateway.path("gate.pem")).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(gateway.address).await.expect("a listener");
    let name = ServerName::try_from("gate.test").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

fn question(gateway: &Gateway, uri: &str, token: Option<&str>) -> Request<Empty<Bytes>> {
    let request = Request::get(format!("https://{}/verify", gateway.address))
        .header("x-forwarded-method", "GET")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "app.test")
        .header("x-forwarded-uri", uri);
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    request.body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn http2_over_tls_carries_many_questions() {
    let options = Options { tls: Some(write_certificate), ..Options::default() };
    let gateway = Gateway::with(options).await;
    let stream = connect(&gateway, &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("http/2");
    tokio::spawn(connection);
    let token = gateway.token("mid-co");
    let mut answers = Vec::new();
    for _ in 0..50 {
        sender.ready().await.expect("an open connection");
        answers.push(sender.send_request(question(&gateway, "/topology", Some(&token))));
        answers.push(sender.send_request(question(&gateway, "/a/../b", None)));
    }
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.version(), Version::HTTP_2);
        if number % 2 == 0 {
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["x-tenant-id"], "mid-co");
        } else {
            assert_eq!(answer.status(), 400);
        }
    }
    // A header list over the limit is refused, and the connection goes on.
    let long = format!("/public?{}", "a".repeat(1500 * 1024));
    let refused = sender.send_request(question(&gateway, &long, None)).await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 431));
}

#[tokio::test]
async fn http1_over_tls_still_works() {
    let options = Options { tls: Some(write_certificate), ..Options::default() };
    let gateway = Gateway::with(options).await;
    let stream = connect(&gateway, &[b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("http/1.1");
    tokio::spawn(connection);
    let answer = sender.send_request(question(&gateway, "/public", None)).await.expect("an answer");
    assert_eq!(answer.status(), 200);
}
