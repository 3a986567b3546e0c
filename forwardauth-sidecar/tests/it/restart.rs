//! The program starts while neither its store nor its issuer can be reached.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::testing::TestIssuer;
use auth_core::{Algorithm, Clock as _, SystemClock};
use entitlements::License;
use entitlements::store::{self, Actor, Change, Mode, Organization};
use entitlements::testing::{PLANS, license};
use tiergate::telemetry::metrics::Stopwatch;

use crate::harness::{Answer, Question, exchange};

pub(crate) const ISSUER: &str = "https://id.example.com/oidc";

/// An issuer's key set over HTTP, until it is stopped.
pub(crate) struct Keys {
    pub(crate) address: SocketAddr,
    document: Arc<Mutex<Option<String>>>,
}

impl Keys {
    pub(crate) fn serve(document: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let document = Arc::new(Mutex::new(Some(document)));
        let shared = Arc::clone(&document);
        // It ends with the test's process; stopped, it closes every connection at once.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let Some(body) = shared.lock().expect("no panic").clone() else { continue };
                let mut head = [0; 2048];
                let _ = stream.read(&mut head);
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                     content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { address, document }
    }

    fn stop(&self) {
        *self.document.lock().expect("no panic") = None;
    }
}

/// A folder with a configuration, and processes that serve it.
pub(crate) struct Installation(tempfile::TempDir);

impl Installation {
    pub(crate) fn new(keys: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = include_str!("../../../tiergate.toml")
            .replace("127.0.0.1:4180", "127.0.0.1:0")
            .replace("127.0.0.1:4181", "127.0.0.1:0")
            .replace("# snapshot ", "snapshot ")
            .replace("# snapshot_key_file ", "snapshot_key_file ")
            .replace(
                "# keys_from  = \"http://logto:3001/oidc/jwks\"",
                &format!("keys_from = \"http://{keys}/jwks\""),
            );
        assert!(text.contains("\nsnapshot ") && text.contains("\nkeys_from"), "{text}");
        std::fs::write(folder.path().join("tiergate.toml"), text).expect("a file");
        std::fs::write(folder.path().join("plans.toml"), PLANS).expect("a file");
        let key = folder.path().join("snapshot.key");
        std::fs::write(&key, [42; 48]).expect("a file");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("ours");
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) async fn add(&self, tenant: &str, license: License) {
        let url = format!("sqlite:{}", self.path("tiergate.db").display());
        let store = store::open(&url, Mode::ReadWrite).await.expect("a store");
        let organization = Organization { issuer: ISSUER.to_owned(), id: format!("org-{tenant}") };
        let id: entitlements::TenantId = tenant.parse().expect("a tenant id");
        let (name, organizations) = (tenant.to_owned(), vec![organization]);
        for change in [
            Change::AddTenant { id: id.clone(), name, organizations },
            Change::GrantLicense { tenant: id, license },
        ] {
            store.apply(&change, &Actor::person("test"), SystemClock.now()).await.expect("done");
        }
    }

    pub(crate) fn remove_the_store(&self) {
        for entry in std::fs::read_dir(self.0.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.to_string_lossy().contains("tiergate.db") {
                std::fs::remove_file(path).expect("it was there");
            }
        }
    }

    pub(crate) fn serve(&self, variables: &[(&str, &str)]) -> Serving {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tiergate"))
            .current_dir(self.0.path())
            .arg("serve")
            .env_remove("TIERGATE_CONFIG")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut before = String::new();
        loop {
            let start = before.len();
            assert_ne!(log.read_line(&mut before).expect("text"), 0, "it ended: {before}");
            let Some(line) = before.get(start..).filter(|line| line.contains("\"serving\"")) else {
                continue;
            };
            let address = |name: &str| {
                let (_, rest) = line.split_once(&format!("\"{name}\":\"")).expect("an address");
                rest.split('"').next().and_then(|it| it.parse().ok()).expect("an address")
            };
            let (gateway, admin) = (address("gateway"), address("admin"));
            return Serving { child, log, before, gateway, admin };
        }
    }
}

/// A process, killed when it is dropped: a restart does not wait for anybody's good-bye.
pub(crate) struct Serving {
    child: Child,
    log: BufReader<ChildStderr>,
    before: String,
    gateway: SocketAddr,
    admin: SocketAddr,
}

impl Serving {
    pub(crate) async fn ask(&self, token: &str) -> Answer {
        let question = Question::new("/api/v1/topology")
            .set("X-Forwarded-Host", "traces.example.com")
            .bearer(token);
        exchange(self.gateway, &question.bytes()).await
    }

    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        exchange(self.admin, request.as_bytes()).await
    }

    pub(crate) async fn ready(&self) -> u16 {
        self.admin("/readyz").await.status
    }

    /// Ends it, and tells what it logged.
    pub(crate) fn kill(mut self) -> String {
        let _ = self.child.kill();
        let mut log = std::mem::take(&mut self.before);
        self.log.read_to_string(&mut log).expect("text");
        log
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16, reason: &str) {
    let told = answer.json()["reason"].clone();
    assert_eq!((answer.status, told.as_str()), (status, Some(reason)), "{answer:?}");
}

pub(crate) fn holds(file: &Path, texts: &[&str]) -> bool {
    let bytes = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    texts.iter().all(|it| text.contains(it))
}

pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_start_without_store_and_issuer_answers_as_of_the_snapshot() {
    let issuer = TestIssuer::new(ISSUER, Algorithm::Es384);
    let keys = Keys::serve(issuer.jwks());
    let place = Installation::new(keys.address);
    let ends_at = SystemClock.now() + Duration::from_secs(9);
    place.add("acme", license("lic_1", "mid")).await;
    place.add("brief", License { ends_at: Some(ends_at), ..license("lic_2", "mid") }).await;
    place.add("unseen", license("lic_3", "mid")).await;
    let token = |tenant: &str| {
        let token = issuer.token("https://api.example.com").organization(&format!("org-{tenant}"));
        token.scopes(["traces:read"]).sign()
    };
    let (acme, brief, unseen) = (token("acme"), token("brief"), token("unseen"));

    let first = place.serve(&[]);
    for token in [&acme, &brief] {
        while first.ask(token).await.status == 503 {
            pause().await;
        }
        assert_eq!(first.ask(token).await.status, 200);
    }
    let snapshot = place.path("tiergate.snapshot");
    while !holds(&snapshot, &["org-acme", "org-brief", "fetched_at_us"]) {
        pause().await;
    }
    assert!(!holds(&snapshot, &["org-unseen"]), "it holds who was seen");
    let mode = std::fs::metadata(&snapshot).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    drop(first);
    place.remove_the_store();
    keys.stop();

    let begun = Stopwatch::start();
    let second = place.serve(&[]);
    let listening = begun.elapsed();
    let answer = second.ask(&acme).await;
    let answered = begun.elapsed();
    assert_eq!(answer.status, 200, "{answer:?}");
    println!("listening after {listening:?}, first right answer after {answered:?}");
    assert_eq!(answer.header("x-tenant-id"), Some("acme"));
    assert_eq!(answer.header("x-tenant-tier"), Some("mid"));
    let features = answer.header("x-tenant-features").expect("it is always there");
    assert!(features.contains("payload_lineage=\"full\""), "{features}");
    assert_eq!(second.ready().await, 200);
    refused(&second.ask(&unseen).await, 503, "store_unavailable");
    while SystemClock.now() < ends_at {
        pause().await;
    }
    refused(&second.ask(&brief).await, 403, "license_expired");
    assert_eq!(second.ask(&acme).await.status, 200);
    let log = second.kill();
    assert!(log.contains("entitlements: answering from the snapshot"), "{log}");
    assert!(log.contains("keys taken from the snapshot"), "{log}");
    assert!(!place.path("tiergate.db").exists(), "an empty store would know nobody");

    // What is known of one store is not known of another.
    let far = ("TIERGATE_STORE__URL", "postgres://tiergate@127.0.0.1:9/tiergate");
    let other = place.serve(&[far]);
    assert_eq!((other.ask(&acme).await.status, other.ready().await), (503, 503));
    let log = other.kill();
    assert!(log.contains("this one is at `postgres://127.0.0.1:9/tiergate`"), "{log}");

    // One bit, another key, half a file: nothing of it counts, and the log says why.
    let good = std::fs::read(&snapshot).expect("a file");
    let mut forged = good.clone();
    *forged.last_mut().expect("bytes") ^= 1;
    for (bytes, key, why) in [
        (&forged[..], [42; 48], "it is damaged or forged"),
        (&good[..good.len() / 2], [42; 48], "it is cut off"),
        (&good[..], [43; 48], "it was written with another key"),
    ] {
        std::fs::write(&snapshot, bytes).expect("a file");
        std::fs::write(place.path("snapshot.key"), key).expect("a file");
        let third = place.serve(&[]);
        assert_eq!(third.ask(&acme).await.status, 503, "{why}");
        assert_eq!(third.ready().await, 503, "{why}");
        let log = third.kill();
        assert!(log.contains("entitlements: the snapshot is refused"), "{log}");
        assert!(log.contains(why), "{log}");
    }
}
