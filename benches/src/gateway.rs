//! `/verify` with cached tokens against a hyper server that does nothing.

use std::{
    convert::Infallible,
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::Path,
};

use auth_core::{
    Accept, Algorithm, IssuerPolicy, SystemClock, Verifier, gate::Gate, testing::TestIssuer,
};
use bytes::Bytes;
use entitlements::EntitlementService;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tiergate::{
    config::{Config, Environment},
    server::{Server as Tiergate, bind},
};

use crate::{
    engine::{AUDIENCE, ISSUER},
    load::{Connections, Round, Server, Target, note_costs, round},
    paired::{ROUNDS, ratio},
    report::Report,
};

/// So many callers take turns.
const TOKENS: usize = 1_000;

const CONFIG: &str = r#"
schema = 1
plans  = "plans.toml"
[gateway]
listen          = "127.0.0.1:0"
proxy           = "traefik"
trusted_proxies = ["127.0.0.1/32"]
[admin]
listen = "127.0.0.1:0"
[store]
url = "sqlite::memory:"
[[issuer]]
name = "bench"
url  = "https://id.bench.test/oidc"
  [[issuer.accept]]
  path     = "organization"
  audience = "https://api.bench.test"
[routes."traces.example.com"]
"GET /healthz"                       = { access = "public" }
"GET /api/v1/exchanges"              = { scopes = ["traces:read"], features = ["topology_graph"] }
"GET /api/v1/exchanges/{id}"         = { scopes = ["traces:read"] }
"POST /api/v1/exchanges/{id}/replay" = { scopes = ["traces:replay"], features = ["exchange_replay"] }
"#;

/// Plays a server until standard input ends.
pub(crate) fn serve(role: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match role {
            "null" => null().await,
            "gateway" => gateway().await,
            other => panic!("`{other}` is no role"),
        }
    });
}

async fn stdin_ends() {
    // What the parent holds open closes with it, however it ends.
    drop(tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await);
}

fn announce(address: SocketAddr, tokens: &[String]) {
    let lines = [vec![address.to_string(), tokens.len().to_string()], tokens.to_vec()].concat();
    std::io::stdout().write_all((lines.join("\n") + "\n").as_bytes()).expect("the parent reads");
}

async fn null() {
    let listener = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    announce(listener.local_addr().expect("bound"), &[]);
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a TCP option");
            tokio::spawn(async move {
                let nothing = service_fn(async |_: Request<Incoming>| {
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                });
                let server = auto::Builder::new(TokioExecutor::new());
                drop(server.serve_connection(TokioIo::new(stream), nothing).await);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = stdin_ends() => {}
    }
}

async fn gateway() {
    let beside_plans = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../bench.toml"));
    let config =
        Config::parse(beside_plans, CONFIG, &Environment::empty()).expect("a sound configuration");
    let issuer = TestIssuer::new(ISSUER, Algorithm::Es384);
    let policy = IssuerPolicy::new("bench", ISSUER).accept(Accept::organization(AUDIENCE));
    let verifier =
        Verifier::builder().issuer(policy, issuer.keys()).build().expect("a sound policy");
    let tenants: Vec<_> = (0..100).map(|n| format!("tenant-{n}")).collect();
    let entitlements = EntitlementService::in_memory(
        config.catalog.clone(),
        tenants.iter().map(|tenant| (tenant.as_str(), "high")),
    );
    let tokens: Vec<_> = (0..TOKENS)
        .map(|n| {
            let token = issuer.token(AUDIENCE).organization(&tenants[n % tenants.len()]);
            token.scopes(["traces:read"]).claim("padding", "x".repeat(200)).sign()
        })
        .collect();
    let gate = Gate::new(verifier, entitlements);
    let server = Tiergate::with_gate(&config, gate, SystemClock).expect("free ports");
    announce(server.gateway_address().expect("bound"), &tokens);
    server.run(stdin_ends(), std::future::ready(())).await;
}

/// Alternates rounds on both servers.
fn rounds(gateway: &Server, null: &Server, connections: Connections) -> Vec<(Round, Round)> {
    let tokens = &gateway.tokens;
    let one = |server: &Server| round(server, Target::Verify(server.address), tokens, connections);
    (0..=ROUNDS)
        .map(|n| {
            if n % 2 == 0 {
                let g = one(gateway);
                (g, one(null))
            } else {
                let r = one(null);
                (one(gateway), r)
            }
        })
        .skip(1)
        .collect()
}

pub(crate) fn run(report: &mut Report) {
    let start = |role| Server::start(role).expect("this program can start itself");
    let (gateway, null) = (start("gateway"), start("null"));
    for (connections, name) in [(Connections::Kept, "kept"), (Connections::EachRequest, "one each")]
    {
        let rounds = rounds(&gateway, &null, connections);
        let of = |f: fn(&Round) -> f64| ratio(rounds.iter().map(|(g, n)| f(g) / f(n)));
        let what = |cost: &str| format!("/verify, cached, {cost}, conn. {name}");
        report.row(&what("cpu"), "null hyper server", of(Round::cpu_per_request), Some(1.05));
        report.row(&what("p50"), "null hyper server", of(|r| r.p50.as_secs_f64()), None);
        let slower = ratio(rounds.iter().map(|(g, n)| n.rate() / g.rate()));
        let goal = (connections == Connections::Kept).then_some(1.0 / 0.95);
        report.row(&what("time a request"), "null hyper server", slower, goal);
        note_costs(&rounds);
    }
}
