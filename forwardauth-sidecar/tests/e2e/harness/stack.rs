//! Everything together: provider, sidecar, upstream and Traefik, as an installation has them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::oidc::API;
use super::{
    Answer, Echo, Folder, Oidc, Process, Seen, Traefik, Variant, component, free_port, get,
};

/// The one HTTP client of the tests, for what needs no bytes by hand.
pub(crate) fn client() -> reqwest::Client {
    builder().build().expect("a client without TLS settings can be built")
}

/// One that speaks HTTP/2 from the first byte, without TLS.
pub(crate) fn client_over_http_2() -> reqwest::Client {
    builder().http2_prior_knowledge().build().expect("a client without TLS settings can be built")
}

fn client_that_trusts(certificate: reqwest::Certificate) -> reqwest::Client {
    let builder = builder().tls_certs_only([certificate]);
    builder.build().expect("a client that trusts one certificate can be built")
}

#[expect(clippy::disallowed_methods, reason = "the one home of the tests' HTTP client")]
fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(15))
        .redirect(reqwest::redirect::Policy::none())
}

/// What stands behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Upstream {
    /// Answers with what reached it.
    Echo,
    /// The real one.
    TraceServer,
}

/// A running installation. Tenants and licenses are entered with the commands of an operator.
pub(crate) struct Stack {
    // In this order they end: who asks before who is asked.
    pub(crate) traefik: Traefik,
    pub(crate) sidecar: Option<Process>,
    pub(crate) oidc: Oidc,
    echo: Option<Echo>,
    hits_at_start: usize,
    _trace_server: Option<Process>,
    configuration: PathBuf,
    gateway: u16,
    admin: u16,
    folder: Folder,
}

/// Tenants that every installation of the tests begins with: one per tier, and a second of `mid`.
pub(crate) const TENANTS: [(&str, &str); 5] = [
    ("low-co", "low"),
    ("mid-co", "mid"),
    ("high-co", "high"),
    ("business-co", "business"),
    ("other-co", "mid"),
];

impl Stack {
    /// With the shipped `dynamic.yml`.
    pub(crate) async fn start(upstream: Upstream) -> Self {
        Self::start_with(upstream, Variant::Dynamic, "").await
    }

    /// With another variant, or with lines for the `[tokens]` table.
    pub(crate) async fn start_with(
        upstream: Upstream,
        variant: Variant,
        token_lines: &str,
    ) -> Self {
        let folder = Folder::new();
        let oidc = Oidc::start(&organizations(), &folder).await;

        let (gateway, admin) = (free_port(), free_port());
        let tls = matches!(variant, Variant::Tls);
        if tls {
            write_certificate(&folder);
        }
        let text = configuration(gateway, admin, oidc.issuer(), token_lines, tls);
        let configuration = folder.write("tiergate.toml", &text);
        for (tenant, tier) in TENANTS {
            tiergate(&configuration, &["tenant", "add", tenant])
                .args(["--issuer", oidc.issuer(), "--organization", &organization(tenant)])
                .succeed();
            tiergate(&configuration, &["license", "grant", tenant, "--tier", tier]).succeed();
        }

        let (echo, trace_server, upstream_port) = match upstream {
            Upstream::Echo => {
                let echo = Echo::start().await;
                let port = echo.port();
                (Some(echo), None, port)
            }
            Upstream::TraceServer => {
                let port = free_port();
                let mut process = Process::start(
                    "trace-server",
                    &component("TIERGATE_E2E_TRACE_SERVER"),
                    ["--listen", &format!("127.0.0.1:{port}"), "--store", "sqlite:traces.db"],
                    &[],
                    &folder,
                );
                process.wait_for(port).await;
                (None, Some(process), port)
            }
        };
        let mut sidecar = serve(&configuration, &folder);
        sidecar.wait_for(gateway).await;
        wait_until_ready(admin, &mut sidecar).await;
        let traefik = Traefik::start(variant, gateway, upstream_port, &folder).await;
        Self {
            traefik,
            sidecar: Some(sidecar),
            oidc,
            // The wait for Traefik's routers has asked the upstream, too.
            hits_at_start: echo.as_ref().map_or(0, Echo::hits),
            echo,
            _trace_server: trace_server,
            configuration,
            gateway,
            admin,
            folder,
        }
    }

    /// Stops the sidecar and starts it anew, whatever it finds around it.
    pub(crate) async fn serve_again(&mut self) {
        if let Some(sidecar) = self.sidecar.take() {
            sidecar.stop();
        }
        let mut sidecar = serve(&self.configuration, &self.folder);
        sidecar.wait_for(self.gateway).await;
        self.sidecar = Some(sidecar);
    }

    /// Starts the provider anew where it was, with new keys.
    pub(crate) async fn restart_provider(&mut self) {
        self.oidc.stop();
        self.oidc = Oidc::start_on(self.oidc.port(), &organizations(), &self.folder).await;
    }

    /// What the sidecar's probe answers.
    pub(crate) async fn readiness(&self) -> u16 {
        get(self.admin, "/readyz", &[]).await.status
    }

    /// What the sidecar has logged.
    pub(crate) fn sidecar_log(&self) -> String {
        self.folder.read("tiergate.log")
    }

    /// A GET through Traefik with a bearer token.
    pub(crate) async fn get(&self, token: &str, target: &str) -> Answer {
        get(self.traefik.port(), target, &[("Authorization", &format!("Bearer {token}"))]).await
    }

    /// A token for the tenant's organization with all scopes.
    pub(crate) async fn token(&self, tenant: &str) -> String {
        self.oidc.token(&organization(tenant)).await
    }

    /// An operator's command against the running installation's store.
    pub(crate) fn tiergate(&self, arguments: &[&str]) -> Operator {
        tiergate(&self.configuration, arguments)
    }

    /// What `tiergate check` says about a token, and its exit code.
    pub(crate) fn check(&self, token: &str, arguments: &[&str]) -> (Value, i32) {
        let mut command = tiergate(&self.configuration, &["check", token, "--json"]).0;
        let output = command.args(arguments).output().expect("the built tiergate can be started");
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
            let errors = String::from_utf8_lossy(&output.stderr);
            panic!("`check --json` printed no JSON: {e}: {}\n{errors}", output.status)
        });
        (said, output.status.code().unwrap_or(-1))
    }

    /// How many requests have reached the upstream that echoes since everything was up.
    pub(crate) fn echo_hits(&self) -> usize {
        let echo = self.echo.as_ref().expect("this installation has an upstream that echoes");
        echo.hits() - self.hits_at_start
    }

    /// The request that reached the upstream last.
    pub(crate) fn last_seen(&self) -> Seen {
        self.echo.as_ref().and_then(Echo::last).expect("a request has reached the upstream")
    }

    /// Where the sidecar is asked.
    pub(crate) fn gateway(&self) -> u16 {
        self.gateway
    }

    /// Where the upstream that echoes listens.
    pub(crate) fn echo_port(&self) -> u16 {
        self.echo.as_ref().expect("this installation has an upstream that echoes").port()
    }

    /// The authority of the sidecar's certificate, as PEM.
    pub(crate) fn certificate(&self) -> String {
        self.folder.read("gate-ca.pem")
    }

    /// Whether the sidecar, asked as Traefik asks it, speaks HTTP/2.
    pub(crate) async fn offers_http_2(&self) -> bool {
        let certificate = self.certificate();
        let certificate = reqwest::Certificate::from_pem(certificate.as_bytes())
            .expect("the certificate of the test is well-formed");
        let answer = client_that_trusts(certificate)
            .get(format!("https://127.0.0.1:{}/verify", self.gateway))
            .send()
            .await
            .expect("the sidecar answers over TLS");
        answer.version() == reqwest::Version::HTTP_2
    }
}

fn organizations() -> Vec<String> {
    TENANTS.iter().map(|(tenant, _)| organization(tenant)).collect()
}

/// The organization that a tenant has at the provider.
fn organization(tenant: &str) -> String {
    format!("org_{}", tenant.replace('-', "_"))
}

fn serve(configuration: &Path, folder: &Folder) -> Process {
    Process::start(
        "tiergate",
        env!("CARGO_BIN_EXE_tiergate").as_ref(),
        ["serve".as_ref(), "--config".as_ref(), configuration.as_os_str()],
        &[],
        folder,
    )
}

async fn wait_until_ready(admin: u16, sidecar: &mut Process) {
    for _ in 0..600 {
        sidecar.expect_alive();
        if get(admin, "/readyz", &[]).await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the sidecar is not ready after 30 s; its log:\n{}", sidecar.log());
}

/// A command line of `tiergate` that runs to its end.
pub(crate) struct Operator(Command);

fn tiergate(configuration: &Path, arguments: &[&str]) -> Operator {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiergate"));
    command.args(arguments).arg("--config").arg(configuration).stdin(Stdio::null());
    Operator(command)
}

impl Operator {
    pub(crate) fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Runs it and returns what it printed; anything but exit code 0 fails the test.
    #[track_caller]
    pub(crate) fn succeed(mut self) -> String {
        let output = self.0.output().expect("the built tiergate can be started");
        assert!(
            output.status.success(),
            "{:?} ended with {}\n{}{}",
            self.0,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn configuration(gateway: u16, admin: u16, issuer: &str, token_lines: &str, tls: bool) -> String {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plans.toml");
    let plans = plans.display();
    let tls = if tls {
        "[gateway.tls]\ncertificate = \"gate-ca.pem\"\nkey_file = \"gate.key\"\n"
    } else {
        ""
    };
    format!(
        r#"schema = 1
plans = "{plans}"

[gateway]
listen = "127.0.0.1:{gateway}"
proxy = "traefik"
trusted_proxies = ["127.0.0.1/32"]
{tls}
[admin]
listen = "127.0.0.1:{admin}"

[store]
url = "sqlite:tiergate.db"

[tokens]
{token_lines}

[[issuer]]
name = "independent"
url = "{issuer}"

  [[issuer.accept]]
  path = "organization"
  audience = "{API}"

[routes."inner.test"]
"GET /hosted" = {{ scopes = ["traces:admin"] }}

[routes."*"]
"GET /hosted" = {{ access = "public" }}
"GET /healthz" = {{ access = "public" }}
"GET /whoami" = {{ access = "authenticated" }}
"GET /public" = {{ access = "public" }}
"GET /admin" = {{ scopes = ["traces:admin"] }}
"GET /echo" = {{ scopes = ["traces:read"] }}
"GET /echo/{{*rest}}" = {{ scopes = ["traces:read"] }}
"POST /v1/traces" = {{ scopes = ["traces:write"] }}
"GET /api/v1/status" = {{ scopes = ["traces:read"] }}
"GET /api/v1/agents" = {{ scopes = ["traces:read"] }}
"GET /api/v1/exchanges" = {{ scopes = ["traces:read"] }}
"GET /api/v1/exchanges/{{id}}" = {{ scopes = ["traces:read"] }}
"GET /api/v1/topology" = {{ scopes = ["traces:read"], features = ["topology_graph"] }}
"GET /api/v1/exchanges/{{id}}/lineage" = {{ scopes = ["traces:read"], features = ["payload_lineage=limited"] }}
"GET /api/v1/correlations/{{trace}}" = {{ scopes = ["traces:read"], features = ["cross_service_correlation"] }}
"GET /api/v1/debugger/stream" = {{ scopes = ["traces:read"], features = ["live_route_debugger"] }}
"POST /api/v1/exchanges/{{id}}/replay" = {{ scopes = ["traces:replay"], features = ["exchange_replay"] }}

[log]
format = "json"
level = "info"
"#
    )
}

/// A certificate for 127.0.0.1 that is its own authority, under the names that `tls.yml` asks for.
fn write_certificate(folder: &Folder) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])
        .expect("a self-signed certificate can be made");
    folder.write("gate-ca.pem", &made.cert.pem());
    folder.write("gate.key", &made.signing_key.serialize_pem());
}
