//! Starts a gateway on ports of its own, and asks it over raw sockets: what a proxy could send must
//! be sendable, duplicate lines and broken bytes included.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use auth_core::gate::Gate;
use auth_core::testing::{KeyFault, TestClock, TestIssuer, TestKeys};
use auth_core::{Accept, Algorithm, IssuerPolicy, Verifier};
use entitlements::EntitlementService;
use entitlements::testing::{InMemory, PLANS};
use tiergate::config::{Config, Environment};
use tiergate::server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The audience whose tokens carry scopes.
pub(crate) const API: &str = "https://api.test";
/// The audience whose tokens carry roles.
pub(crate) const UI: &str = "https://ui.test";

const ROUTES: &str = r#"
[routes."app.test"]
"GET /public"                  = { access = "public" }
"GET /public/{*rest}"          = { access = "public" }
"GET,POST /admin"              = { scopes = ["traces:read"] }
"GET /me"                      = { access = "authenticated" }
"GET /topology"                = { scopes = ["traces:read"], features = ["topology_graph"] }
"GET /replay"                  = { scopes = ["traces:read"], features = ["exchange_replay"] }
"GET /lineage"                 = { scopes = ["traces:read"], features = ["payload_lineage=full"] }
"GET /cors"                    = { scopes = ["traces:read"], preflight = true }
[routes."ui.test"]
"GET /ui/{*rest}"              = { roles = ["viewer", "admin"] }
"POST /ui/{*rest}"             = { roles = ["admin"] }
[routes."[::1]"]
"GET /six"                     = { access = "public" }
"#;

/// A gateway that runs until it is dropped.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) issuer: TestIssuer,
    pub(crate) keys: TestKeys,
    pub(crate) clock: TestClock,
    pub(crate) store: InMemory,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<()>,
    folder: tempfile::TempDir,
}

/// How a gateway differs from the usual one.
#[derive(Default)]
pub(crate) struct Options {
    /// Lines of `[gateway]`.
    pub(crate) gateway: &'static str,
    /// Whom it trusts; loopback unless said.
    pub(crate) trusted: Option<&'static str>,
    /// Writes files beside the configuration, and lines for `[gateway.tls]`.
    pub(crate) tls: Option<fn(&std::path::Path)>,
    /// Which proxy asks; Traefik unless said.
    pub(crate) proxy: Option<&'static str>,
    /// What is wrong with the keys from the start.
    pub(crate) keys: KeyFault,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    #[expect(clippy::unused_async, reason = "listeners need a runtime, which this makes sure of")]
    pub(crate) async fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("plans.toml"), PLANS).expect("a file");
        let tls = match options.tls {
            Some(write) => {
                write(folder.path());
                "[gateway.tls]\ncertificate = \"gate.pem\"\nkey_file = \"gate.key\"\n"
            }
            None => "",
        };
        let text = format!(
            "schema = 1\nplans = \"plans.toml\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n\
             proxy = \"{}\"\ntrusted_proxies = [\"{}\"]\n{}\n{tls}\
             [admin]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite::memory:\"\n\
             [[issuer]]\nname = \"test\"\nurl = \"https://id.test/oidc\"\n\
             [[issuer.accept]]\npath = \"organization\"\naudience = \"{API}\"\n\
             [[issuer.accept]]\npath = \"roles\"\naudience = \"{UI}\"\n\
             roles = {{ \"ui:viewer\" = \"viewer\", \"ui:admin\" = \"admin\" }}\n{ROUTES}",
            options.proxy.unwrap_or("traefik"),
            options.trusted.unwrap_or("127.0.0.0/8"),
            options.gateway,
        );
        let path = folder.path().join("tiergate.toml");
        let config = Config::parse(&path, &text, &Environment::empty()).expect("no mistake");

        let clock = TestClock::new();
        let issuer = TestIssuer::new("https://id.test/oidc", Algorithm::Es256).clock(clock.clone());
        let keys = issuer.keys();
        keys.fault(options.keys);
        let policy = IssuerPolicy::new("test", issuer.url())
            .accept(Accept::organization(API))
            .accept(Accept::roles(UI, [("ui:viewer", "viewer"), ("ui:admin", "admin")]));
        let verifier = Verifier::builder().clock(clock.clone()).issuer(policy, keys.clone());
        let tenants = [("low-co", "low"), ("mid-co", "mid"), ("high-co", "high")];
        let (entitlements, store) = EntitlementService::in_memory_builder(config.catalog.clone())
            .clock(clock.as_fn())
            .tenants(tenants)
            .build_with_store();
        let gate = Gate::new(verifier.build().expect("a policy"), entitlements);

        let server = Server::with_gate(&config, gate, clock.clone()).expect("free ports");
        let address = server.gateway_address().expect("an address");
        let admin = server.admin_address().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(
            async {
                // Dropping the gateway stops it as well.
                let _ = stopped.await;
            },
            std::future::pending(),
        ));
        Self { address, admin, issuer, keys, clock, store, stop: Some(stop), task, folder }
    }

    /// A token for `API` with the scope that the routes ask for.
    pub(crate) fn token(&self, organization: &str) -> String {
        self.issuer.token(API).organization(organization).scopes(["traces:read"]).sign()
    }

    /// A path beside the configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Tells it to stop, as a signal does.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Asks whether a request may pass.
    pub(crate) async fn ask(&self, question: &Question) -> Answer {
        exchange(self.address, &question.bytes()).await
    }

    /// Asks for the path of `app.test` with a method and a token.
    pub(crate) async fn get(&self, uri: &str, token: Option<&str>) -> Answer {
        let question = Question::new(uri);
        self.ask(&match token {
            Some(token) => question.line("Authorization", &format!("Bearer {token}")),
            None => question,
        })
        .await
    }

    /// Asks the operator's listener.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        exchange(self.admin, request.as_bytes()).await
    }
}

/// One call of the proxy, as bytes.
#[derive(Clone)]
pub(crate) struct Question {
    head: String,
    lines: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Question {
    /// `GET https://app.test{uri}` as Traefik asks it.
    pub(crate) fn new(uri: &str) -> Self {
        Self::raw(uri.as_bytes())
    }

    /// As [`Self::new`], for targets that are no text.
    pub(crate) fn raw(uri: &[u8]) -> Self {
        let question = Self { head: "GET /verify HTTP/1.1".to_owned(), lines: Vec::new() };
        question
            .line("Host", "127.0.0.1:4180")
            .line("User-Agent", "curl/8.0")
            .line("Accept-Encoding", "gzip")
            .line("X-Forwarded-For", "10.0.0.1")
            .line("X-Forwarded-Host", "app.test")
            .line("X-Forwarded-Method", "GET")
            .line("X-Forwarded-Port", "443")
            .line("X-Forwarded-Proto", "https")
            .line("X-Forwarded-Server", "traefik")
            .raw_line(b"X-Forwarded-Uri", uri)
            .line("X-Real-Ip", "10.0.0.1")
    }

    /// Another request line.
    pub(crate) fn head(mut self, head: &str) -> Self {
        head.clone_into(&mut self.head);
        self
    }

    /// One line more.
    pub(crate) fn line(self, name: &str, value: &str) -> Self {
        self.raw_line(name.as_bytes(), value.as_bytes())
    }

    /// One line more, of any bytes.
    pub(crate) fn raw_line(mut self, name: &[u8], value: &[u8]) -> Self {
        self.lines.push((name.to_vec(), value.to_vec()));
        self
    }

    /// Without the lines of this name.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.lines.retain(|(known, _)| !known.eq_ignore_ascii_case(name.as_bytes()));
        self
    }

    /// With this value instead.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).line(name, value)
    }

    /// With the credential.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.line("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone().into_bytes();
        let close: (&[u8], &[u8]) = (b"Connection", b"close");
        let lines = self.lines.iter().map(|(name, value)| (&**name, &**value));
        let has_connection =
            self.lines.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"connection"));
        for (name, value) in lines.chain((!has_connection).then_some(close)) {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    }
}

/// An answer, header lines as they came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) lines: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("cut: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let lines = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header line");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            status: status.and_then(|status| status.parse().ok()).expect("a status"),
            lines: lines.collect(),
            body: body.to_owned(),
        }
    }

    /// The one value of a header.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.lines.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "`{name}` is there twice: {self:?}");
        value
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `200`, or the status and the reason of a denial.
    #[track_caller]
    pub(crate) fn verdict(&self) -> String {
        if self.status == 200 {
            return "200".to_owned();
        }
        if self.body.is_empty() {
            return self.status.to_string();
        }
        let json = self.json();
        format!("{} {}", self.status, json["reason"].as_str().expect("a reason"))
    }
}

/// Sends bytes and reads until the other side is done.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("a listener");
    // The other side may answer, and close, before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer");
    assert!(read.is_ok() || !answer.is_empty(), "no answer: {read:?}");
    Answer::parse(&answer)
}
