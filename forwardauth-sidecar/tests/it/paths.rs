//! Every spelling of a path, over HTTP: `/admin` is protected, `/public` is not.

use crate::harness::{Gateway, Question};

/// Spelling, verdict without a credential, verdict with one that opens `/admin`.
const ROWS: &[(&str, &str, &str)] = &[
    ("/public", "200", "200"),
    ("/public/x/y", "200", "200"),
    ("/public?x=/../admin", "200", "200"),
    ("/public?x=%2e%2e%2f;//", "200", "200"),
    ("/admin", "401 no_credential", "200"),
    ("/%61dmin", "401 no_credential", "200"),
    ("/%61%64%6D%69%6e", "401 no_credential", "200"),
    ("/admin?/public", "401 no_credential", "200"),
    ("/public/../admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/public/%2e%2e/admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/public/%2E./admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/public/..%2fadmin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/public/%252e%252e/admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("//admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("///admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/admin//", "400 ambiguous_path", "400 ambiguous_path"),
    ("/./admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/ADMIN", "403 no_route", "403 no_route"),
    ("/admin;x=1", "400 ambiguous_path", "400 ambiguous_path"),
    ("/public;/../admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/admin%00", "400 malformed_uri", "400 malformed_uri"),
    ("/admin%0d%0aX: y", "400 malformed_uri", "400 malformed_uri"),
    ("/admin\\..\\x", "400 ambiguous_path", "400 ambiguous_path"),
    ("/admin%5c", "400 ambiguous_path", "400 ambiguous_path"),
    ("/admin#/public", "400 ambiguous_path", "400 ambiguous_path"),
    ("/public#/../admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/public%23/../admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/public?x#/admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/admin.", "400 ambiguous_path", "400 ambiguous_path"),
    ("/admin%20", "400 ambiguous_path", "400 ambiguous_path"),
    ("/admin/", "403 no_route", "403 no_route"),
    ("http://evil/admin", "400 malformed_uri", "400 malformed_uri"),
    ("http://app.test/public", "400 malformed_uri", "400 malformed_uri"),
    ("*", "400 malformed_uri", "400 malformed_uri"),
    ("admin", "400 malformed_uri", "400 malformed_uri"),
    ("", "400 malformed_uri", "400 malformed_uri"),
    ("/public, /admin", "400 malformed_uri", "400 malformed_uri"),
    ("/public,/admin", "400 ambiguous_path", "400 ambiguous_path"),
    ("/admin%ff", "400 malformed_uri", "400 malformed_uri"),
    ("/admin%zz", "400 malformed_uri", "400 malformed_uri"),
    ("/public%c0%af..%c0%afadmin", "400 malformed_uri", "400 malformed_uri"),
    ("/public/%EF%BC%8Fadmin", "400 ambiguous_path", "400 ambiguous_path"),
    ("／admin", "400 malformed_uri", "400 malformed_uri"),
    ("/／admin", "400 malformed_uri", "400 malformed_uri"),
];

#[tokio::test]
async fn each_spelling_has_one_verdict() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    for (uri, without, with) in ROWS {
        assert_eq!(gateway.get(uri, None).await.verdict(), *without, "{uri} without credential");
        // Once when the token is new, and once when it is known.
        for _ in 0..2 {
            assert_eq!(gateway.get(uri, Some(&token)).await.verdict(), *with, "{uri}");
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let gateway = Gateway::start().await;
    let verdict = gateway.ask(&Question::raw(b"/admin\xff")).await.verdict();
    assert_eq!(verdict, "400 malformed_uri");
    // In a query they mean nothing, as everything there.
    assert_eq!(gateway.ask(&Question::raw(b"/public?\xff\xfe")).await.verdict(), "200");
}

#[tokio::test]
async fn long_targets() {
    let gateway = Gateway::start().await;
    let path = format!("/public/{}", "a".repeat(16 * 1024));
    assert_eq!(gateway.get(&path, None).await.verdict(), "400 uri_too_long");
    let query = format!("/public?{}", "a".repeat(900 * 1024));
    assert_eq!(gateway.get(&query, None).await.verdict(), "200");
}

#[tokio::test]
async fn the_question_itself_means_nothing() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    for head in [
        "GET /verify?x=1&access_token=y HTTP/1.1",
        "HEAD /verify HTTP/1.1",
        "OPTIONS /verify HTTP/1.1",
        "DELETE /verify HTTP/1.1",
        "FOO /verify HTTP/1.1",
        "GET /verify HTTP/1.0",
    ] {
        let question = Question::new("/admin").head(head).bearer(&token);
        assert_eq!(gateway.ask(&question).await.verdict(), "200", "{head}");
    }
    let answer = gateway.ask(&Question::new("/admin").head("HEAD /verify HTTP/1.1")).await;
    assert_eq!((answer.status, answer.body.as_str()), (401, ""));
    for line in ["Content-Type: application/grpc", "Expect: 100-continue", "Upgrade: websocket"] {
        let (name, value) = line.split_once(": ").expect("a header line");
        let question = Question::new("/admin").line(name, value).bearer(&token);
        assert_eq!(gateway.ask(&question).await.verdict(), "200", "{line}");
    }
    for path in ["/", "/verify/", "/other", "/verify/../admin", "/livez", "/metrics"] {
        let question = Question::new("/public").head(&format!("GET {path} HTTP/1.1"));
        assert_eq!(gateway.ask(&question).await.verdict(), "404", "{path}");
    }
}

#[tokio::test]
async fn a_body_is_not_waited_for() {
    let gateway = Gateway::start().await;
    let token = gateway.token("low-co");
    let question = Question::new("/admin")
        .head("POST /verify HTTP/1.1")
        .line("Content-Length", "1000000")
        .bearer(&token);
    assert_eq!(gateway.ask(&question).await.verdict(), "200");
    let question =
        Question::new("/admin").head("POST /verify HTTP/1.1").line("Transfer-Encoding", "chunked");
    assert_eq!(gateway.ask(&question.bearer(&token)).await.verdict(), "200");
}
