//! The list of exchanges: order, pages, filters, refusals.

use std::collections::BTreeSet;

use crate::support::{FULL, Running, export, failed, in_trace, span};

/// Twenty-five exchanges, pairs of which began together; every fifth failed; two services.
async fn filled() -> Running {
    let server = Running::start().await;
    for n in 1..=25_u8 {
        let mut one = in_trace(n, span(1, 0, &format!("exchange {n}"), u64::from(n / 2) * 1_000));
        if n % 5 == 0 {
            one = failed(one);
        }
        let service = if n % 2 == 0 { "even" } else { "odd" };
        server.export_ok("acme", &export(service, vec![one])).await;
    }
    server
}

async fn list(server: &Running, query: &str) -> (Vec<String>, Option<String>) {
    let page = server.get("acme", FULL, &format!("/api/v1/exchanges?{query}")).await.json();
    let ids = page["exchanges"].as_array().unwrap().iter();
    let ids = ids.map(|exchange| exchange["id"].as_str().unwrap().into()).collect();
    (ids, page["next_cursor"].as_str().map(Into::into))
}

#[tokio::test]
async fn pages_join_to_the_whole_without_gap_or_repetition() {
    let server = filled().await;
    let (whole, none) = list(&server, "limit=500").await;
    assert_eq!((whole.len(), none), (25, None));
    for limit in [1, 2, 7, 24, 25] {
        let (mut ids, mut next) = list(&server, &format!("limit={limit}")).await;
        while let Some(cursor) = next {
            let (page, more) = list(&server, &format!("limit={limit}&cursor={cursor}")).await;
            assert!(!page.is_empty() && page.len() <= limit);
            ids.extend(page);
            next = more;
        }
        assert_eq!(ids, whole, "in pages of {limit}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_newest_come_first_and_new_ones_do_not_shift_pages() {
    let server = filled().await;
    let (first, cursor) = list(&server, "limit=5").await;
    let cursor = cursor.unwrap();
    let (second, _) = list(&server, &format!("limit=5&cursor={cursor}")).await;
    let newer = in_trace(99, span(1, 0, "newer", 60_000));
    server.export_ok("acme", &export("odd", vec![newer])).await;
    let (again, _) = list(&server, &format!("limit=5&cursor={cursor}")).await;
    assert_eq!(again, second);
    let (top, _) = list(&server, "limit=6").await;
    assert!(top[0].starts_with(&"63".repeat(16)));
    assert_eq!(top[1..], first);
    server.stop().await;
}

#[tokio::test]
async fn filters_narrow_alone_and_together() {
    let server = filled().await;
    let count = async |query: &str| list(&server, query).await.0.len();
    assert_eq!(count("service=even").await, 12);
    assert_eq!(count("service=nobody").await, 0);
    assert_eq!(count("status=error").await, 5);
    assert_eq!(count("status=ok").await, 20);
    assert_eq!(count("status=error&service=even").await, 2);
    // `since` is included, `until` is not.
    assert_eq!(count("since=2026-01-01T00:00:12Z").await, 2);
    assert_eq!(count("until=2026-01-01T00:00:12Z").await, 23);
    assert_eq!(count("since=2026-01-01T01:00:03%2B01:00&until=2026-01-01T00:00:05Z").await, 4);
    let (errors, _) = list(&server, "status=error").await;
    let (all, _) = list(&server, "").await;
    let errors: BTreeSet<_> = errors.into_iter().collect();
    assert_eq!(all.iter().filter(|id| errors.contains(*id)).count(), 5);
    server.stop().await;
}

#[tokio::test]
async fn bad_parameters_are_refused_by_name() {
    let server = Running::start().await;
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=ten", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=1.x", "cursor"),
        ("status=bad", "status"),
        ("since=yesterday", "since"),
        ("until=2026-13-01T00:00:00Z", "until"),
        ("statu=error", "statu"),
        ("limit=1&limit=2", "limit"),
        ("tenant_id=evil", "tenant_id"),
    ] {
        let answer = server.get("acme", FULL, &format!("/api/v1/exchanges?{query}")).await;
        assert_eq!(answer.reason(), (400, "bad_query".into()), "{query}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains(&format!("`{name}`")), "{query}: {text}");
    }
    for path in ["/api/v1/status?x=1", "/api/v1/agents?x=1", "/api/v1/topology?x=1"] {
        assert_eq!(server.get("acme", FULL, path).await.reason().1, "bad_query");
    }
    server.stop().await;
}
