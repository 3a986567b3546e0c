//! The live stream: own spans only, gaps that are named, heartbeats, an end.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use crate::support::{FULL, Running, export, request, span, with};

/// Reads events off an answer's body.
struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    async fn open(server: &Running, tenant: &str, query: &str) -> Self {
        let path = format!("/api/v1/debugger/stream{query}");
        let response = server.open(request("GET", &path, tenant, FULL)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Self { body: response.into_body(), text: String::new() };
        assert_eq!(events.block().await.unwrap(), "retry: 1000\n: watching");
        events
    }

    /// The next block up to an empty line; `None` at the end of the stream.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.into();
                return Some(block);
            }
            let frame = timeout(Duration::from_secs(10), self.body.frame()).await.unwrap();
            let data = frame?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// The next event that is no heartbeat: its name and data.
    async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') {
                continue;
            }
            let (event, data) = block.split_once('\n').unwrap();
            let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            return Some((event.strip_prefix("event: ").unwrap().into(), data));
        }
    }
}

#[tokio::test]
async fn each_tenant_watches_its_own_spans() {
    let server = Running::start().await;
    let mut blue = Events::open(&server, "blue", "").await;
    let mut green = Events::open(&server, "green", "").await;
    server.export_ok("blue", &export("shop", vec![span(1, 0, "of blue", 0)])).await;
    server.export_ok("green", &export("shop", vec![span(1, 0, "of green", 0)])).await;
    for (events, name) in [(&mut blue, "of blue"), (&mut green, "of green")] {
        let (event, data) = events.event().await.unwrap();
        assert_eq!((event.as_str(), &data["name"]), ("span", &name.into()));
        assert_eq!(data["service"], "shop");
        assert_eq!(data["trace_id"], "5b".repeat(16));
        assert!(data["exchange_id"].as_str().unwrap().starts_with(&"5b".repeat(16)));
    }
    // The end tells that nothing else was on the way to either.
    server.stop().await;
    for mut events in [blue, green] {
        let (event, data) = events.event().await.unwrap();
        assert_eq!((event.as_str(), &data["reason"]), ("end", &"shutdown".into()));
        assert!(events.event().await.is_none());
    }
}

#[tokio::test]
async fn a_filter_and_a_limited_plan_narrow_the_stream() {
    let server = Running::start().await;
    let mut shop = Events::open(&server, "acme", "?service=shop").await;
    let limited = FULL.replace("\"full\"", "\"limited\"");
    let response = server.open(request("GET", "/api/v1/debugger/stream", "acme", &limited)).await;
    let mut sizes = Events { body: response.into_body(), text: String::new() };
    sizes.block().await;
    server.export_ok("acme", &export("mail", vec![span(1, 0, "send", 0)])).await;
    let payload = with(span(2, 0, "GET /", 0), &[("payload.body", "secret")]);
    server.export_ok("acme", &export("shop", vec![payload])).await;
    let (_, data) = shop.event().await.unwrap();
    assert_eq!(
        (&data["service"], &data["attributes"]["payload.body"]),
        (&"shop".into(), &"secret".into())
    );
    assert_eq!(sizes.event().await.unwrap().1["service"], "mail");
    let (_, data) = sizes.event().await.unwrap();
    assert_eq!(data["attributes"]["payload.body"]["size"], 6);
    assert!(!data.to_string().contains("secret"));
    server.stop().await;
}

#[tokio::test]
async fn a_slow_reader_is_told_how_many_it_missed() {
    let server = Running::start().await;
    let mut events = Events::open(&server, "acme", "").await;
    // One request's spans come at once: far more than the channel's eight places.
    let spans = (1..=5_000).map(|id| span(id, 0, "burst", id)).collect();
    server.export_ok("acme", &export("shop", spans)).await;
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < 5_000 {
        let (event, data) = events.event().await.unwrap();
        match event.as_str() {
            "span" => seen += 1,
            "missed" => missed += data["missed"].as_u64().unwrap(),
            other => panic!("unexpected event `{other}`"),
        }
    }
    assert_eq!(seen + missed, 5_000);
    assert!(missed > 0, "eight places held 5000 spans");
    server.stop().await;
}

#[tokio::test]
async fn an_idle_stream_beats_and_ends_to_be_renewed() {
    let server = Running::start_with(|options| {
        options.heartbeat = Duration::from_millis(50);
        options.stream_life = Duration::from_millis(400);
    })
    .await;
    let mut events = Events::open(&server, "acme", "").await;
    assert_eq!(events.block().await.unwrap(), ": heartbeat");
    assert_eq!(events.block().await.unwrap(), ": heartbeat");
    let (event, data) = events.event().await.unwrap();
    assert_eq!((event.as_str(), &data["reason"]), ("end", &"renew".into()));
    assert!(events.event().await.is_none());
    server.stop().await;
}

#[tokio::test]
async fn a_tenant_has_a_bounded_number_of_streams_and_gets_them_back() {
    let server = Running::start().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Events::open(&server, "acme", "").await);
    }
    let refused = server.get("acme", FULL, "/api/v1/debugger/stream").await;
    assert_eq!(refused.reason(), (429, "too_many_streams".into()));
    let other = Events::open(&server, "other", "").await;
    drop(open.pop());
    let path = "/api/v1/debugger/stream";
    let reopened = timeout(Duration::from_secs(10), async {
        while server.open(request("GET", path, "acme", FULL)).await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    reopened.await.expect("a closed stream gives its place back");
    drop((open, other));
    server.stop().await;
}
