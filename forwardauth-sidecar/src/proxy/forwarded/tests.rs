use http::{HeaderName, HeaderValue};

use super::super::headers::IDENTITY_HEADERS;
use super::*;

const GOOD: &[(&str, &str)] = &[
    ("X-Forwarded-Method", "GET"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "app.example.com"),
    ("X-Forwarded-Uri", "/a?b=c"),
    ("X-Forwarded-For", "10.0.0.1"),
    ("X-Forwarded-Port", "443"),
];

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a header name"),
            HeaderValue::from_bytes(value.as_bytes()).expect("a header value"),
        );
    }
    map
}

fn good_but(name: &str, value: Option<&str>) -> HeaderMap {
    let mut lines: Vec<_> =
        GOOD.iter().copied().filter(|(n, _)| !n.eq_ignore_ascii_case(name)).collect();
    lines.extend(value.map(|value| (name, value)));
    headers(&lines)
}

#[track_caller]
fn check(map: &HeaderMap, expected: &str) {
    let got = match ForwardedRequest::parse(Profile::Traefik, map) {
        Ok(r) => format!("{} {}://{}{}", r.method, r.scheme.as_str(), r.host, r.path),
        Err(error) => error.reason().code().to_owned(),
    };
    assert_eq!(got, expected);
}

#[test]
fn a_call_of_traefik() {
    check(&headers(GOOD), "GET https://app.example.com/a");
    // A name in another case is the same name; `HeaderMap` keeps them in lower case.
    check(&good_but("x-forwarded-uri", Some("/b")), "GET https://app.example.com/b");
}

#[test]
fn each_deciding_header_is_required() {
    for name in ["X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri"] {
        check(&good_but(name, None), "control_header_missing");
    }
    for name in ["X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Prefix"] {
        check(&good_but(name, None), "GET https://app.example.com/a");
    }
    // Neither the real `Host` nor another proxy's header is a second choice.
    let mut map = good_but("X-Forwarded-Host", None);
    map.insert("host", HeaderValue::from_static("app.example.com"));
    check(&map, "control_header_missing");
    let mut map = good_but("X-Forwarded-Uri", None);
    map.insert("x-original-uri", HeaderValue::from_static("/public"));
    map.insert("x-original-url", HeaderValue::from_static("/public"));
    check(&map, "control_header_missing");
}

#[test]
fn control_headers_are_single() {
    for name in ["Method", "Proto", "Host", "Uri", "For", "Port", "Prefix", "Server"] {
        let name = format!("X-Forwarded-{name}");
        let mut lines = GOOD.to_vec();
        lines.push((&name, "/public"));
        lines.push((&name, "/public"));
        check(&headers(&lines), "control_header_repeated");
    }
}

#[test]
fn aliases_of_control_and_identity_headers_are_refused() {
    let control = ["Method", "Proto", "Host", "Uri", "For", "Port", "Prefix", "Server"];
    let control = control.map(|name| format!("X-Forwarded-{name}"));
    for name in control.iter().map(String::as_str).chain(IDENTITY_HEADERS).chain(["X-Real-Ip"]) {
        for alias in [
            name.replace('-', "_"),
            name.replace('-', "."),
            name.replacen('-', "_", 1),
            name.replace('-', "_").to_lowercase(),
        ] {
            let mut lines = GOOD.to_vec();
            lines.push((&alias, "evil"));
            check(&headers(&lines), "control_header_aliased");
        }
        let mut lines = GOOD.to_vec();
        lines.push(("Connection", name));
        check(&headers(&lines), "control_header_nominated");
    }
    for name in [
        "X_Forwarded_Uri",
        "X.Forwarded.Uri",
        "X-Forwarded_Method",
        "X_Forwarded-Host",
        "X.Forwarded-Proto",
        "X_Forwarded_For",
        "X_Forwarded_Port",
        "X_Forwarded_Prefix",
        "X_Real_Ip",
        "X_Tenant_Id",
        "X.Tenant.Tier",
        "x-tenant_features",
        "X_Auth_Subject",
        "X-Auth.Roles",
        "X_Decision_Id",
        "X~Tenant~Id",
        "X!Tenant-Id",
        "X'Forwarded|Uri",
    ] {
        let mut lines = GOOD.to_vec();
        lines.push((name, "evil"));
        check(&headers(&lines), "control_header_aliased");
    }
    let mut lines = GOOD.to_vec();
    lines.push(("X_Something_Else", "fine"));
    check(&headers(&lines), "GET https://app.example.com/a");
}

#[test]
fn nominated_control_headers_are_refused() {
    for value in ["X-Forwarded-Uri", "close, x-forwarded-uri", "X-Tenant-Id", "x_tenant_id"] {
        let mut lines = GOOD.to_vec();
        lines.push(("Connection", value));
        check(&headers(&lines), "control_header_nominated");
    }
    let mut lines = GOOD.to_vec();
    lines.push(("Connection", "keep-alive, Upgrade"));
    check(&headers(&lines), "GET https://app.example.com/a");
}

#[test]
fn headers_of_other_proxies_and_of_the_client_are_not_read() {
    for name in [
        "X-Original-URL",
        "X-Original-URI",
        "X-Original-Method",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Envoy-Original-Path",
        "Forwarded",
        "X-Tenant-Id",
    ] {
        let mut lines = GOOD.to_vec();
        lines.push((name, "/public"));
        check(&headers(&lines), "GET https://app.example.com/a");
    }
}

#[test]
fn nginx_has_its_own_headers() {
    let map = headers(&[
        ("X-Original-Method", "POST"),
        ("X-Original-Uri", "/real"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "app.example.com"),
        ("X-Forwarded-Uri", "/spoof"),
        ("X-Forwarded-Method", "GET"),
    ]);
    let request = ForwardedRequest::parse(Profile::Nginx, &map).expect("complete");
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/real"));
}

#[test]
fn methods() {
    check(&good_but("X-Forwarded-Method", Some("PATCH")), "PATCH https://app.example.com/a");
    check(&good_but("X-Forwarded-Method", Some("FOO")), "FOO https://app.example.com/a");
    let long = "A".repeat(MAX_METHOD_BYTES);
    check(
        &good_but("X-Forwarded-Method", Some(&long)),
        &format!("{long} https://app.example.com/a"),
    );
    let longer = long + "A";
    for method in ["CONNECT", "TRACE", "TRACK", "connect", "", "GET POST", "GET,POST", &longer] {
        check(&good_but("X-Forwarded-Method", Some(method)), "forbidden_method");
    }
}

#[test]
fn schemes() {
    for scheme in ["https", "wss", "HTTPS"] {
        check(&good_but("X-Forwarded-Proto", Some(scheme)), "GET https://app.example.com/a");
    }
    for scheme in ["http", "ws"] {
        check(&good_but("X-Forwarded-Proto", Some(scheme)), "GET http://app.example.com/a");
    }
    for scheme in ["javascript", "", "https, http", "ftp"] {
        check(&good_but("X-Forwarded-Proto", Some(scheme)), "malformed_scheme");
    }
}

#[test]
fn hosts_and_paths_are_canonical() {
    check(
        &good_but("X-Forwarded-Host", Some("APP.example.com.:443")),
        "GET https://app.example.com/a",
    );
    check(&good_but("X-Forwarded-Host", Some("a.example, b.example")), "malformed_host");
    check(&good_but("X-Forwarded-Host", Some("")), "malformed_host");
    check(&good_but("X-Forwarded-Uri", Some("/%61dmin")), "GET https://app.example.com/admin");
    check(&good_but("X-Forwarded-Uri", Some("/a/../b")), "ambiguous_path");
    check(&good_but("X-Forwarded-Uri", Some("")), "malformed_uri");
}

#[test]
fn a_preflight_has_an_origin_and_a_method() {
    let mut map = good_but("X-Forwarded-Method", Some("OPTIONS"));
    let preflight = |map: &HeaderMap| {
        ForwardedRequest::parse(Profile::Traefik, map).expect("complete").preflight
    };
    assert_eq!(preflight(&map), None);
    map.insert("origin", HeaderValue::from_static("https://ui.example.com"));
    assert_eq!(preflight(&map), None);
    map.insert("access-control-request-method", HeaderValue::from_static("PUT"));
    assert_eq!(preflight(&map), Some(Method::PUT));
    map.insert("x-forwarded-method", HeaderValue::from_static("GET"));
    assert_eq!(preflight(&map), None);
}
