//! What stands around the sidecar in other installations: HTTP/2 on both sides of Traefik, and a
//! balancer in front of it.

use crate::harness::{
    Counter, Folder, IDENTITY_HEADERS, Seen, Stack, Traefik, Upstream, Variant, client_over_http_2,
    get,
};

/// Asks 200 times, 32 at a time, and returns how many connections that took between Traefik and the
/// sidecar.
async fn connections_for_200_requests(variant: Variant) -> usize {
    let stack = Stack::start_with(Upstream::Echo, variant, "").await;
    let counter = Counter::before(stack.gateway()).await;
    let folder = Folder::new();
    if matches!(variant, Variant::Tls) {
        folder.write("gate-ca.pem", &stack.certificate());
    }
    let traefik = Traefik::start(variant, counter.port(), stack.echo_port(), &folder).await;
    let bearer = format!("Bearer {}", stack.token("mid-co").await);
    let port = traefik.port();
    let mut asking = Vec::new();
    for client in 0..32 {
        let bearer = bearer.clone();
        let requests = if client < 200 % 32 { 200 / 32 + 1 } else { 200 / 32 };
        asking.push(tokio::spawn(async move {
            for _ in 0..requests {
                let answer = get(port, "/echo", &[("Authorization", &bearer)]).await;
                assert_eq!(Seen::of(&answer).all("X-Tenant-Id"), ["mid-co"]);
            }
        }));
    }
    for one in asking {
        one.await.expect("every request is answered");
    }
    counter.connections()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn over_tls_traefik_asks_everything_over_a_handful_of_connections() {
    let plain = connections_for_200_requests(Variant::Dynamic).await;
    let tls = connections_for_200_requests(Variant::Tls).await;
    println!("connections for 200 requests, 32 at a time: {plain} plain, {tls} with HTTP/2");
    assert!(tls <= 4, "{tls} connections with HTTP/2");
    assert!(plain >= 3 * tls, "{plain} connections without, {tls} with HTTP/2");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn the_tls_variant_replaces_what_a_caller_says() {
    let stack = Stack::start_with(Upstream::Echo, Variant::Tls, "").await;
    let bearer = format!("Bearer {}", stack.token("mid-co").await);
    for name in IDENTITY_HEADERS {
        let alias = name.replace('-', "_");
        let lies = [(name, "evil"), (alias.as_str(), "evil"), ("Authorization", &bearer)];
        let seen = Seen::of(&get(stack.traefik.port(), "/echo", &lies).await);
        assert_eq!(seen.all(name).len(), 1, "{name}");
        assert_ne!(seen.all(name), ["evil"], "{name}");
        assert_eq!(seen.aliases(name), [""; 0], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn over_http_2_no_caller_names_its_own_identity() {
    let stack = Stack::start(Upstream::Echo).await;
    let token = stack.token("mid-co").await;
    let client = client_over_http_2();
    let url = format!("http://127.0.0.1:{}/echo", stack.traefik.port());
    for name in IDENTITY_HEADERS {
        let mut rows = vec![vec![name.to_owned()], vec![name.to_owned(), name.to_owned()]];
        for byte in ["_", ".", "+", "!"] {
            rows.push(vec![name.replace('-', byte)]);
            rows.push(vec![name.replacen('-', byte, 1)]);
        }
        for row in rows {
            let mut request = client.get(&url).bearer_auth(&token);
            for spelling in &row {
                request = request.header(spelling, "evil");
            }
            let answer = request.send().await.expect("Traefik speaks HTTP/2 without TLS");
            assert_eq!(answer.version(), reqwest::Version::HTTP_2);
            assert_eq!(answer.status(), 200, "{row:?}");
            let seen = stack.last_seen();
            assert_eq!(seen.all(name).len(), 1, "{row:?}");
            assert_ne!(seen.all(name), ["evil"], "{row:?}");
            assert_eq!(seen.aliases(name), [""; 0], "{row:?}");
            assert_eq!(seen.all("X-Tenant-Id"), ["mid-co"], "{row:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn a_head_request_is_decided_and_carries_the_identity_as_a_get_does() {
    let stack = Stack::start(Upstream::Echo).await;
    let token = stack.token("mid-co").await;
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", stack.traefik.port());
    for name in IDENTITY_HEADERS {
        let request = crate::harness::client().head(url("/echo")).bearer_auth(&token);
        let answer = request.header(name, "evil").send().await.expect("Traefik answers");
        assert_eq!(answer.status(), 200);
        let seen = stack.last_seen();
        assert_eq!(seen.method(), "HEAD");
        assert_eq!(seen.all(name).len(), 1, "{name}");
        assert_ne!(seen.all(name), ["evil"], "{name}");
    }
    let hits = stack.echo_hits();
    let head =
        |path: &str| crate::harness::client().head(url(path)).header("X-Tenant-Id", "mid-co");
    assert_eq!(head("/echo").send().await.expect("Traefik answers").status(), 401);
    let answer = head("/admin").bearer_auth(&token).send().await.expect("Traefik answers");
    assert_eq!(answer.status(), 403);
    assert_eq!(stack.echo_hits(), hits, "something refused has reached the upstream");
}

/// A balancer's address is trusted, so what it passes on of a caller's control headers is believed
/// unless it is scrubbed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Traefik and Node; run `cargo xtask test`"]
async fn behind_a_trusted_balancer_the_scrub_list_keeps_path_and_method() {
    let stack = Stack::start(Upstream::Echo).await;
    let bearer = format!("Bearer {}", stack.token("mid-co").await);
    let trusted = |text: &str| {
        let line = "insecure: false";
        assert!(text.contains(line), "the shipped file no longer says `{line}`");
        text.replace(line, "trustedIPs: [\"127.0.0.1/32\"]")
    };
    let folder = Folder::new();
    let traefik = Traefik::start_edited(
        Variant::Dynamic,
        stack.gateway(),
        stack.echo_port(),
        &folder,
        |_, text| if text.contains("insecure: false") { trusted(&text) } else { text },
    )
    .await;
    let ask = async |port: u16, target: &str, lies: &[(&str, &str)]| {
        let headers = [lies, &[("Authorization", bearer.as_str())]].concat();
        get(port, target, &headers).await
    };
    let lies: [&[(&str, &str)]; 4] = [
        &[("X-Forwarded-Uri", "/public")],
        &[("X-Forwarded-Uri", "/public"), ("X-Forwarded-Method", "GET")],
        &[("x-forwarded-uri", "/public"), ("X-Forwarded-Uri", "/public")],
        &[("X_Forwarded_Uri", "/public"), ("X-Forwarded-Uri", "/public")],
    ];
    let hits = stack.echo_hits();
    for lie in lies {
        let answer = ask(traefik.port(), "/admin", lie).await;
        assert_eq!(answer.status, 403, "{lie:?}: {answer:?}");
    }
    assert_eq!(stack.echo_hits(), hits, "something refused has reached the upstream");
    // A method that the route does not have, and a lie that would make it one: the decision is about
    // the request that is forwarded.
    let lie = [("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", "/v1/traces")];
    assert_eq!(ask(traefik.port(), "/admin", &lie).await.status, 403);
    assert_eq!(Seen::of(&ask(traefik.port(), "/echo", &lie).await).target(), "/echo");
    // What a trusted balancer may say arrives.
    let answer = ask(traefik.port(), "/hosted", &[("X-Forwarded-Host", "inner.test")]).await;
    assert_eq!(answer.status, 403, "the balancer's host was not believed");

    // The same without the two lines: this is what they are for.
    let folder = Folder::new();
    let open = Traefik::start_edited(
        Variant::Dynamic,
        stack.gateway(),
        stack.echo_port(),
        &folder,
        |_, text| {
            let text = if text.contains("insecure: false") { trusted(&text) } else { text };
            text.lines()
                .filter(|line| {
                    !matches!(line.trim(), "X-Forwarded-Uri: \"\"" | "X-Forwarded-Method: \"\"")
                })
                .fold(String::new(), |text, line| text + line + "\n")
        },
    )
    .await;
    let answer = ask(open.port(), "/admin", lies[0]).await;
    assert_eq!(answer.status, 200, "the test would not notice if the scrub list did nothing");
}
