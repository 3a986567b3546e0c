//! Benchmarks: everything from outside, as paired ratios in one run.
//!
//! A number alone says more about the machine than about the code, so each subject is measured in
//! alternating rounds with something that does the unavoidable part: the raw signature check, the
//! hash of the token, a hyper server that does nothing. What is printed is the median of the
//! rounds' ratios with the least and the greatest, beside the goal where there is one.

#[path = "../../entitlements/tests/postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests stop and start servers, the benches only use one")]
mod cluster;
mod engine;
mod gateway;
mod load;
mod memory;
mod paired;
mod proxied;
mod report;
mod store;
mod verify;

use std::{path::Path, process::ExitCode};

const HELP: &str = "\
usage: benches [engine|verify|gateway|memory|traefik|store]... [--traefik PROGRAM] [--tenants N,N,...]

All of them if none is named; `traefik` needs its program. `store` grows to 1000, 10000 and 100000
tenants unless other numbers are given.";

/// Goals that no row here is about.
const NEVER_MEASURED: [&str; 3] = [
    "p50 at 30,000 requests/s (the load here is closed loop)",
    "against a caching Go verifier and HAProxy",
    "memory at 1,000,000 tokens (the row here has 100,000)",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", role] if role.starts_with("memory-") => {
            memory::serve(role);
            return ExitCode::SUCCESS;
        }
        ["serve", "store-memory", url, count] => {
            store::serve_memory(url, count.parse().expect("a count of tenants"));
            return ExitCode::SUCCESS;
        }
        ["serve", role] => {
            gateway::serve(role);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let (words, counts) = match words.as_slice() {
        [words @ .., "--tenants", counts] => (words, counts.split(',').map(str::parse).collect()),
        words => (words, Ok(store::COUNTS.to_vec())),
    };
    let (words, traefik) = match words {
        [words @ .., "--traefik", program] => (words, Some(Path::new(*program))),
        words => (words, None),
    };
    let known = ["verify", "engine", "gateway", "memory", "traefik", "store"];
    let counts: Vec<usize> = counts.unwrap_or_default();
    if (words.contains(&"traefik") && traefik.is_none())
        || counts.is_empty()
        || counts.contains(&0)
        || !words.iter().all(|word| known.contains(word))
    {
        #[expect(clippy::print_stderr, reason = "this is a command line")]
        {
            eprintln!("{HELP}");
        }
        return ExitCode::from(2);
    }
    let wanted = |name| words.is_empty() || words.contains(&name);
    let mut report = report::Report::new();
    if wanted("engine") {
        engine::run(&mut report);
    }
    if wanted("verify") {
        verify::run(&mut report);
    }
    if wanted("gateway") {
        gateway::run(&mut report);
    }
    if wanted("memory") {
        memory::run(&mut report);
    }
    if let Some(program) = traefik.filter(|_| wanted("traefik")) {
        proxied::run(&mut report, program);
    }
    if wanted("store") {
        store::run(&mut report, &counts);
    }
    let mut left_out = NEVER_MEASURED.to_vec();
    for (name, goal) in [
        ("gateway", "/verify with cached tokens"),
        ("verify", "cold verification"),
        ("memory", "memory of a cached token"),
        ("traefik", "through Traefik"),
    ] {
        if !wanted(name) || (name == "traefik" && traefik.is_none()) {
            left_out.push(goal);
        }
    }
    report.end(&left_out);
    ExitCode::SUCCESS
}
