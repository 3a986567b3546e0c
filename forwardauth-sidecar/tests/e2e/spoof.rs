//! No caller names its own identity: each row of the anti-spoofing matrix, for every identity header.
//!
//! The rows in which the sidecar answers wrongly (no header, an empty one, two) are played by a
//! stand-in, because the sidecar itself refuses to.

use crate::harness::{
    Echo, Folder, IDENTITY_HEADERS, Seen, Stack, StubSidecar, Traefik, Upstream, Variant, exchange,
    get,
};

/// The bytes that HTTP allows in a header name besides letters, digits and the dash.
const ALIAS_BYTES: &str = "!#$%&'*+.^_`|~";

/// Traefik with the shipped files between a stand-in for the sidecar and an upstream that echoes.
struct Bench {
    traefik: Traefik,
    stub: StubSidecar,
    echo: Echo,
    _folder: Folder,
}

impl Bench {
    async fn start(variant: Variant) -> Self {
        let folder = Folder::new();
        let stub = StubSidecar::start().await;
        let echo = Echo::start().await;
        let traefik = Traefik::start(variant, stub.port(), echo.port(), &folder).await;
        Self { traefik, stub, echo, _folder: folder }
    }
}

/// Every way to write `name` that the matrix lists, each with the value `evil`.
fn spoofs(name: &str) -> Vec<Vec<(String, String)>> {
    let evil = |name: &str| (name.to_owned(), "evil".to_owned());
    let mut rows = vec![
        vec![],
        vec![evil(name)],
        vec![evil(&name.to_ascii_lowercase())],
        vec![evil(&name.to_ascii_uppercase())],
        vec![evil(name), evil(name)],
        vec![evil(name), (name.to_owned(), String::new())],
        vec![(name.to_owned(), String::new())],
        vec![evil(name), ("Connection".to_owned(), format!("close, {name}"))],
        vec![evil(name), ("Connection".to_owned(), name.to_ascii_lowercase())],
        vec![("Connection".to_owned(), format!("close, {name}"))],
        vec![("Trailer".to_owned(), name.to_owned()), evil(name)],
    ];
    for byte in ALIAS_BYTES.chars() {
        let all = name.replace('-', &byte.to_string());
        let last = name.rsplit_once('-').map(|(a, b)| format!("{a}{byte}{b}")).unwrap_or_default();
        rows.push(vec![evil(&all)]);
        rows.push(vec![evil(&all.to_ascii_lowercase())]);
        rows.push(vec![evil(&last)]);
        rows.push(vec![evil(&name.replacen('-', &byte.to_string(), 1))]);
    }
    rows
}

fn borrowed(row: &[(String, String)]) -> Vec<(&str, &str)> {
    row.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Sends every row for every header and compares what the upstream saw with `expected`.
async fn every_row(bench: &Bench, given: &[&str], expected: &[&str]) {
    for name in IDENTITY_HEADERS {
        // A well-formed tenant beside it, so that the strict variant has something to go by.
        let other = if name == "X-Tenant-Id" { "X-Unused" } else { "X-Tenant-Id" };
        let answer = given.iter().map(|value| (name, *value)).chain([(other, "acme")]);
        bench.stub.answer(200, answer);
        for row in spoofs(name) {
            let answer = get(bench.traefik.port(), "/healthz", &borrowed(&row)).await;
            let seen = Seen::of(&answer);
            assert_eq!(seen.all(name), expected, "{name}, sent {row:?}");
            assert_eq!(seen.aliases(name), [""; 0], "{name}, sent {row:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik; run `cargo xtask test`"]
async fn what_the_sidecar_says_replaces_what_the_caller_says() {
    let bench = Bench::start(Variant::Dynamic).await;
    every_row(&bench, &["acme"], &["acme"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik; run `cargo xtask test`"]
async fn what_the_sidecar_leaves_out_is_deleted() {
    let bench = Bench::start(Variant::Dynamic).await;
    every_row(&bench, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik; run `cargo xtask test`"]
async fn what_the_sidecar_says_empty_arrives_empty() {
    let bench = Bench::start(Variant::Dynamic).await;
    every_row(&bench, &[""], &[""]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik; run `cargo xtask test`"]
async fn two_values_from_the_sidecar_stay_two_for_the_upstream_to_refuse() {
    let bench = Bench::start(Variant::Dynamic).await;
    every_row(&bench, &["acme", "beta"], &["acme", "beta"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik; run `cargo xtask test`"]
async fn the_strict_variant_keeps_every_identity_header_as_the_sidecar_says_it() {
    let bench = Bench::start(Variant::Strict).await;
    every_row(&bench, &["acme"], &["acme"]).await;
    every_row(&bench, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik; run `cargo xtask test`"]
async fn the_strict_variant_lets_only_a_well_formed_tenant_through() {
    let bench = Bench::start(Variant::Strict).await;
    let status = async |tenant: &[&str], target: &str| {
        bench.stub.answer(200, tenant.iter().map(|value| ("X-Tenant-Id", *value)));
        get(bench.traefik.port(), target, &[("X-Tenant-Id", "evil")]).await.status
    };
    assert_eq!(status(&["acme"], "/anything").await, 200);
    for refused in [&[] as &[&str], &[""], &["a b"], &["acme, beta"], &["-acme"], &["ACME"]] {
        let before = bench.echo.hits();
        assert_eq!(status(refused, "/anything").await, 404, "{refused:?}");
        assert_eq!(bench.echo.hits(), before, "{refused:?} reached the upstream");
        assert_eq!(status(refused, "/healthz").await, 200, "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik; run `cargo xtask test`"]
async fn malformed_header_lines_are_refused_or_mean_nothing() {
    let bench = Bench::start(Variant::Dynamic).await;
    let columns: [&[&str]; 4] = [&["acme"], &[], &[""], &["acme", "beta"]];
    for (name, given) in IDENTITY_HEADERS.into_iter().flat_map(|n| columns.map(|given| (n, given)))
    {
        bench.stub.answer(200, given.iter().map(|value| (name, *value)));
        let line = format!("GET /healthz HTTP/1.1\r\nHost: app.test\r\n{name} : evil\r\n\r\n");
        let answer = exchange(bench.traefik.port(), line.as_bytes()).await;
        assert_eq!(answer.status, 400, "a space before the colon of {name}");
        let line = format!(
            "GET /healthz HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\
             X-Custom: a\r\n {name}: evil\r\n\r\n"
        );
        let answer = exchange(bench.traefik.port(), line.as_bytes()).await;
        if answer.status != 400 {
            assert_eq!(Seen::of(&answer).all(name), given, "a folded line with {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik; run `cargo xtask test`"]
async fn a_trailer_cannot_name_an_identity() {
    let bench = Bench::start(Variant::Dynamic).await;
    for name in IDENTITY_HEADERS {
        bench.stub.answer(200, [(name, "acme")]);
        let request = format!(
            "POST /healthz HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\
             Transfer-Encoding: chunked\r\nTrailer: {name}\r\n\r\n\
             2\r\nhi\r\n0\r\n{name}: evil\r\n\r\n"
        );
        let answer = exchange(bench.traefik.port(), request.as_bytes()).await;
        assert_eq!(Seen::of(&answer).all(name), ["acme"], "{name} as a trailer");
    }
}

/// What the real sidecar says of the tenant `mid-co`, and of no caller's making.
fn expected_of_mid_co(name: &str, value: &str) -> bool {
    match name {
        "X-Tenant-Id" => value == "mid-co",
        "X-Tenant-Tier" => value == "mid",
        "X-Tenant-Features" => value.contains("payload_lineage=\"full\""),
        "X-Auth-Subject" => value == "agent",
        "X-Auth-Scopes" => value == "traces:read traces:write traces:replay",
        "X-Decision-Id" => !value.is_empty() && value != "evil",
        // No roles on this path, no assertion and no shards yet: present and empty.
        _ => value.is_empty(),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn with_the_real_sidecar_no_spoof_of_any_header_arrives() {
    let stack = Stack::start(Upstream::Echo).await;
    let bearer = format!("Bearer {}", stack.token("mid-co").await);
    for spoofed in IDENTITY_HEADERS {
        for row in spoofs(spoofed) {
            let mut headers = borrowed(&row);
            headers.push(("Authorization", &bearer));
            let seen = Seen::of(&get(stack.traefik.port(), "/echo", &headers).await);
            for name in IDENTITY_HEADERS {
                let values = seen.all(name);
                assert_eq!(values.len(), 1, "{name}: {values:?}, sent {row:?}");
                assert!(expected_of_mid_co(name, values[0]), "{name}: {values:?}, sent {row:?}");
                assert_eq!(seen.aliases(name), [""; 0], "{name}, sent {row:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn a_public_route_carries_no_identity_however_it_is_asked() {
    let stack = Stack::start(Upstream::Echo).await;
    let bearer = format!("Bearer {}", stack.token("mid-co").await);
    for spoofed in IDENTITY_HEADERS {
        for row in spoofs(spoofed) {
            let mut headers = borrowed(&row);
            headers.push(("Authorization", &bearer));
            let seen = Seen::of(&get(stack.traefik.port(), "/public", &headers).await);
            for name in IDENTITY_HEADERS.into_iter().filter(|name| *name != "X-Decision-Id") {
                assert_eq!(seen.all(name), [""], "{name}, sent {row:?}");
            }
            assert_ne!(seen.all("X-Decision-Id"), ["evil"], "sent {row:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn a_refusal_tells_the_caller_nothing_but_the_decision_id() {
    let stack = Stack::start(Upstream::Echo).await;
    let bearer = format!("Bearer {}", stack.token("mid-co").await);
    let rows = [
        ("/echo", None, 401, "no_credential"),
        ("/echo", Some("Bearer no.such.token"), 401, ""),
        ("/admin", Some(bearer.as_str()), 403, "insufficient_scope"),
        ("/nowhere", Some(bearer.as_str()), 403, "no_route"),
    ];
    for (target, credential, status, reason) in rows {
        for spoofed in IDENTITY_HEADERS {
            let mut headers = vec![(spoofed, "evil")];
            headers.extend(credential.map(|c| ("Authorization", c)));
            let answer = get(stack.traefik.port(), target, &headers).await;
            assert_eq!(answer.status, status, "{answer:?}");
            for name in IDENTITY_HEADERS.into_iter().filter(|name| *name != "X-Decision-Id") {
                assert_eq!(answer.all(name), [""; 0], "{name} on {target}");
            }
            assert_eq!(answer.all("X-Decision-Id").len(), 1, "{answer:?}");
            assert_ne!(answer.all("X-Decision-Id"), ["evil"]);
            // RFC 6750 section 3.1: a challenge where another token would help.
            let challenged = status == 401 || reason == "insufficient_scope";
            assert_eq!(answer.all("WWW-Authenticate").len(), usize::from(challenged), "{answer:?}");
            if !reason.is_empty() {
                assert_eq!(answer.json()["reason"], reason);
            }
        }
    }
    assert_eq!(stack.echo_hits(), 0);
}
