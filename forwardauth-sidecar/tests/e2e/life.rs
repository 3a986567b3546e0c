//! What happens while requests run: keys rotate, the provider goes down, licenses end and grow, the
//! sidecar stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{Answer, Seen, Stack, Upstream, Variant, exchange, get};

/// Asks again and again until `done`, and returns every answer on the way there.
async fn until(
    stack: &Stack,
    token: &str,
    target: &str,
    within: Duration,
    done: impl Fn(&Answer) -> bool,
) -> Vec<Answer> {
    let start = Instant::now();
    let mut answers = Vec::new();
    loop {
        let answer = stack.get(token, target).await;
        let finished = done(&answer);
        answers.push(answer);
        if finished {
            return answers;
        }
        assert!(start.elapsed() < within, "not within {within:?}: {:?}", answers.last());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn a_rotated_key_works_and_a_dropped_key_stops() {
    let stack = Stack::start(Upstream::Echo).await;
    let old = stack.token("mid-co").await;
    assert_eq!(stack.get(&old, "/echo").await.status, 200);

    // The new key is fetched when its first token comes, at the latest when the cool-down ends.
    stack.oidc.rotate(false).await;
    let new = stack.token("mid-co").await;
    let cool_down = Duration::from_secs(15);
    let answers = until(&stack, &new, "/echo", cool_down, |answer| answer.status == 200).await;
    for answer in &answers {
        assert!(matches!(answer.status, 200 | 503), "a good token is never a 401: {answer:?}");
    }
    assert_eq!(stack.get(&old, "/echo").await.status, 200, "the old key is still published");

    stack.oidc.rotate(true).await;
    let newest = stack.token("mid-co").await;
    let answers = until(&stack, &newest, "/echo", cool_down, |answer| answer.status == 200).await;
    for answer in &answers {
        assert!(matches!(answer.status, 200 | 503), "a good token is never a 401: {answer:?}");
    }
    for dropped in [&old, &new] {
        let answer = stack.get(dropped, "/echo").await;
        assert_eq!(answer.status, 401, "a key that is no longer published: {answer:?}");
        assert_eq!(answer.json()["reason"], "unknown_key");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn without_the_provider_cached_keys_go_on_and_then_the_answer_is_503() {
    let lines = "jwks_max_stale = \"8s\"";
    let mut stack = Stack::start_with(Upstream::Echo, Variant::Dynamic, lines).await;
    let (seen, unseen) = (stack.token("mid-co").await, stack.token("high-co").await);
    assert_eq!(stack.get(&seen, "/echo").await.status, 200);
    stack.oidc.stop();
    assert_eq!(stack.get(&seen, "/echo").await.status, 200, "a token that was verified before");
    assert_eq!(stack.get(&unseen, "/echo").await.status, 200, "a token that was not");

    let within = Duration::from_secs(20);
    let answers = until(&stack, &unseen, "/echo", within, |answer| answer.status != 200).await;
    let last = answers.last().expect("at least one answer");
    assert_eq!(last.status, 503, "{last:?}");
    assert_eq!(last.all("Retry-After").len(), 1, "{last:?}");
    for token in [&seen, &unseen] {
        for _ in 0..20 {
            assert_eq!(stack.get(token, "/echo").await.status, 503);
        }
    }
    // A token that is wrong in itself is still known to be wrong.
    assert_eq!(stack.get("not.a.token", "/echo").await.status, 401);
    assert_eq!(stack.get(&seen, "/public").await.status, 200, "public routes need no keys");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn a_license_revoked_while_requests_run_stops_them_within_a_second() {
    let stack = Arc::new(Stack::start(Upstream::Echo).await);
    let token = stack.token("mid-co").await;
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (stack, token, stop) = (Arc::clone(&stack), token.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    let answer = stack.get(&token, "/echo").await;
                    seen.push((asked, answer.status, answer.body));
                }
                seen
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stack.tiergate(&["license", "revoke", "mid-co"]).succeed();
    let revoked = Instant::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.store(true, Ordering::Relaxed);

    for worker in workers {
        let seen = worker.await.expect("a worker does not panic");
        assert!(seen.len() > 20, "only {} requests ran", seen.len());
        assert_eq!(seen[0].1, 200);
        let first_refusal = seen.iter().position(|(_, status, _)| *status != 200);
        let first_refusal = first_refusal.expect("the revocation reaches the sidecar");
        for (index, (asked, status, body)) in seen.iter().enumerate() {
            let expected = if index < first_refusal { 200 } else { 403 };
            assert_eq!(*status, expected, "{body}");
            if asked.saturating_duration_since(revoked) > Duration::from_secs(1) {
                assert_eq!(*status, 403, "more than a second after the revocation");
            }
        }
        assert!(seen[first_refusal].2.contains("license"), "{}", seen[first_refusal].2);
    }
    let other = stack.token("other-co").await;
    assert_eq!(stack.get(&other, "/echo").await.status, 200, "another tenant of the same tier");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn an_upgrade_works_within_a_second() {
    let stack = Stack::start(Upstream::Echo).await;
    let token = stack.token("low-co").await;
    let target = "/api/v1/debugger/stream";
    let refused = stack.get(&token, target).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let problem = refused.json();
    assert_eq!(problem["reason"], "not_in_plan");
    assert_eq!(problem["feature"], "live_route_debugger");
    let unlocked_by = problem["unlocked_by"].to_string();
    assert!(unlocked_by.contains("high") && !unlocked_by.contains("mid"), "{problem}");

    stack.tiergate(&["license", "grant", "low-co", "--tier", "high"]).succeed();
    let second = Duration::from_secs(1);
    let answers = until(&stack, &token, target, second, |answer| answer.status == 200).await;
    let seen = Seen::of(answers.last().expect("at least one answer"));
    assert_eq!(seen.all("X-Tenant-Tier"), ["high"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn without_the_sidecar_nothing_gets_through() {
    let mut stack = Stack::start(Upstream::Echo).await;
    let token = stack.token("mid-co").await;
    assert_eq!(stack.get(&token, "/echo").await.status, 200);
    let before = stack.echo_hits();
    stack.sidecar.take().expect("it runs").stop();
    for target in ["/echo", "/public", "/admin", "/healthz"] {
        assert_eq!(stack.get(&token, target).await.status, 500, "{target}");
        assert_eq!(get(stack.traefik.port(), target, &[]).await.status, 500, "{target}");
    }
    assert_eq!(stack.echo_hits(), before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn tenants_that_ask_at_the_same_time_are_never_mixed_up() {
    let stack = Arc::new(Stack::start(Upstream::Echo).await);
    let tenants = ["low-co", "mid-co", "high-co", "business-co", "other-co"];
    let mut tasks = Vec::new();
    for round in 0..8 {
        for tenant in tenants {
            let stack = Arc::clone(&stack);
            let token = stack.token(tenant).await;
            tasks.push(tokio::spawn(async move {
                for number in 0..25 {
                    let target = format!("/echo/{tenant}/{round}/{number}");
                    let answer = stack.get(&token, &target).await;
                    let seen = Seen::of(&answer);
                    assert_eq!(seen.all("X-Tenant-Id"), [tenant]);
                    assert_eq!(seen.target(), target);
                }
            }));
        }
    }
    for task in tasks {
        task.await.expect("every answer is for who asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn who_has_no_tenant_has_no_tenant_route() {
    let stack = Stack::start(Upstream::Echo).await;
    let nobody = stack.oidc.token_without_organization().await;
    let answer = stack.get(&nobody, "/echo").await;
    assert_eq!(answer.status, 403, "{answer:?}");
    let reader = stack.oidc.token_with("org_mid_co", "traces:write").await;
    let answer = stack.get(&reader, "/echo").await;
    assert_eq!((answer.status, &answer.json()["reason"]), (403, &"insufficient_scope".into()));
    assert_eq!(stack.echo_hits(), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn the_strict_variant_serves_tenants_with_the_real_sidecar() {
    let stack = Stack::start_with(Upstream::Echo, Variant::Strict, "").await;
    let token = stack.token("mid-co").await;
    assert_eq!(Seen::of(&stack.get(&token, "/echo").await).all("X-Tenant-Id"), ["mid-co"]);
    assert_eq!(stack.get("", "/healthz").await.status, 200);
    assert_eq!(stack.get("", "/echo").await.status, 401);
    assert_eq!(stack.get("", "/public").await.status, 404, "public, but not named in strict.yml");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn the_tls_variant_speaks_http_2_to_the_sidecar() {
    let stack = Stack::start_with(Upstream::Echo, Variant::Tls, "").await;
    let token = stack.token("mid-co").await;
    for _ in 0..20 {
        assert_eq!(Seen::of(&stack.get(&token, "/echo").await).all("X-Tenant-Id"), ["mid-co"]);
    }
    assert_eq!(stack.get("", "/echo").await.status, 401);
    assert!(stack.offers_http_2().await, "the sidecar does not offer HTTP/2");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn started_without_the_provider_it_becomes_ready_by_itself() {
    let mut stack = Stack::start(Upstream::Echo).await;
    let token = stack.token("mid-co").await;
    stack.oidc.stop();
    stack.serve_again().await;
    assert_eq!(stack.readiness().await, 503);
    let answer = stack.get(&token, "/echo").await;
    assert_eq!(answer.status, 503, "it cannot know: {answer:?}");
    assert_eq!(answer.all("Retry-After").len(), 1, "{answer:?}");
    assert_eq!(stack.get("", "/public").await.status, 200, "public routes need no keys");

    stack.restart_provider().await;
    let token = stack.token("mid-co").await;
    let within = Duration::from_secs(20);
    let answers = until(&stack, &token, "/echo", within, |answer| answer.status == 200).await;
    for answer in &answers {
        assert!(matches!(answer.status, 200 | 503), "a good token is never a 401: {answer:?}");
    }
    assert_eq!(stack.readiness().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn no_log_holds_a_token() {
    let stack = Stack::start(Upstream::Echo).await;
    let token = stack.token("mid-co").await;
    let forged = format!("{}x", &token[..token.len() - 8]);
    for target in ["/echo", "/admin", "/nowhere", &format!("/echo?access_token={token}")] {
        stack.get(&token, target).await;
        stack.get(&forged, target).await;
    }
    let log = stack.sidecar_log();
    assert!(log.contains("insufficient_scope"), "the log tells of decisions:\n{log}");
    for part in token.split('.').chain(forged.rsplit('.').take(1)) {
        assert!(!log.contains(part), "a part of a token is in the log:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn methods_are_routed_and_an_upgrade_keeps_the_identity() {
    let stack = Stack::start(Upstream::Echo).await;
    let token = stack.token("mid-co").await;
    let ask = async |head: &str, lines: &str| {
        let request = format!(
            "{head} HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {token}\r\n{lines}\r\n"
        );
        exchange(stack.traefik.port(), request.as_bytes()).await
    };
    let close = "Connection: close\r\n";
    assert_eq!(ask("GET /echo", close).await.status, 200);
    for head in ["DELETE /echo", "OPTIONS /echo", "PATCH /echo", "FOO /echo"] {
        let answer = ask(head, close).await;
        assert_eq!(answer.status, 403, "{head}: {answer:?}");
        assert_eq!(answer.json()["reason"], "method_not_routed", "{head}");
    }
    let upgrade = "Connection: Upgrade, X-Tenant-Id\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let seen = ask("GET /echo", upgrade).await;
    assert_eq!(Seen::of(&seen).all("X-Tenant-Id"), ["mid-co"]);
}
