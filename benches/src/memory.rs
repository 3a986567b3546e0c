//! What a cached token takes in memory, beside the identity that it stands for.
//!
//! Two processes verify the same number of tokens, each for a subject of its own. One keeps them in the
//! verifier's cache, the other keeps the identities alone; what the first takes more is the cache.

use std::{
    process::{Command, Stdio},
    str::FromStr,
};

use auth_core::{
    Accept, Algorithm, Identity, IssuerPolicy, Verifier,
    testing::{TestClock, TestIssuer},
};

use crate::{
    engine::{AUDIENCE, ISSUER},
    report::Report,
};

/// Verifying a million would take minutes; from here on the cost of an entry no longer changes much,
/// because the table is at its size from the start.
const TOKENS: usize = 100_000;
const GOAL: f64 = 120.0;

/// Plays one of the two and prints how many bytes it took.
pub(crate) fn serve(role: &str) {
    let keeps_cache = role == "memory-cache";
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let clock = TestClock::new();
    let issuer = TestIssuer::new(ISSUER, Algorithm::Es256).clock(clock.clone());
    let policy = IssuerPolicy::new("bench", ISSUER).accept(Accept::organization(AUDIENCE));
    let verifier = Verifier::builder()
        .issuer(policy, issuer.keys())
        .clock(clock)
        .cache_capacity(if keeps_cache { TOKENS * 2 } else { 1 })
        .build()
        .expect("the policy is sound");
    runtime.block_on(verifier.ready()).expect("keys from memory");
    let verify = |n: usize| {
        let token = issuer.token(AUDIENCE).organization("org_a").subject(&format!("user_{n:07}"));
        let token = token.scopes(["traces:read", "traces:write"]).sign();
        verifier.verify_now(&token).expect("keys are there").expect("a good token")
    };
    // What is made once is made before the first look.
    drop((0..100).map(verify).collect::<Vec<_>>());
    let before = resident();
    let mut kept: Vec<Identity> = Vec::new();
    if keeps_cache {
        (100..100 + TOKENS).for_each(|n| drop(verify(n)));
        assert!(verifier.cache_status().entries >= TOKENS, "the cache dropped some");
    } else {
        kept.reserve_exact(TOKENS);
        kept.extend((100..100 + TOKENS).map(verify));
    }
    // The vector's own slots are no part of an identity.
    let slots = kept.len() * size_of::<Identity>();
    Report::note((resident().saturating_sub(before).saturating_sub(slots)).to_string());
}

/// What this process has in memory, in bytes.
pub(crate) fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kibibytes.expect("Linux says how much memory a process has") * 1024
}

/// Starts this program with other arguments; tells the number that it prints.
pub(crate) fn measured<N: FromStr>(arguments: &[&str]) -> N {
    let program = std::env::current_exe().expect("this program knows itself");
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("this program can start itself");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim().parse().unwrap_or_else(|_| panic!("`{arguments:?}` said {text:?}"))
}

#[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
pub(crate) fn run(report: &mut Report) {
    let (cache, identities) =
        (measured(&["serve", "memory-cache"]), measured(&["serve", "memory-identities"]));
    let each = |bytes: f64| bytes / TOKENS as f64;
    let extra = each(cache) - each(identities);
    report.amount("a cached token, beside its identity", extra, "bytes", GOAL);
    Report::note(format!(
        "    here {:.0} bytes in all, of which {:.0} are the identity; {TOKENS} tokens in a table for \
         twice as many",
        each(cache),
        each(identities)
    ));
}
