//! Spans as they arrive, for those who watch.
//!
//! Each tenant has channels of its own, so that no filter stands between one tenant's spans and
//! another's eyes, and a busy tenant cannot push a quiet one's spans out. There is one for those who
//! see payloads and one for those who see sizes; an event is written once for all who watch it.
//!
//! A channel holds a bounded number of events and a bounded number of bytes. The oldest go first, and
//! who has not read them is told how many were missed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use crate::features::Payload;
use crate::model::{ExchangeId, Span, TraceId};
use crate::tenant::Tenant;
use crate::view::event::span_event;

/// The channels of all tenants that are watched.
#[derive(Clone, Debug)]
pub(crate) struct Live(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    channels: Mutex<HashMap<(Tenant, Payload), Watched>>,
    capacity: usize,
}

#[derive(Debug)]
struct Watched {
    channel: Arc<Channel>,
    /// INVARIANT: counted under the map's lock, and never 0 there: a channel goes with its last watcher,
    /// and all that it holds.
    watchers: usize,
}

/// One reader's place in a channel.
#[derive(Debug)]
pub(crate) struct Watcher {
    live: Live,
    key: (Tenant, Payload),
    channel: Arc<Channel>,
    changed: watch::Receiver<()>,
    /// The number of the event that is read next.
    place: u64,
}

/// What a reader gets.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A span.
    Span(Event),
    /// So many events were dropped before this reader came to them.
    Missed(u64),
}

/// A span, written out.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    trace_id: TraceId,
    exchange_id: ExchangeId,
    /// As it goes over the wire; shared by all who watch.
    pub(crate) text: Bytes,
}

#[derive(Debug, Default)]
struct Channel {
    ring: Mutex<Ring>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Event>,
    bytes: usize,
    /// The number of the event that comes next; they are counted from 0.
    next: u64,
}

impl Live {
    /// Channels that hold `capacity` spans each, or fewer if they are large.
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Shared { channels: Mutex::default(), capacity: capacity.max(1) }))
    }

    /// Watches one tenant; `None` when it is watched as often as allowed.
    pub(crate) fn watch(&self, tenant: &Tenant, payload: Payload) -> Option<Watcher> {
        let mut channels = self.channels();
        let watchers = |payload| {
            channels.get(&(tenant.clone(), payload)).map_or(0, |watched| watched.watchers)
        };
        if watchers(Payload::Sizes) + watchers(Payload::Values) >= MAX_WATCHERS {
            return None;
        }
        let key = (tenant.clone(), payload);
        let watched = channels
            .entry(key.clone())
            .or_insert_with(|| Watched { channel: Arc::default(), watchers: 0 });
        watched.watchers += 1;
        let channel = Arc::clone(&watched.channel);
        let changed = channel.changed.subscribe();
        let place = channel.ring().next;
        Some(Watcher { live: self.clone(), key, channel, changed, place })
    }

    /// Shows spans to those who watch their tenant.
    pub(crate) fn publish(&self, tenant: &Tenant, spans: &[Span]) {
        for payload in [Payload::Sizes, Payload::Values] {
            let channel = {
                let channels = self.channels();
                channels.get(&(tenant.clone(), payload)).map(|watched| Arc::clone(&watched.channel))
            };
            if let Some(channel) = channel {
                channel.publish(spans, payload, self.0.capacity);
            }
        }
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<(Tenant, Payload), Watched>> {
        self.0.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut channels = self.live.channels();
        if let Some(watched) = channels.get_mut(&self.key) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                channels.remove(&self.key);
            }
        }
    }
}

impl Watcher {
    /// Waits for the next span, or learns that some were missed. Nothing is lost when the waiting is
    /// given up.
    pub(crate) async fn next(&mut self) -> Seen {
        loop {
            self.changed.mark_unchanged();
            if let Some(seen) = self.channel.ring().read(&mut self.place) {
                return seen;
            }
            self.changed.changed().await.expect("the channel is held, and with it the sender");
        }
    }
}

impl Event {
    fn new(span: &Span, payload: Payload) -> Self {
        let exchange_id = span.exchange_id();
        let text = span_event(span, &exchange_id, payload);
        Self { trace_id: span.trace_id.clone(), exchange_id, text }
    }

    /// Says whether the application sent the span.
    pub(crate) fn is_of(&self, service: &str) -> bool {
        ExchangeId::new(&self.trace_id, service) == self.exchange_id
    }
}

impl Channel {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, spans: &[Span], payload: Payload, capacity: usize) {
        // Those before the last would only be written to be dropped.
        let skipped = spans.len().saturating_sub(capacity);
        let events: Vec<_> =
            spans[skipped..].iter().map(|span| Event::new(span, payload)).collect();
        let mut ring = self.ring();
        if skipped > 0 {
            ring.skip(skipped);
        }
        for event in events {
            ring.push(event, capacity);
        }
        drop(ring);
        self.changed.send_replace(());
    }
}

impl Ring {
    /// Passes over events that nobody will see, and those before them.
    fn skip(&mut self, events: usize) {
        self.events.clear();
        self.bytes = 0;
        self.next += events as u64;
    }

    fn push(&mut self, event: Event, capacity: usize) {
        self.bytes += event.text.len();
        self.events.push_back(event);
        self.next += 1;
        while self.events.len() > capacity || self.bytes > MAX_CHANNEL_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }

    fn read(&self, place: &mut u64) -> Option<Seen> {
        let oldest = self.next - self.events.len() as u64;
        if *place < oldest {
            let missed = oldest - *place;
            *place = oldest;
            return Some(Seen::Missed(missed));
        }
        let event = self.events.get(usize::try_from(*place - oldest).ok()?)?;
        *place += 1;
        Some(Seen::Span(event.clone()))
    }
}

/// How many streams one tenant may have open.
const MAX_WATCHERS: usize = 16;
/// What one channel holds for its slowest reader. Events that readers are just writing come on top: two
/// for each of them.
const MAX_CHANNEL_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Map, json};

    use super::*;
    use crate::model::{Attributes, Kind, Resource, SpanId, Status};
    use crate::view::event::MAX_EVENT_BYTES;

    fn span(id: u64, bytes: usize) -> Span {
        let text = Map::from_iter([("text".to_owned(), json!("x".repeat(bytes)))]);
        let resource = Resource { service: "shop".into(), attributes: Attributes::default() };
        Span {
            trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
            span_id: SpanId::from_bytes(&id.to_be_bytes()).unwrap(),
            parent: None,
            resource: Arc::new(resource),
            name: "GET /".into(),
            kind: Kind::Server,
            start_ns: 0,
            end_ns: 1,
            status: Status::Unset,
            status_message: String::new(),
            trace_state: String::new(),
            scope_name: String::new(),
            scope_version: String::new(),
            attributes: Attributes(text),
            events: Vec::new(),
            links: Vec::new(),
        }
    }

    fn tenant() -> Tenant {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-tenant-id", http::HeaderValue::from_static("acme"));
        Tenant::from_headers(&headers).unwrap()
    }

    /// Reads all that is there: how many spans of how many bytes, and how many were missed.
    async fn drain(watcher: &mut Watcher) -> (u64, usize, u64) {
        let (mut spans, mut bytes, mut missed) = (0, 0, 0);
        let soon = std::time::Duration::from_millis(20);
        while let Ok(seen) = tokio::time::timeout(soon, watcher.next()).await {
            match seen {
                Seen::Span(event) => {
                    spans += 1;
                    bytes += event.text.len();
                }
                Seen::Missed(more) => missed += more,
            }
        }
        (spans, bytes, missed)
    }

    #[tokio::test]
    async fn large_spans_are_bounded_by_bytes_and_the_gap_is_named() {
        let live = Live::new(256);
        let mut watchers: Vec<_> =
            (0..3).map(|_| live.watch(&tenant(), Payload::Values).unwrap()).collect();
        for id in 1..=200 {
            live.publish(&tenant(), &[span(id, 60_000)]);
        }
        for watcher in &mut watchers {
            let (spans, bytes, missed) = drain(watcher).await;
            assert!(bytes <= MAX_CHANNEL_BYTES, "{bytes}");
            assert!(spans >= 60, "{spans}");
            assert_eq!(spans + missed, 200);
        }
    }

    #[tokio::test]
    async fn a_span_that_is_too_large_is_named_and_not_shown() {
        let live = Live::new(256);
        let mut watcher = live.watch(&tenant(), Payload::Values).unwrap();
        live.publish(&tenant(), &[span(1, 1_000_000)]);
        let Seen::Span(event) = watcher.next().await else { panic!("nothing was missed") };
        assert!(event.text.len() < MAX_EVENT_BYTES / 100);
        let text = std::str::from_utf8(&event.text).unwrap();
        assert!(text.contains("\"span_id\":\"0000000000000001\""), "{text}");
        assert!(text.contains("\"truncated\":true"), "{text}");
        assert!(event.is_of("shop") && !event.is_of("mail"));
    }

    #[tokio::test]
    async fn readers_share_what_was_written_once() {
        let live = Live::new(256);
        let mut first = live.watch(&tenant(), Payload::Values).unwrap();
        let mut second = live.watch(&tenant(), Payload::Values).unwrap();
        live.publish(&tenant(), &[span(1, 10)]);
        let (Seen::Span(one), Seen::Span(other)) = (first.next().await, second.next().await) else {
            panic!("nothing was missed")
        };
        assert_eq!(one.text.as_ptr(), other.text.as_ptr());
    }

    #[test]
    fn what_a_channel_holds_goes_with_its_last_watcher() {
        let live = Live::new(256);
        let first = live.watch(&tenant(), Payload::Values).unwrap();
        let second = live.watch(&tenant(), Payload::Values).unwrap();
        live.publish(&tenant(), &[span(1, 10)]);
        let held = Arc::downgrade(&first.channel);
        drop(first);
        assert_eq!(held.upgrade().unwrap().ring().events.len(), 1);
        drop(second);
        assert!(held.upgrade().is_none());
        assert!(live.channels().is_empty());
    }
}
