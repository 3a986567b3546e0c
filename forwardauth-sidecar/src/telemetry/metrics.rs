//! Prometheus metrics.
//!
//! Decisions are counted as they are made; everything else is read when it is asked for.

use std::fmt::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth_core::gate::Gate;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric,
};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// What came of a request.
#[derive(Clone, Copy, Debug, EncodeLabelValue, Eq, Hash, PartialEq)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub enum Outcome {
    /// It may pass.
    allow,
    /// It may not.
    deny,
    /// It could not be judged.
    unavailable,
}

/// The labels of a decision. Each of them is a closed set.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DecisionLabels {
    outcome: Outcome,
    reason: &'static str,
    route: Arc<str>,
    issuer: Arc<str>,
}

/// How a decision was reached.
#[derive(Clone, Copy, Debug, EncodeLabelValue, Eq, Hash, PartialEq)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub enum Way {
    /// From what is at hand.
    at_once,
    /// After waiting for a signature check, keys or the store.
    waited,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct WayLabels {
    way: Way,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct IssuerLabels {
    issuer: String,
}

/// The metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<DecisionLabels, Counter>,
    at_once: Histogram,
    waited: Histogram,
    panics: Counter,
    connections: Counter,
    /// Passes by route and issuer, the last one for no issuer: found without hashing labels.
    passes: Vec<Vec<Counter>>,
    issuers: Vec<Arc<str>>,
    none: Arc<str>,
}

/// The one place where durations are measured.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "the home of measuring")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since then.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

impl Metrics {
    /// Registers every metric. `routes` are names in the order of their indices, `state` tells
    /// readiness and drain.
    pub fn new<'a>(
        gate: &Gate,
        routes: impl IntoIterator<Item = &'a Arc<str>>,
        issuers: impl IntoIterator<Item = Arc<str>>,
        state: Arc<crate::server::State>,
    ) -> Self {
        let mut registry = Registry::with_prefix("tiergate");
        let decisions = Family::<DecisionLabels, Counter>::default();
        registry.register("decisions", "Decisions by outcome, reason, route and issuer", {
            decisions.clone()
        });
        let durations =
            Family::<WayLabels, Histogram, fn() -> Histogram>::new_with_constructor(|| {
                Histogram::new(BUCKETS)
            });
        registry.register_with_unit(
            "decision_duration",
            "Time from the proxy's question to the answer",
            Unit::Seconds,
            durations.clone(),
        );
        let panics = Counter::default();
        registry.register("panics", "Mistakes of the gateway that became 503", panics.clone());
        let connections = Counter::default();
        let help = "Connections to the gateway; a proxy that keeps them needs few";
        registry.register("connections", help, connections.clone());
        registry.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let catalog = gate.entitlements().catalog();
        registry.register(
            "catalog",
            "The catalog that decides; replicas should agree on it",
            Info::new([
                ("digest", catalog.digest().to_owned()),
                ("name", catalog.name().to_owned()),
            ]),
        );
        registry.register_collector(Box::new(Snapshot { gate: gate.clone(), state }));
        let (issuers, none): (Vec<_>, Arc<str>) = (issuers.into_iter().collect(), "none".into());
        let pass = |route: &Arc<str>, issuer: &Arc<str>| {
            decisions.get_or_create_owned(&DecisionLabels {
                outcome: Outcome::allow,
                reason: "allowed",
                route: Arc::clone(route),
                issuer: Arc::clone(issuer),
            })
        };
        let passes = routes
            .into_iter()
            .map(|route| issuers.iter().chain([&none]).map(|issuer| pass(route, issuer)).collect())
            .collect();
        Self {
            registry,
            decisions,
            passes,
            at_once: durations.get_or_create_owned(&WayLabels { way: Way::at_once }),
            waited: durations.get_or_create_owned(&WayLabels { way: Way::waited }),
            panics,
            connections,
            issuers,
            none,
        }
    }

    /// Counts a pass on the route of this index.
    pub fn passed(&self, route: usize, issuer: Option<&str>, way: Way, took: Duration) {
        let known = issuer.and_then(|name| self.issuers.iter().position(|known| **known == *name));
        let counters = self.passes.get(route);
        if let Some(counter) =
            counters.and_then(|counters| counters.get(known.unwrap_or(self.issuers.len())))
        {
            counter.inc();
        }
        self.took(way, took);
    }

    /// Counts a refusal.
    pub fn refused(
        &self,
        outcome: Outcome,
        reason: &'static str,
        route: Option<&Arc<str>>,
        issuer: Option<&str>,
        way: Way,
        took: Duration,
    ) {
        let issuer = issuer.and_then(|name| self.issuers.iter().find(|known| ***known == *name));
        let labels = DecisionLabels {
            outcome,
            reason,
            route: Arc::clone(route.unwrap_or(&self.none)),
            issuer: Arc::clone(issuer.unwrap_or(&self.none)),
        };
        self.decisions.get_or_create(&labels).inc();
        self.took(way, took);
    }

    fn took(&self, way: Way, took: Duration) {
        let histogram = match way {
            Way::at_once => &self.at_once,
            Way::waited => &self.waited,
        };
        histogram.observe(took.as_secs_f64());
    }

    /// Counts a connection.
    pub fn connected(&self) {
        self.connections.inc();
    }

    /// Counts a mistake of ours.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Everything, in the text format.
    ///
    /// # Errors
    ///
    /// Never in practice: writing to a string works.
    pub fn encode(&self) -> Result<String, Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// From a hit in the caches to the end of the deadline, in seconds.
const BUCKETS: [f64; 13] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0,
    2.0,
];

/// What is read when somebody asks.
#[derive(Debug)]
struct Snapshot {
    gate: Gate,
    state: Arc<crate::server::State>,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        let flag = |yes: bool| if yes { 1.0 } else { 0.0 };
        gauge("ready", "Whether /readyz says yes", flag(self.state.is_ready()))?;
        gauge("draining", "Whether the gateway is stopping", flag(self.state.is_draining()))?;

        let store = self.gate.entitlements().status();
        gauge("store_up", "Whether the store answered when last asked", flag(store.up))?;
        if let Some(age) = store.since_last_read {
            let help = "Time since the store was last heard";
            gauge("store_last_read_age_seconds", help, age.as_secs_f64())?;
        }
        gauge("entitlement_cache_tenants", "Tenants at hand", count(store.tenants))?;
        gauge("entitlement_cache_organizations", "Organizations at hand", {
            count(store.organizations)
        })?;
        gauge("entitlement_cache_unknown", "Names remembered as unknown", count(store.unknown))?;
        let help = "Whether the store's current catalog is another than this replica's";
        gauge("catalog_differs", help, flag(store.catalog_differs))?;

        let tokens = self.gate.verifier().cache_status();
        let entries = u64::try_from(tokens.entries).unwrap_or(u64::MAX);
        gauge("token_cache_entries", "Verified tokens at hand", count(entries))?;
        let unreadable = "Reads of tenants whose rows cannot be understood; those are refused";
        for (name, help, value) in [
            ("entitlement_unreadable", unreadable, store.unreadable),
            ("token_cache_hits", "Tokens that were at hand", tokens.hits),
            ("token_cache_misses", "Tokens that were not", tokens.misses),
        ] {
            let counter = ConstCounter::new(value);
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        self.encode_keys(encoder)
    }
}

impl Snapshot {
    fn encode_keys(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let now = self.gate.verifier().now();
        let issuers = self.gate.verifier().key_status();
        let mut gauges = |name: &str, help: &str, value: &dyn Fn(usize) -> Option<f64>| {
            let kind = ConstGauge::new(0.0).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (index, issuer) in issuers.iter().enumerate() {
                let labels = IssuerLabels { issuer: issuer.issuer.to_string() };
                if let Some(value) = value(index) {
                    ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
                }
            }
            Ok::<_, Error>(())
        };
        gauges("jwks_keys", "Keys of the issuer at hand", &|index| {
            Some(count(u64::try_from(issuers[index].keys).unwrap_or(u64::MAX)))
        })?;
        gauges("jwks_age_seconds", "Time since the issuer's keys were fetched", &|index| {
            let fetched = issuers[index].fetched_at?;
            Some(now.duration_since(fetched).unwrap_or_default().as_secs_f64())
        })?;
        let mut counters = |name: &str, help: &str, value: &dyn Fn(usize) -> u64| {
            let kind = ConstCounter::new(0_u64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (index, issuer) in issuers.iter().enumerate() {
                let labels = IssuerLabels { issuer: issuer.issuer.to_string() };
                ConstCounter::new(value(index)).encode(family.encode_family(&labels)?)?;
            }
            Ok::<_, Error>(())
        };
        counters("jwks_fetches", "Fetches of the issuer's keys", &|i| issuers[i].fetches)?;
        counters("jwks_failures", "Fetches that failed", &|i| issuers[i].failures)
    }
}

/// A number of things as a gauge takes it.
fn count(things: u64) -> f64 {
    // Beyond 2^32 of anything the last digits are nobody's concern.
    f64::from(u32::try_from(things).unwrap_or(u32::MAX))
}
