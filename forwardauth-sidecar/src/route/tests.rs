//! One table of routes, many requests.

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::proxy::Profile;

const ROUTES: &[(&str, &str)] = &[
    ("app.example.com", "GET /"),
    ("app.example.com", "GET /public/{*rest}"),
    ("app.example.com", "GET /admin"),
    ("app.example.com", "POST /admin"),
    ("app.example.com", "GET /items/{id}"),
    ("app.example.com", "GET /items/{id}/{*rest}"),
    ("app.example.com", "GET /items/new"),
    ("app.example.com", "GET,OPTIONS /explicit"),
    ("app.example.com", "GET /ui/{*rest}"),
    ("app.example.com", "GET /ui"),
    ("wide.example.com", "GET /{*rest}"),
    ("wide.example.com", "GET /admin"),
    ("wide.example.com", "GET /both/"),
    ("wide.example.com", "GET /both"),
    ("[::1]", "GET /six"),
    ("*", "GET /healthz"),
];

fn routes() -> Routes<()> {
    let mut routes = Routes::default();
    for (host, line) in ROUTES {
        let host = HostPattern::parse(host).expect("a host");
        let line = Line::parse(line).expect("a route");
        let preflight = line.template.as_str() == "/items/{id}";
        routes.add(&host, Route::new(&host, line, preflight, ())).expect("no tie");
    }
    routes
}

fn request(method: &str, host: &str, uri: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name, value| {
        headers.insert::<&'static str>(name, HeaderValue::from_str(value).expect("a value"));
    };
    add("x-forwarded-method", method);
    add("x-forwarded-proto", "https");
    add("x-forwarded-host", host);
    add("x-forwarded-uri", uri);
    headers
}

fn select(headers: &HeaderMap) -> String {
    let request = ForwardedRequest::parse(Profile::Traefik, headers).expect("a request");
    match routes().select(&request) {
        Ok(Selection::Route(route)) => route.name().to_string(),
        Ok(Selection::Preflight(route)) => format!("preflight of {}", route.name()),
        Err(error) => error.reason().code().to_owned(),
    }
}

#[track_caller]
fn check(method: &str, host: &str, uri: &str, expected: &str) {
    assert_eq!(select(&request(method, host, uri)), expected, "{method} {host} {uri}");
}

#[test]
fn paths() {
    let host = "app.example.com";
    check("GET", host, "/", "app.example.com GET /");
    check("GET", host, "/public/a/b?x=/admin", "app.example.com GET /public/{*rest}");
    check("GET", host, "/%61dmin", "app.example.com GET /admin");
    check("GET", host, "/items/new", "app.example.com GET /items/new");
    check("GET", host, "/items/7", "app.example.com GET /items/{id}");
    check("GET", host, "/items/7/x", "app.example.com GET /items/{id}/{*rest}");
    check("GET", host, "/ADMIN", "no_route");
    check("GET", host, "/admin/", "no_route");
    check("GET", host, "/public", "no_route");
    check("GET", host, "/publicx", "no_route");
}

#[test]
fn a_trailing_slash_does_not_fall_to_a_wider_route() {
    check("GET", "wide.example.com", "/admin", "wide.example.com GET /admin");
    check("GET", "wide.example.com", "/admin/", "no_route");
    check("GET", "wide.example.com", "/both/", "wide.example.com GET /both/");
    check("GET", "wide.example.com", "/other/", "wide.example.com GET /{*rest}");
    check("GET", "wide.example.com", "/", "wide.example.com GET /{*rest}");
    // `/ui/{*rest}` says itself that it goes on where `/ui` ends.
    check("GET", "app.example.com", "/ui/", "app.example.com GET /ui/{*rest}");
    check("GET", "app.example.com", "/items/7/", "app.example.com GET /items/{id}/{*rest}");
    check("GET", "app.example.com", "/items/new/", "no_route");
}

#[test]
fn methods() {
    let host = "app.example.com";
    check("HEAD", host, "/admin", "app.example.com GET /admin");
    check("POST", host, "/admin", "app.example.com POST /admin");
    check("DELETE", host, "/admin", "method_not_routed");
    check("get", host, "/admin", "method_not_routed");
    check("OPTIONS", host, "/explicit", "app.example.com GET,OPTIONS /explicit");
    // The most specific template decides alone: `/items/{id}/{*rest}` and others are not asked.
    check("POST", host, "/items/new", "method_not_routed");
}

#[test]
fn preflights_need_a_route_that_says_so() {
    let mut headers = request("OPTIONS", "app.example.com", "/items/7");
    assert_eq!(select(&headers), "method_not_routed");
    headers.insert("origin", HeaderValue::from_static("https://ui.example.com"));
    assert_eq!(select(&headers), "method_not_routed");
    headers.insert("access-control-request-method", HeaderValue::from_static("GET"));
    assert_eq!(select(&headers), "preflight of app.example.com GET /items/{id}");
    headers.insert("access-control-request-method", HeaderValue::from_static("DELETE"));
    assert_eq!(select(&headers), "method_not_routed");
    headers.insert("access-control-request-method", HeaderValue::from_static("GET"));
    headers.insert("x-forwarded-uri", HeaderValue::from_static("/admin"));
    assert_eq!(select(&headers), "method_not_routed");
}

#[test]
fn hosts() {
    check("GET", "APP.example.com.", "/admin", "app.example.com GET /admin");
    check("GET", "app.example.com:443", "/admin", "app.example.com GET /admin");
    check("GET", "app.example.com:9999", "/admin", "app.example.com GET /admin");
    check("GET", "app.example.com:9999", "/healthz", "no_route");
    check("GET", "[0::1]:80", "/six", "[::1] GET /six");
    check("GET", "evil-example.com", "/admin", "no_route");
    check("GET", "evil.app.example.com", "/admin", "no_route");
    check("GET", "anything.example", "/healthz", "* GET /healthz");
    // A host with a table of its own does not fall back to the table of every other host.
    check("GET", "app.example.com", "/healthz", "no_route");
}

#[test]
fn ties_are_refused_whatever_the_names_and_the_order() {
    let host = HostPattern::Any;
    let add = |routes: &mut Routes<()>, line: &str| {
        let line = Line::parse(line).expect("a route");
        routes.add(&host, Route::new(&host, line, false, ()))
    };
    let mut routes = Routes::default();
    add(&mut routes, "GET,POST /a/{id}").expect("the first");
    add(&mut routes, "PUT /a/{name}").expect("another method");
    add(&mut routes, "GET /a/{*rest}").expect("another shape");
    let tie = add(&mut routes, "DELETE,POST /a/{other}").expect_err("POST stands twice");
    assert_eq!(tie.method, Method::POST);
    assert_eq!(
        tie.to_string(),
        "`* GET,POST /a/{id}` and `* DELETE,POST /a/{other}` match the same requests with method \
         `POST`"
    );
}
