//! Keys over HTTP, against a real server on this machine.

use std::{
    convert::Infallible,
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use auth_core::{
    Accept, Algorithm, IssuerPolicy, Verifier,
    keys::{FetchError, HttpClient, HttpKeys, KeyOptions, KeySet, KeySource as _},
    testing::TestIssuer,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{API, ISSUER, block_on, code};

const DISCOVERY: &str = "/oidc/.well-known/openid-configuration";
const JWKS: &str = "/oidc/jwks";

/// A server that answers each path in the way it was told, and remembers what it was asked.
#[derive(Clone)]
struct Site {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: std::collections::HashMap<String, Response<Bytes>>,
    asked: Vec<(String, http::HeaderMap)>,
}

impl Site {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let site = Self { address: listener.local_addr().expect("bound"), state: Arc::default() };
        let shared = site.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let site = shared.clone();
                let service = service_fn(move |request| {
                    let answer = site.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        site
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let mut state = self.state.lock().expect("no panic");
        let path = request.uri().path().to_owned();
        state.asked.push((path.clone(), request.headers().clone()));
        let found = state.answers.get(&path).cloned();
        let missing = || Response::builder().status(404).body(Bytes::new()).expect("a response");
        found.unwrap_or_else(missing).map(Full::new)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn issuer(&self) -> String {
        self.url("/oidc")
    }

    fn put(&self, path: &str, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(body.into()).expect("a response");
        self.state.lock().expect("no panic").answers.insert(path.to_owned(), response);
    }

    /// A discovery document for this issuer and address of the keys, and the keys themselves.
    fn publish(&self, issuer: &str, jwks_uri: &str, jwks: &str) {
        let document = serde_json::json!({"issuer": issuer, "jwks_uri": jwks_uri});
        self.put(DISCOVERY, 200, &[("content-type", "application/json")], document.to_string());
        self.put(JWKS, 200, &[("content-type", "application/jwk-set+json")], jwks.to_owned());
    }

    fn asked(&self) -> Vec<String> {
        self.state.lock().expect("no panic").asked.iter().map(|(path, _)| path.clone()).collect()
    }
}

fn client() -> HttpClient {
    HttpClient::new(None).expect("TLS can be set up")
}

fn direct(url: &str) -> HttpKeys {
    HttpKeys::direct(url, client()).expect("a good URL")
}

fn discovery(issuer: &str) -> HttpKeys {
    HttpKeys::discovery(issuer, client()).expect("a good URL")
}

#[track_caller]
fn fails(what: &str, result: Result<Bytes, FetchError>, says: &str) {
    let error = result.expect_err(what).to_string();
    assert!(error.contains(says), "{what}: `{error}` should say `{says}`");
    assert!(!error.ends_with('.'), "{error}");
}

fn verifier(issuer: &str, keys: HttpKeys) -> Verifier {
    let options = KeyOptions { fetch_timeout: Duration::from_millis(400), ..KeyOptions::STANDARD };
    Verifier::builder()
        .issuer(IssuerPolicy::new("test", issuer).accept(Accept::organization(API)), keys)
        .key_options(options)
        .build()
        .expect("the policy is sound")
}

#[test]
fn discovery_finds_the_keys() {
    block_on(async {
        let site = Site::start().await;
        let issuer = TestIssuer::new(site.issuer(), Algorithm::Es384);
        site.publish(&site.issuer(), &site.url(JWKS), &issuer.jwks());
        let verifier = verifier(&site.issuer(), discovery(&site.issuer()));
        verifier.ready().await.expect("up");
        assert_eq!(code(&verifier.verify(&issuer.token(API).sign()).await), "ok");
        assert_eq!(site.asked(), [DISCOVERY, JWKS]);
        for (_, headers) in &site.state.lock().expect("no panic").asked {
            assert_eq!(
                headers.get("accept").map(http::HeaderValue::as_bytes),
                Some(&b"application/json"[..])
            );
            assert!(!headers.contains_key("accept-encoding"), "a compressed body is not asked for");
            assert!(!headers.contains_key("authorization") && !headers.contains_key("cookie"));
        }
    });
}

#[test]
fn the_fetch_address_may_differ_from_the_issuer() {
    block_on(async {
        let site = Site::start().await;
        let issuer = TestIssuer::new(ISSUER, Algorithm::Es256);
        site.put("/keys.json", 200, &[], issuer.jwks());
        let verifier = verifier(ISSUER, direct(&site.url("/keys.json")));
        assert_eq!(code(&verifier.verify(&issuer.token(API).sign()).await), "ok");
        assert_eq!(site.asked(), ["/keys.json"]);
    });
}

#[test]
fn an_issuer_with_a_slash_at_its_end() {
    block_on(async {
        let site = Site::start().await;
        let named = format!("{}/", site.issuer());
        site.publish(&named, &site.url(JWKS), "{}");
        assert_eq!(&discovery(&named).fetch().await.expect("found")[..], b"{}");
        assert_eq!(site.asked(), [DISCOVERY, JWKS]);
    });
}

#[test]
fn a_discovery_document_of_another_issuer() {
    block_on(async {
        let site = Site::start().await;
        let ours = site.issuer();
        for other in [
            "https://evil.test/oidc",
            &format!("{ours}/"),
            &ours.to_uppercase(),
            "",
            &ours[..ours.len() - 1],
        ] {
            site.publish(other, &site.url(JWKS), "{}");
            fails(other, discovery(&ours).fetch().await, "names the issuer");
        }
        for document in [
            "",
            "[]",
            "null",
            "<!doctype html>",
            "{}",
            r#"{"issuer":7}"#,
            r#"{"issuer":["x"]}"#,
            &format!(r#"{{"issuer":"{ours}"}}"#),
            &format!(r#"{{"issuer":"{ours}","jwks_uri":7}}"#),
            &format!(
                r#"{{"issuer":"https://evil.test","issuer":"{ours}","jwks_uri":"{ours}/jwks"}}"#
            ),
        ] {
            site.put(DISCOVERY, 200, &[], document.to_owned());
            drop(discovery(&ours).fetch().await.expect_err(document));
        }
        assert!(site.asked().iter().all(|path| path == DISCOVERY), "no keys were asked for");
    });
}

#[test]
fn keys_of_another_origin() {
    block_on(async {
        let (site, evil) = (Site::start().await, Site::start().await);
        let port = site.address.port();
        for uri in [
            evil.url(JWKS),
            "https://evil.test/jwks".to_owned(),
            format!("https://127.0.0.1:{port}/oidc/jwks"),
            format!("http://localhost:{port}/oidc/jwks"),
            format!("http://127.0.0.1:{port}@evil.test/jwks"),
            format!("http://user:pass@127.0.0.1:{port}/oidc/jwks"),
            "file:///etc/passwd".to_owned(),
            "/oidc/jwks".to_owned(),
            "jwks".to_owned(),
            String::new(),
            "http://".to_owned(),
            "data:,{}".to_owned(),
        ] {
            site.publish(&site.issuer(), &uri, "{}");
            drop(discovery(&site.issuer()).fetch().await.expect_err(&uri));
        }
        assert!(site.asked().iter().all(|path| path == DISCOVERY), "no keys were asked for");
        assert!(evil.asked().is_empty());
        site.publish(&site.issuer(), &evil.url(JWKS), "{}");
        fails("remedy", discovery(&site.issuer()).fetch().await, "another origin");
    });
}

#[test]
fn redirects_are_refused() {
    block_on(async {
        let site = Site::start().await;
        site.put("/elsewhere", 200, &[], "{}");
        for status in [301, 302, 303, 307, 308] {
            for to in
                [site.url("/elsewhere"), "/elsewhere".to_owned(), "https://evil.test/".to_owned()]
            {
                site.put(JWKS, status, &[("location", &to)], "");
                site.put(DISCOVERY, status, &[("location", &to)], "");
                let says = status.to_string();
                fails(&to, direct(&site.url(JWKS)).fetch().await, &says);
                fails(&to, discovery(&site.issuer()).fetch().await, &says);
            }
        }
        assert!(!site.asked().contains(&"/elsewhere".to_owned()));
    });
}

#[test]
fn only_200_is_an_answer() {
    block_on(async {
        let site = Site::start().await;
        let jwks = TestIssuer::new(ISSUER, Algorithm::EdDsa).jwks();
        for status in [201, 204, 206, 304, 400, 401, 403, 404, 429, 500, 502, 503] {
            site.put(JWKS, status, &[], jwks.clone());
            fails("status", direct(&site.url(JWKS)).fetch().await, &status.to_string());
        }
        // 200 with something else is for the parser of keys.
        site.put(
            JWKS,
            200,
            &[("content-type", "text/html")],
            "<!doctype html><title>Sign in</title>",
        );
        let page = direct(&site.url(JWKS)).fetch().await.expect("an answer");
        drop(KeySet::parse("test", &page).expect_err("a page is no key set"));
    });
}

#[test]
fn a_body_over_the_limit() {
    block_on(async {
        let site = Site::start().await;
        let jwks = |size: usize| format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(size));
        site.put(JWKS, 200, &[], jwks(500 * 1024));
        direct(&site.url(JWKS)).fetch().await.expect("under the limit");
        site.put(JWKS, 200, &[], jwks(513 * 1024));
        fails("declared", direct(&site.url(JWKS)).fetch().await, "over 524288 bytes");

        // Without a declared length, and without an end.
        let endless = raw(async |mut stream| {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
            drop(stream.write_all(head).await);
            while stream.write_all(&chunk).await.is_ok() {}
        });
        let url = endless.await;
        let told =
            tokio::time::timeout(Duration::from_secs(4), async { direct(&url).fetch().await })
                .await;
        fails("endless", told.expect("cut off by size, not by time"), "over 524288 bytes");
    });
}

#[test]
fn a_compressed_bomb_is_not_expanded() {
    block_on(async {
        let site = Site::start().await;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let padding = vec![b' '; 1 << 20];
        for _ in 0..64 {
            encoder.write_all(&padding).expect("into memory");
        }
        encoder.write_all(br#"{"keys":[]}"#).expect("into memory");
        let bomb = encoder.finish().expect("into memory");
        assert!(bomb.len() < 100_000);
        site.put(JWKS, 200, &[("content-encoding", "gzip")], bomb.clone());
        let fetched = direct(&site.url(JWKS)).fetch().await.expect("its bytes as they are");
        assert_eq!(fetched.len(), bomb.len());
        drop(KeySet::parse("test", &fetched).expect_err("gzip is no JSON"));
    });
}

#[test]
fn slow_answers_are_cut_off() {
    block_on(async {
        // One byte of the head now and then; the same in the body; nothing at all.
        let head = raw(async |mut stream| drip(&mut stream, b"HTTP/1.1 200 OK\r\nx: ").await);
        let body = raw(async |mut stream| {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await);
            drip(&mut stream, b"{\"keys\":[").await;
        });
        let silent = raw(async |mut stream| drip(&mut stream, b"").await);
        for url in [head.await, body.await, silent.await] {
            let issuer = TestIssuer::new(ISSUER, Algorithm::EdDsa);
            let verifier = verifier(ISSUER, direct(&url));
            let token = issuer.token(API).sign();
            let told = tokio::time::timeout(Duration::from_secs(3), verifier.verify(&token)).await;
            assert_eq!(code(&told.expect("bounded by `fetch_timeout`")), "keys_unavailable");
        }
    });
}

#[test]
fn the_client_bounds_time_by_itself() {
    block_on(async {
        let url = raw(async |mut stream| drip(&mut stream, b"HTTP/1.1 200 OK\r\nx: ").await).await;
        let told =
            tokio::time::timeout(Duration::from_secs(9), async { direct(&url).fetch().await })
                .await;
        fails("slow", told.expect("five seconds are enough"), "timed out");
    });
}

#[test]
fn connections_that_break() {
    block_on(async {
        let unused = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = unused.local_addr().expect("bound");
        drop(unused);
        fails("refused", direct(&format!("http://{address}/jwks")).fetch().await, "refused");

        for answer in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"keys\":[]}",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"k",
            "HTTP/1.1 OK\r\n\r\n",
        ] {
            let url =
                raw(async move |mut stream| drop(stream.write_all(answer.as_bytes()).await)).await;
            drop(direct(&url).fetch().await.expect_err(answer));
        }
        fails(
            "no such host",
            direct("http://nowhere.invalid/jwks").fetch().await,
            "nowhere.invalid",
        );
    });
}

#[test]
fn addresses_that_stop_the_start() {
    for url in [
        "",
        "jwks",
        "/jwks",
        "file:///etc/passwd",
        "ftp://id.test/jwks",
        "http://",
        "https://user@id.test/jwks",
        "https://user:secret@id.test/jwks",
        "javascript:1",
        "http://[::1/jwks",
    ] {
        drop(HttpKeys::direct(url, client()).expect_err(url));
        drop(HttpKeys::discovery(url, client()).expect_err(url));
    }
    for issuer in ["https://id.test/oidc?x=", "https://id.test/oidc#", "https://id.test/oidc?"] {
        drop(HttpKeys::discovery(issuer, client()).expect_err(issuer));
    }
    let error = HttpKeys::direct("https://user:secret@id.test/jwks", client())
        .expect_err("a user")
        .to_string();
    assert!(!error.contains("secret"), "a password shows in `{error}`");
    for pem in [
        &b""[..],
        b"not a certificate",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        drop(HttpClient::new(Some(pem)).expect_err("no certificate"));
    }
}

#[test]
fn keys_that_move() {
    block_on(async {
        let old = TestIssuer::new(ISSUER, Algorithm::EdDsa).jwks();
        let new = TestIssuer::new(ISSUER, Algorithm::EdDsa).jwks();
        // The old address is gone, or answers with a page, or with a set that is empty.
        for (status, body) in [(410, ""), (200, "<!doctype html>"), (200, "{\"keys\":[]}")] {
            let site = Site::start().await;
            site.publish(&site.issuer(), &site.url(JWKS), &old);
            let keys = discovery(&site.issuer());
            keys.fetch().await.expect("found");
            keys.fetch().await.expect("the address is remembered");
            assert_eq!(site.asked(), [DISCOVERY, JWKS, JWKS]);
            site.publish(&site.issuer(), &site.url("/new/jwks"), "");
            site.put(JWKS, status, &[], body);
            site.put("/new/jwks", 200, &[], new.clone());
            drop(keys.fetch().await);
            assert_eq!(keys.fetch().await.expect("found anew"), new);
            assert_eq!(site.asked()[3..], [JWKS, DISCOVERY, "/new/jwks"]);
        }
    });
}

#[test]
fn keys_that_move_and_leave_the_old_ones_behind() {
    block_on(async {
        let site = Site::start().await;
        let old = TestIssuer::new(ISSUER, Algorithm::EdDsa).jwks();
        site.publish(&site.issuer(), &site.url("/new/jwks"), &old);
        site.put("/new/jwks", 200, &[], TestIssuer::new(ISSUER, Algorithm::EdDsa).jwks());
        let moved = site.state.lock().expect("no panic").answers[DISCOVERY].clone();
        site.publish(&site.issuer(), &site.url(JWKS), &old);
        let keys = discovery(&site.issuer());
        for _ in 0..7 {
            assert_eq!(keys.fetch().await.expect("found"), old);
        }
        assert_eq!(site.asked().iter().filter(|path| *path == DISCOVERY).count(), 1);
        // It is looked up again; without an answer the address that is known serves on.
        site.put(DISCOVERY, 500, &[], "");
        assert_eq!(keys.fetch().await.expect("still known"), old);
        site.state.lock().expect("no panic").answers.insert(DISCOVERY.to_owned(), moved);
        assert_ne!(keys.fetch().await.expect("found anew"), old);
        assert_eq!(site.asked().last().map(String::as_str), Some("/new/jwks"));
    });
}

#[test]
fn a_rotation_and_an_outage_over_http() {
    block_on(async {
        let site = Site::start().await;
        let issuer = TestIssuer::new(ISSUER, Algorithm::EdDsa);
        let clock = auth_core::testing::TestClock::new();
        let issuer = issuer.clock(clock.clone());
        site.put(JWKS, 500, &[], "");
        let verifier = Verifier::builder()
            .issuer(
                IssuerPolicy::new("test", ISSUER).accept(Accept::organization(API)),
                direct(&site.url(JWKS)),
            )
            .clock(clock.clone())
            .build()
            .expect("sound");
        let token = issuer.token(API).sign();
        assert_eq!(code(&verifier.verify(&token).await), "keys_unavailable");
        site.put(JWKS, 200, &[], issuer.jwks());
        clock.advance(Duration::from_secs(1));
        assert_eq!(code(&verifier.verify(&token).await), "ok");
        issuer.rotate();
        site.put(JWKS, 200, &[], issuer.jwks());
        clock.advance(Duration::from_secs(30));
        let new = issuer.token(API).sign();
        assert_eq!(code(&verifier.verify(&new).await), "ok");
        site.put(JWKS, 503, &[], "");
        clock.advance(Duration::from_mins(30));
        for token in [&token, &new] {
            assert_eq!(code(&verifier.verify(token).await), "ok");
        }
    });
}

/// A server that reads one request and then does as it likes with the connection.
async fn raw(answer: impl AsyncFnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    // A thread of its own: an async closure's future is not `Send`.
    let listener = listener.into_std().expect("a socket");
    std::thread::spawn(move || {
        block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a socket");
            if let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                drop(stream.read(&mut request).await);
                answer(stream).await;
            }
        });
    });
    format!("http://{address}/jwks")
}

/// Sends this, then a byte now and then, until the other side has had enough.
async fn drip(stream: &mut TcpStream, first: &[u8]) {
    drop(stream.write_all(first).await);
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if !first.is_empty() && stream.write_all(b" ").await.is_err() {
            return;
        }
    }
}
