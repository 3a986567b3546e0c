//! The demo: identity provider, tiergate, trace server and a real Traefik, with four tenants.
//!
//! The programs run on fixed ports, because the shipped Traefik files name them. What each says
//! stands in `target/demo/logs`; what they keep, in `target/demo`, which every run begins anew.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::output::say;
use crate::process::Server;
use crate::{Failure, components, place, process};

/// How long the demo stays up.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Until {
    /// Until somebody presses Ctrl-C.
    Interrupted,
    /// Until the tier matrix and the isolation have been measured.
    Measured,
}

const TRAEFIK: &str = "127.0.0.1:8080";
const SIDECAR: &str = "127.0.0.1:4180";
const ADMIN: &str = "127.0.0.1:4181";
const TRACE_SERVER: &str = "127.0.0.1:5000";
const IDENTITY_PROVIDER: &str = "127.0.0.1:3001";

/// Tenants and their tiers; the organization of each at the identity provider is `org-` and its id.
const TENANTS: [(&str, &str); 4] =
    [("low-co", "low"), ("mid-co", "mid"), ("high-co", "high"), ("business-co", "business")];

/// Brings everything up, measures, and stays or leaves.
///
/// # Errors
///
/// If a component cannot be had, a port is taken, a program does not come up, or a measured cell
/// is not as it should be.
pub(crate) fn run(until: Until) -> Result<(), Failure> {
    let traefik = components::traefik()?;
    say("building the programs of the demo");
    process::run(place::cargo().args(["build", "--locked", "--quiet"]).args([
        "--package",
        "tiergate",
        "--package",
        "trace-server",
        "--package",
        "demo",
    ]))?;
    for (address, wanted_for) in [
        (TRAEFIK, "Traefik"),
        (SIDECAR, "tiergate's gateway"),
        (ADMIN, "tiergate's admin listener"),
        (TRACE_SERVER, "the trace server"),
        (IDENTITY_PROVIDER, "the identity provider"),
    ] {
        process::port_is_free(address, wanted_for)?;
    }

    let folder = place::repository().join("target/demo");
    place::remove_folder(&folder)?;
    place::make_folder(&folder)?;
    let _servers = bring_up(&traefik, &folder).and_then(|mut servers| {
        measure(&folder, until)?;
        if until == Until::Interrupted {
            say("\nCtrl-C ends the demo.");
            stay(&mut servers)?;
        }
        Ok(servers)
    })?;
    Ok(())
}

fn bring_up(traefik: &Path, folder: &Path) -> Result<Vec<Server>, Failure> {
    let repository = place::repository();
    let logs = folder.join("logs");
    let configuration = repository.join("examples/demo/tiergate.toml");
    let configuration = configuration.to_string_lossy();
    let start = |name, program: &Path, arguments: &[&str], at: &Path, address: &str| {
        let mut server = Server::start(name, program, arguments, at, &logs)?;
        server.wait_for(address)?;
        say(&format!("  {name:<18} {address:<16} log: target/demo/logs/{name}.log"));
        Ok::<_, Failure>(server)
    };

    let identity_provider = start(
        "identity-provider",
        &place::built("demo"),
        &["identity-provider", "--listen", IDENTITY_PROVIDER],
        repository,
        IDENTITY_PROVIDER,
    )?;
    seed(&configuration)?;
    let database = format!("sqlite:{}", folder.join("traces.db").display());
    let trace_server = start(
        "trace-server",
        &place::built("trace-server"),
        &["--listen", TRACE_SERVER, "--store", &database],
        repository,
        TRACE_SERVER,
    )?;
    let sidecar = start(
        "tiergate",
        &place::built("tiergate"),
        &["serve", "--config", &configuration],
        repository,
        SIDECAR,
    )?;
    let proxy = start(
        "traefik",
        traefik,
        &["--configFile=traefik.yml"],
        &repository.join("traefik-config/standalone"),
        TRAEFIK,
    )?;
    // In this order they are ended, so that nothing is forwarded to what is no longer there.
    Ok(vec![proxy, sidecar, trace_server, identity_provider])
}

/// Enters tenants and licenses with the commands that an operator would use.
fn seed(configuration: &str) -> Result<(), Failure> {
    let issuer = format!("http://{IDENTITY_PROVIDER}/oidc");
    let tiergate = |arguments: &[&str]| {
        process::run(
            Command::new(place::built("tiergate"))
                .args(arguments)
                .args(["--config", configuration])
                .stdout(std::process::Stdio::null()),
        )
    };
    for (tenant, tier) in TENANTS {
        let organization = format!("org-{tenant}");
        tiergate(&["tenant", "add", tenant, "--issuer", &issuer, "--organization", &organization])?;
        tiergate(&["license", "grant", tenant, "--tier", tier])?;
    }
    Ok(())
}

/// Lets the demo's own client fetch tokens, send traces and measure the matrix through Traefik.
fn measure(folder: &Path, until: Until) -> Result<(), Failure> {
    process::run(
        Command::new(place::built("demo"))
            .arg("measure")
            .args((until == Until::Interrupted).then_some("--suggest"))
            .args(["--gateway", &format!("http://{TRAEFIK}")])
            .args(["--ready", &format!("http://{ADMIN}/readyz")])
            .args(["--issuer", &format!("http://{IDENTITY_PROVIDER}/oidc")])
            .arg("--tokens")
            .arg(folder.join("tokens.json"))
            .current_dir(place::repository()),
    )
}

fn stay(servers: &mut [Server]) -> Result<(), Failure> {
    loop {
        for server in &mut *servers {
            server.alive()?;
        }
        thread::sleep(Duration::from_millis(200));
    }
}
