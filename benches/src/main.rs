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
mod paired;
mod report;
mod store;
mod verify;

use std::process::ExitCode;

const HELP: &str = "usage: benches [engine|verify|gateway|store]...   all of them if none is named";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["serve", role] = words.as_slice() {
        gateway::serve(role);
        return ExitCode::SUCCESS;
    }
    let known = ["verify", "engine", "gateway", "store"];
    if !words.iter().all(|word| known.contains(word)) {
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
    if wanted("store") {
        store::run(&mut report);
    }
    report.end();
    ExitCode::SUCCESS
}
