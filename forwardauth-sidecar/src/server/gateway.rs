//! `/verify`: one question of the proxy, one answer.
//!
//! 1. The peer must be a trusted proxy; until then nothing it says is read.
//! 2. Its headers become a [`ForwardedRequest`], and that selects a route.
//! 3. A public route passes. On others the one bearer credential and the route's requirement go to
//!    the gate: first without waiting, which answers everybody who was seen before; else with
//!    waiting, within the deadline.
//! 4. The decision becomes the answer, a count, and for a denial a line in the log.
//!
//! Whatever goes wrong on the way, a panic included, becomes 503.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth_core::bearer;
use auth_core::gate::{Access, Allowed, Decision, Denial, Gate, Requirement};
use auth_core::{Clock, Fault};
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;
use ipnet::IpNet;
use tracing::Level;

use super::State;
use crate::decision_id::{DecisionId, DecisionIds};
use crate::proxy::cache::HeaderCache;
use crate::proxy::response::{allow, deny};
use crate::proxy::{ForwardedRequest, Profile};
use crate::reason;
use crate::route::{Route, Routes, Selection};
use crate::telemetry::log;
use crate::telemetry::metrics::{Metrics, Outcome, Stopwatch, Way};
use crate::telemetry::recent::{Denied, Recent, Record};

/// What a gateway is made of.
#[derive(Debug)]
pub struct Parts {
    /// Who decides.
    pub gate: Gate,
    /// What each request must bring.
    pub routes: Arc<Routes<Requirement>>,
    /// Which proxy asks.
    pub proxy: Profile,
    /// Whom the gateway believes.
    pub trusted_proxies: Vec<IpNet>,
    /// After which time a question is answered with 503.
    pub deadline: Duration,
    /// For how many callers headers are kept ready.
    pub cache_entries: usize,
}

/// Answers the proxy's questions.
pub struct Gateway {
    parts: Parts,
    clock: Box<dyn Clock>,
    ids: DecisionIds,
    headers: HeaderCache,
    metrics: Metrics,
    recent: Recent,
    state: Arc<State>,
    strangers: Pace,
}

/// Says yes once a second.
#[derive(Debug, Default)]
struct Pace(AtomicU64);

impl Pace {
    fn is_first_of_second(&self, now: SystemTime) -> bool {
        let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.0.swap(second, Ordering::Relaxed) != second
    }
}

/// What is known of a question when it is answered.
#[derive(Default)]
struct Known<'a> {
    request: Option<ForwardedRequest<'a>>,
    route: Option<&'a Arc<Route<Requirement>>>,
    preflight: bool,
}

/// What can be said without waiting.
enum Now<'h> {
    Decided(Decision),
    /// The gate must be asked with waiting, for this token.
    Wait(&'h str),
}

impl Gateway {
    /// Puts a gateway together.
    pub fn new(parts: Parts, clock: impl Clock) -> Arc<Self> {
        let state = Arc::new(State::default());
        let names = parts.gate.verifier().key_status().into_iter().map(|status| status.issuer);
        let routes = parts.routes.iter().map(|route| route.name());
        let metrics = Metrics::new(&parts.gate, routes, names, Arc::clone(&state));
        Arc::new(Self {
            clock: Box::new(clock),
            ids: DecisionIds::new(),
            headers: HeaderCache::new(parts.cache_entries.min(READY_CALLERS)),
            metrics,
            recent: Recent::default(),
            state,
            strangers: Pace::default(),
            parts,
        })
    }

    /// Who decides.
    pub fn gate(&self) -> &Gate {
        &self.parts.gate
    }

    /// Ready, draining, or neither yet.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// What was counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What was denied.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Whether this peer may ask.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        // A listener on `::` sees IPv4 peers as mapped addresses.
        let peer = peer.to_canonical();
        self.parts.trusted_proxies.iter().any(|network| network.contains(&peer))
    }

    /// Answers one question.
    pub async fn verify(
        self: &Arc<Self>,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Response<Full<Bytes>> {
        let watch = Stopwatch::start();
        let mut known = Known::default();
        // The caches behind the gate stay whole when a panic unwinds through them: they are
        // changed by single operations only.
        let now = catch_unwind(AssertUnwindSafe(|| self.decide_now(peer, headers, &mut known)));
        let (decision, way) = match now {
            Ok(Now::Decided(decision)) => (decision, Way::at_once),
            Ok(Now::Wait(token)) => (self.wait(token, known.route).await, Way::waited),
            Err(_) => (self.panicked(), Way::at_once),
        };
        let answer = AssertUnwindSafe(|| self.answer(peer, &known, decision, way, watch));
        catch_unwind(answer).unwrap_or_else(|_| {
            self.metrics.panicked();
            // Whatever panicked is not asked again, the clock included.
            deny(self.parts.proxy, &Denial::new(reason::INTERNAL, ""), self.ids.next(UNIX_EPOCH))
        })
    }

    fn decide_now<'a>(
        &'a self,
        peer: IpAddr,
        headers: &'a HeaderMap,
        known: &mut Known<'a>,
    ) -> Now<'a> {
        if !self.trusts(peer) {
            let detail = format!("`{}` is not among the trusted proxies", peer.to_canonical());
            return Now::denied(Denial::new(reason::UNTRUSTED_PROXY, detail));
        }
        let request = match ForwardedRequest::parse(self.parts.proxy, headers) {
            Ok(request) => known.request.insert(request),
            Err(error) => return Now::denied(Denial::new(error.reason(), error.to_string())),
        };
        let route = match self.parts.routes.select(request) {
            Ok(Selection::Route(route)) => route,
            Ok(Selection::Preflight(route)) => {
                (known.route, known.preflight) = (Some(route), true);
                return Now::Decided(Decision::Allow(Allowed::default()));
            }
            Err(error) => return Now::denied(Denial::new(error.reason(), error.to_string())),
        };
        known.route = Some(route);
        let need = route.requirement();
        if need.access() == Access::Public {
            return Now::Decided(Decision::Allow(Allowed::default()));
        }
        let token = match bearer::credential(headers) {
            Ok(token) => token,
            Err(reason) => return Now::denied(Denial::new(reason, "")),
        };
        match (self.parts.gate.check_now(token, need), token) {
            (Some(decision), _) => Now::Decided(decision),
            (None, Some(token)) => Now::Wait(token),
            // Without a token there is nothing to wait for.
            (None, None) => {
                Now::denied(Denial::new(auth_core::reason::NO_CREDENTIAL, "no credential was sent"))
            }
        }
    }

    /// Asks the gate on a task of its own, so that a panic there is seen and the deadline holds
    /// whatever it does.
    async fn wait(
        self: &Arc<Self>,
        token: &str,
        route: Option<&Arc<Route<Requirement>>>,
    ) -> Decision {
        let Some(route) = route.cloned() else {
            return Denial::new(reason::INTERNAL, "there is no route to ask for").into();
        };
        let (gate, token) = (self.parts.gate.clone(), token.to_owned());
        let mut task =
            tokio::spawn(async move { gate.check(Some(&token), route.requirement()).await });
        match tokio::time::timeout(self.parts.deadline, &mut task).await {
            Ok(Ok(decision)) => decision,
            Ok(Err(_)) => self.panicked(),
            Err(_) => {
                task.abort();
                let detail = format!("no decision within {:?}", self.parts.deadline);
                Denial::new(reason::DEADLINE, detail).into()
            }
        }
    }

    fn panicked(&self) -> Decision {
        self.metrics.panicked();
        Denial::new(reason::INTERNAL, "").into()
    }

    fn answer(
        &self,
        peer: IpAddr,
        known: &Known<'_>,
        decision: Decision,
        way: Way,
        watch: Stopwatch,
    ) -> Response<Full<Bytes>> {
        let now = self.clock.now();
        let id = self.ids.next(now);
        let allowed = match decision {
            Decision::Allow(allowed) => allowed,
            Decision::Deny(denial) => return self.refuse(peer, known, &denial, id, way, watch),
        };
        match self.pass(&allowed, known, id) {
            Ok(response) => {
                let issuer = allowed.identity.as_ref().map(auth_core::Identity::issuer_name);
                if let Some(route) = known.route {
                    self.metrics.passed(route.index(), issuer, way, watch.elapsed());
                    tracing::debug!(decision_id = %id, route = &**route.name(), "allowed");
                }
                response
            }
            Err(mut denial) => {
                denial.identity = allowed.identity;
                self.refuse(peer, known, &denial, id, way, watch)
            }
        }
    }

    fn pass(
        &self,
        allowed: &Allowed,
        known: &Known<'_>,
        id: DecisionId,
    ) -> Result<Response<Full<Bytes>>, Box<Denial>> {
        let headers = self
            .headers
            .headers(allowed)
            .map_err(|error| Box::new(Denial::new(error.reason(), error.to_string())))?;
        // A preflight asks what a later request may do; it stands for nobody.
        let access = match known.route {
            Some(route) if !known.preflight => route.requirement().access(),
            _ => Access::Public,
        };
        allow(&headers, id, access)
    }

    fn refuse(
        &self,
        peer: IpAddr,
        known: &Known<'_>,
        denial: &Denial,
        id: DecisionId,
        way: Way,
        watch: Stopwatch,
    ) -> Response<Full<Bytes>> {
        let name = known.route.map(|route| route.name());
        let record = Record::new(
            id,
            self.clock.now(),
            peer.to_canonical(),
            known.request.as_ref(),
            name.map(|name| &**name),
            denial,
        );
        let ours = denial.reason.fault() == Fault::Ours;
        let stranger = denial.reason == reason::UNTRUSTED_PROXY;
        // It may be the proxy itself, which nobody named: that is a warning, and one a second will do.
        let (who, level) = match (stranger, ours) {
            (true, _) if self.strangers.is_first_of_second(self.clock.now()) => {
                (Denied::Stranger, Level::WARN)
            }
            (true, _) => (Denied::Stranger, Level::INFO),
            (false, true) => (Denied::Caller, Level::WARN),
            (false, false) => (Denied::Caller, Level::INFO),
        };
        log::denial(&record, level);
        let outcome = if ours { Outcome::unavailable } else { Outcome::deny };
        let issuer = denial.identity.as_ref().map(auth_core::Identity::issuer_name);
        let (code, took) = (denial.reason.code(), watch.elapsed());
        self.metrics.refused(outcome, code, name, issuer, way, took);
        self.recent.push(id, record, who);
        deny(self.parts.proxy, denial, id)
    }
}

/// For how many callers headers are kept ready at most. They take about a kilobyte each, and
/// writing them anew takes a microsecond.
const READY_CALLERS: usize = 16_384;

impl Now<'_> {
    fn denied(denial: Denial) -> Self {
        Self::Decided(denial.into())
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("parts", &self.parts).finish_non_exhaustive()
    }
}
