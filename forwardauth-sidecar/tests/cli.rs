//! `tiergate check` and `explain`, as a person runs them: the real binary, tokens of a real Logto.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const TOKENS: &str = include_str!("../../auth-core/tests/fixtures/logto/tokens.json");
const JWKS: &str = include_str!("../../auth-core/tests/fixtures/logto/jwks-all.json");
/// When the recorded tokens are valid.
const AT: &str = "2026-11-22T18:26:40Z";

const CONFIG: &str = r#"
schema = 1
plans  = "plans.toml"
[gateway]
listen          = "127.0.0.1:GATEWAY"
proxy           = "traefik"
trusted_proxies = ["127.0.0.1/32"]
[admin]
listen = "127.0.0.1:ADMIN"
[store]
url = "sqlite:tiergate.db"
[[issuer]]
name = "logto"
url  = "http://127.0.0.1:3001/oidc"
  [[issuer.accept]]
  path     = "organization"
  audience = "https://api.cameleer.local"
[routes."traces.example.com"]
"GET /healthz"                       = { access = "public" }
"GET /api/v1/exchanges"              = { scopes = ["read:routes"] }
"POST /api/v1/exchanges/{id}/replay" = { scopes = ["read:routes"], features = ["exchange_replay"] }
"PUT /cors"                          = { scopes = ["read:routes"], preflight = true }
"#;

/// A folder with a configuration, plans and keys, and `acme` on mid.
struct Folder(TempDir);

struct Answer {
    code: i32,
    out: String,
    err: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {} {}", self.out, self.err))
    }
}

fn recorded(name: &str) -> String {
    let tokens: Value = serde_json::from_str(TOKENS).expect("json");
    let token = tokens["tokens"].as_array().expect("a list").iter().find(|t| t["name"] == name);
    token.expect("a recorded token")["token"].as_str().expect("a text").to_owned()
}

/// A user's token for the organization `66ohyuzagcgr`.
fn alice() -> String {
    recorded("user.refresh_org_resource")
}

impl Folder {
    fn empty() -> Self {
        let free = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("bound").port().to_string()
        };
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("written");
        };
        write("tiergate.toml", &CONFIG.replace("GATEWAY", &free()).replace("ADMIN", &free()));
        write("plans.toml", include_str!("../../plans.toml"));
        write("jwks.json", JWKS);
        Self(folder)
    }

    fn new() -> Self {
        let folder = Self::empty();
        folder.done(
            "tenant add acme --issuer http://127.0.0.1:3001/oidc --organization 66ohyuzagcgr",
        );
        folder.done("license grant acme --tier mid --starts 2026-01-01T00:00:00Z");
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tiergate"));
        command.args(words.split(' ')).current_dir(self.path());
        command
    }

    /// Runs a command with this on standard input.
    fn run(&self, words: &str, input: &str) -> Answer {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // A command that refuses its arguments does not read.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let (out, err) = (text(output.stdout), text(output.stderr));
        let signature = input.trim().rsplit('.').next().unwrap_or_default();
        assert!(
            signature.len() < 40 || !(out.contains(signature) || err.contains(signature)),
            "the token is printed: {out}{err}"
        );
        Answer { code: output.status.code().expect("an exit code"), out, err }
    }

    #[track_caller]
    fn done(&self, words: &str) -> Answer {
        let answer = self.run(words, "");
        assert_eq!(answer.code, 0, "{words}: {}{}", answer.out, answer.err);
        answer
    }

    fn offline(&self, words: &str, token: &str) -> Answer {
        self.run(&format!("{words} --jwks jwks.json --at {AT}"), token)
    }
}

#[test]
fn a_recorded_token_and_its_tier() {
    let folder = Folder::new();
    let answer = folder.offline("check --json", &alice());
    assert_eq!(answer.code, 0, "{}", answer.err);
    let facts = answer.json();
    let expected = json!({
        "decision": "allow", "reason": null, "subject": "acq0va2vxlyy", "kind": "user",
        "organization": "66ohyuzagcgr", "tenant": "acme", "tier": "mid",
        "features": {
            "topology_graph": true, "payload_lineage": "full", "cross_service_correlation": true,
            "live_route_debugger": false, "exchange_replay": false, "retention_days": 30,
        },
        "scopes": ["read:routes", "write:routes", "admin:cluster"], "roles": [],
        "issuer": "http://127.0.0.1:3001/oidc", "expires_at": "2026-11-22T19:25:10Z",
        "valid_until": null, "source": "offline",
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&facts[name], value, "{name}");
    }
    assert!(facts["client_id"].is_string());
}

#[test]
fn the_table_says_the_same() {
    let answer = Folder::new().offline("check", &alice());
    for line in ["decision                     allow", "tenant                       acme"] {
        assert!(answer.out.lines().any(|l| l == line), "{line} in {}", answer.out);
    }
    assert!(answer.out.contains("those of now"), "what is only known as of now is said");
}

#[test]
fn the_token_comes_from_stdin_an_argument_or_a_file() {
    let folder = Folder::new();
    let token = alice();
    std::fs::write(folder.path().join("token"), format!("{token}\n")).expect("written");
    assert_eq!(folder.offline("check", &token).code, 0);
    assert_eq!(folder.offline("check -", &token).code, 0);
    assert_eq!(folder.offline("check", &format!("Authorization: Bearer {token}\n")).code, 0);
    assert_eq!(folder.offline(&format!("check {token}"), "").code, 0);
    assert_eq!(folder.offline("check --token-file token", "").code, 0);
    assert_eq!(folder.offline("check", "").code, 2);
    assert_eq!(folder.offline("check --token-file nowhere", "").code, 2);
}

#[test]
fn features_scopes_and_roles_are_asked() {
    let folder = Folder::new();
    let ask = |words: &str| {
        let answer = folder.offline(&format!("check --json {words}"), &alice());
        (answer.code, answer.json()["reason"].clone())
    };
    assert_eq!(ask("--feature payload_lineage=full --scope read:routes"), (0, Value::Null));
    assert_eq!(ask("--feature exchange_replay"), (1, "not_in_plan".into()));
    assert_eq!(ask("--scope traces:none"), (1, "insufficient_scope".into()));
    assert_eq!(ask("--role viewer"), (1, "missing_role".into()));
    let unknown = folder.offline("check --feature exchange_reply", &alice());
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("exchange_replay"), "the known ones are named: {}", unknown.err);
}

/// Whoever edits the plans is told that a gateway which runs does not know.
#[test]
fn other_plans_than_the_stores_are_noted() {
    let folder = Folder::new();
    let quiet = folder.offline("check --json", &alice()).json();
    assert_eq!(quiet["note"], Value::Null);
    let plans = include_str!("../../plans.toml").replace("30,     90", "60,     90");
    std::fs::write(folder.path().join("plans.toml"), plans).expect("written");
    let told = folder.offline("check --json", &alice()).json();
    let note = told["note"].as_str().expect("a note");
    assert!(note.contains("are not the store's current ones"), "{note}");
    let url = "explain --url https://traces.example.com/api/v1/exchanges";
    assert!(folder.offline(url, &alice()).out.contains("note: the plans here"));
    assert!(folder.done("tenant show acme").out.contains("note      the plans here"));
}

#[test]
fn an_id_that_was_cut_is_no_token() {
    let folder = Folder::new();
    for id in ["01a21e3c-d64e-74a0-b304-f1131e67e65", "01a21e3c-d64e"] {
        let answer = folder.offline("explain --url https://traces.example.com/healthz", id);
        assert!(answer.code == 2 && answer.err.contains("the id of a decision"), "{}", answer.err);
    }
}

/// `explain` tells from which license and override each value comes, and how old the keys are.
#[test]
fn the_rows_that_decided_are_told() {
    let folder = Folder::new();
    let list = folder.done("license list --json").json();
    let license = list[0]["license"].as_str().expect("an id").to_owned();
    let url = "--method POST --url https://traces.example.com/api/v1/exchanges/7/replay";
    let told = folder.offline(&format!("explain {url}"), &alice());
    let row = format!("license {license} (tier mid): active, from 2026-01-01T00:00:00Z");
    assert!(told.code == 1 && told.out.contains(&row), "{}", told.out);
    assert!(told.out.contains("fetched 0 s ago"), "{}", told.out);
    // Of two licenses at once both are told, whichever counts.
    folder.done(
        "license grant acme --tier low --starts 2026-02-01T00:00:00Z --ends 2027-02-01T00:00:00Z",
    );
    let told = folder.offline(&format!("explain {url}"), &alice());
    let second = "(tier low): active, 2026-02-01T00:00:00Z to 2027-02-01T00:00:00Z";
    assert!(told.out.contains(&row) && told.out.contains(second), "{}", told.out);

    let exception = "override add acme exchange_replay --raise yes --permanent --by sue \
                     --starts 2026-01-01T00:00:00Z --reason";
    let mut command = folder.command(exception);
    let added = command.arg("sold in 2025").output().expect("it runs");
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let told = folder.offline(&format!("explain {url}"), &alice());
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    assert!(told.out.contains("by sue because sold in 2025"), "{}", told.out);
    // `--store` asks another store, which knows nobody.
    folder.done("tenant add other --store sqlite:other.db --plans plans.toml");
    let other = folder.offline("check --json --store sqlite:other.db", &alice());
    assert_eq!((other.code, other.json()["reason"].clone()), (1, "unknown_tenant".into()));
}

#[test]
fn machines_are_told_from_users() {
    let folder = Folder::new();
    let facts = folder.offline("check --json", &recorded("m2m.m2m_org_resource")).json();
    assert_eq!(
        (facts["kind"].clone(), facts["decision"].clone()),
        ("machine".into(), "allow".into())
    );
    assert_eq!(facts["subject"], facts["client_id"]);
}

#[test]
fn the_license_is_judged_at_the_moment() {
    let folder = Folder::new();
    let before = folder.offline("check --json", &alice());
    assert_eq!(before.code, 0);
    let list = folder.done("license list --json").json();
    let id = list[0]["license"].as_str();
    folder.done(&format!("license revoke {} --reason unpaid", id.expect("a license id")));
    // It was revoked just now, which is after the moment that is asked about.
    let then = folder.run("check --json --jwks jwks.json --at 2026-11-22T18:26:40Z", &alice());
    assert_eq!(then.code, 0, "{}", then.out);
    let starts_later =
        folder.run("check --json --jwks jwks.json --at 2025-12-31T00:00:00Z", &alice());
    assert_eq!(starts_later.code, 1);
    assert_eq!(starts_later.json()["reason"], "issued_in_future");
}

#[test]
fn an_issuer_that_is_not_configured_is_noticed() {
    let folder = Folder::new();
    let known = "http://127.0.0.1:3001/oidc";
    let add = |id: &str, issuer: &str| {
        folder.done(&format!("tenant add {id} --issuer {issuer} --organization {id}")).out
    };
    assert!(!add("globex", known).contains("note:"));
    let told = add("initech", &format!("{known}/"));
    assert!(told.contains("note: no `[[issuer]]`") && told.contains(known), "{told}");
    let map = format!("tenant map initech --issuer {known} --organization other --json");
    assert_eq!(folder.done(&map).json()["note"], Value::Null);
}

#[test]
fn what_cannot_be_known_is_exit_code_3() {
    let folder = Folder::empty();
    let answer = folder.offline("check --json", &alice());
    assert_eq!((answer.code, answer.json()["decision"].clone()), (3, "unknown".into()));
    assert_eq!(answer.json()["reason"], "store_unavailable");
    assert!(!folder.path().join("tiergate.db").exists(), "a question creates no store");
    // A bad token is told without a store.
    let answer = folder.offline("check --json", "rubbish");
    assert_eq!((answer.code, answer.json()["reason"].clone()), (1, "opaque_token".into()));
    // Nobody answers at the issuer's address.
    let folder = Folder::new();
    let answer = folder.run(&format!("check --json --at {AT}"), &alice());
    assert_eq!((answer.code, answer.json()["reason"].clone()), (3, "keys_unavailable".into()));
}

#[test]
fn wrong_questions_are_exit_code_2() {
    let folder = Folder::new();
    for (words, said) in [
        ("check --config nowhere.toml", "nowhere.toml"),
        ("check --jwks plans.toml", "plans.toml"),
        ("check --at yesterday", "--at"),
        ("explain --url no-url", "no-url"),
        ("explain --url https://traces.example.com/ --scope a", "--scope"),
        ("explain --method POST", "--url"),
    ] {
        let answer = folder.run(words, &alice());
        assert_eq!(answer.code, 2, "{words}: {}{}", answer.out, answer.err);
        assert!(answer.err.contains(said), "{words}: {}", answer.err);
    }
}

#[test]
fn explain_tells_each_step() {
    let folder = Folder::new();
    let replay = "explain --method POST --url https://traces.example.com/api/v1/exchanges/7/replay";
    let answer = folder.offline(replay, &alice());
    assert_eq!(answer.code, 1);
    for said in [
        "traces.example.com POST /api/v1/exchanges/{id}/replay",
        "66ohyuzagcgr",
        "not_in_plan",
        "high, business",
        "deny: not_in_plan",
    ] {
        assert!(answer.out.contains(said), "{said} in {}", answer.out);
    }
    let facts = folder.offline(&format!("{replay} --json"), &alice()).json();
    let steps: Vec<_> = facts["steps"].as_array().expect("steps").iter().collect();
    let names: Vec<_> = steps.iter().map(|s| s["step"].as_str().expect("a name")).collect();
    assert_eq!(
        names,
        ["request", "route", "credential", "token", "tenant", "scopes", "roles", "features"]
    );
    assert_eq!(steps[7]["outcome"], "fail");
    assert!(steps[7]["remedy"].is_string());

    let check = |url: &str, code: i32, said: &str| {
        let answer = folder.offline(&format!("explain --url {url}"), &alice());
        assert_eq!(answer.code, code, "{}{}", answer.out, answer.err);
        assert!(answer.out.contains(said), "{said} in {}", answer.out);
    };
    check("https://traces.example.com/api/v1/exchanges", 0, "allow: tenant `acme`, tier `mid`");
    check("https://TRACES.example.com:443/api/v1/exchanges?x=1", 0, "allow");
    check("https://traces.example.com/healthz", 0, "public");
    check("https://traces.example.com?x=1", 1, "no_route");
    check("https://traces.example.com/healthz#top", 0, "public");
    // As a browser sends it and Traefik passes it on.
    check("https://traces.example.com/api/../healthz", 0, "public");
    check("https://traces.example.com//healthz", 0, "public");
    check("https://traces.example.com/api%2F..%2Fhealthz", 1, "ambiguous_path");
    check("https://traces.example.com/caf\u{e9}", 1, "no_route");
    check("https://traces.example.com/healthz --preflight", 1, "method_not_routed");
    check("https://traces.example.com/cors --method PUT --preflight", 0, "preflight");
    check("https://traces.example.com/cors --method POST --preflight", 1, "method_not_routed");
    check("https://traces.example.com/nothing", 1, "no_route");
    check("https://other.example.com/healthz", 1, "no_route");
    // Nothing on standard input is a request without a credential.
    let nobody = |url: &str| folder.offline(&format!("explain --url {url}"), "");
    assert_eq!(nobody("https://traces.example.com/healthz").code, 0);
    let told = nobody("https://traces.example.com/api/v1/exchanges");
    assert!(told.code == 1 && told.out.contains("deny: no_credential"), "{}{}", told.out, told.err);
    let post = "explain --method POST --url https://traces.example.com/healthz";
    assert!(folder.offline(post, &alice()).out.contains("method_not_routed"));
}

/// A running `tiergate serve`, stopped at the end.
struct Serve(Child);

impl Drop for Serve {
    fn drop(&mut self) {
        // It is this test's own child; it has nothing to save.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn explain_finds_a_recent_denial() {
    let folder = Folder::new();
    let mut child = folder
        .command("serve")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
    let _serve = Serve(child);
    assert!(log.next().is_some_and(|line| line.is_ok()), "it says that it serves");
    std::thread::spawn(move || log.for_each(drop));
    let config = std::fs::read_to_string(folder.path().join("tiergate.toml")).expect("written");
    let listen = config.lines().find_map(|l| l.strip_prefix("listen          = "));
    let address = listen.expect("an address").trim_matches('"').to_owned();
    let mut stream = (0..100)
        .find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            TcpStream::connect(&address).ok()
        })
        .expect("it listens");
    let request = "GET /verify HTTP/1.1\r\nHost: x\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: \
                   https\r\nX-Forwarded-Host: traces.example.com\r\nX-Forwarded-Uri: /nothing\r\n\
                   Connection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let id = answer.lines().find_map(|l| l.strip_prefix("x-decision-id: ")).expect("a decision id");

    let told = folder.run(&format!("explain {id}"), "");
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    assert!(told.out.contains("no_route") && told.out.contains("/nothing"), "{}", told.out);
    let told = folder.run(&format!("explain {id} --json"), "").json();
    assert_eq!(told["reason"], "no_route");
    let unknown = folder.run("explain 01a20502-062a-711a-90ac-9577ad65694c", "");
    assert_eq!(unknown.code, 3, "{}", unknown.out);
}

#[test]
fn without_a_gateway_a_decision_cannot_be_explained() {
    let answer = Folder::new().run("explain 01a20502-062a-711a-90ac-9577ad65694c", "");
    assert_eq!(answer.code, 3);
    assert!(answer.err.contains("admin listener"), "{}", answer.err);
}

#[test]
fn an_override_that_is_no_unicode_is_not_passed_over() {
    use std::os::unix::ffi::OsStrExt as _;

    let folder = Folder::empty();
    let value = std::ffi::OsStr::from_bytes(b"10.0.0.0/8\xff");
    let mut command = folder.command("config check --config tiergate.toml");
    let output = command.env("TIERGATE_GATEWAY__TRUSTED_PROXIES", value).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("TIERGATE_GATEWAY__TRUSTED_PROXIES"), "{told}");
}

#[test]
fn what_the_store_says_cannot_take_over_the_terminal() {
    let folder = Folder::empty();
    let name = "\u{1b}[2J\nacme  active";
    let mut command = folder.command("tenant add evil --config tiergate.toml --name");
    assert!(command.arg(name).output().expect("it runs").status.success());
    for words in ["tenant list", "tenant show evil"] {
        let told = folder.done(&format!("{words} --config tiergate.toml")).out;
        assert!(told.contains("\\u{1b}[2J\\nacme  active"), "{told}");
        assert!(!told.contains('\u{1b}') && !told.contains("\nacme"), "{told}");
    }
}
