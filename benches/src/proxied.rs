//! Through the real Traefik with the shipped files: what the gateway costs where it is used.
//!
//! One Traefik asks the gateway, the other a server that says yes to everything; both forward to the
//! same upstream that does nothing. The second is the ceiling: no authorization server can be faster.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    load::{Connections, Round, Server, Target, note_costs, round},
    paired::{ROUNDS, ratio},
    report::Report,
};

/// A running Traefik; it ends with this value.
struct Traefik {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Traefik {
    fn start(program: &Path, auth: SocketAddr, upstream: SocketAddr) -> Self {
        let files = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../traefik-config/standalone"));
        let folder = tempfile::tempdir().expect("there is room");
        let address = free_address();
        for name in ["traefik.yml", "dynamic.yml"] {
            let text = std::fs::read_to_string(files.join(name)).expect("the shipped file");
            let text = text
                .replace("127.0.0.1:8080", &address.to_string())
                .replace("127.0.0.1:4180", &auth.to_string())
                .replace("127.0.0.1:5000", &upstream.to_string());
            std::fs::write(folder.path().join(name), text).expect("there is room");
        }
        // It runs in another folder than this one; a name alone is looked for on PATH.
        let found = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        let child = Command::new(found)
            .arg("--configFile=traefik.yml")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Traefik can be started");
        Self { child, address, _folder: folder }
    }

    /// Waits until its routers answer, which a token must be good for.
    fn wait(&self, token: &str) {
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(50));
            if Target::Proxy(self.address).answers(token) {
                return;
            }
        }
        panic!("Traefik does not let a good token through");
    }
}

impl Drop for Traefik {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

pub(crate) fn run(report: &mut Report, program: &Path) {
    let start = |role| Server::start(role).expect("this program can start itself");
    let (gateway, null, upstream) = (start("gateway"), start("null"), start("null"));
    let with_gateway = Traefik::start(program, gateway.address, upstream.address);
    let with_null = Traefik::start(program, null.address, upstream.address);
    for traefik in [&with_gateway, &with_null] {
        traefik.wait(&gateway.tokens[0]);
    }
    let one = |server: &Server, traefik: &Traefik| {
        round(server, Target::Proxy(traefik.address), &gateway.tokens, Connections::Kept)
    };
    let rounds: Vec<(Round, Round)> = (0..=ROUNDS)
        .map(|n| {
            if n % 2 == 0 {
                let g = one(&gateway, &with_gateway);
                (g, one(&null, &with_null))
            } else {
                let r = one(&null, &with_null);
                (one(&gateway, &with_gateway), r)
            }
        })
        .skip(1)
        .collect();
    let of = |f: fn(&Round) -> f64| ratio(rounds.iter().map(|(g, n)| f(g) / f(n)));
    let slower = ratio(rounds.iter().map(|(g, n)| n.rate() / g.rate()));
    report.row("through Traefik, time a request", "null authorization", slower, Some(1.0 / 0.97));
    let cpu = of(Round::cpu_per_request);
    report.row("through Traefik, cpu of the gateway", "null authorization", cpu, Some(1.10));
    note_costs(&rounds);
}
