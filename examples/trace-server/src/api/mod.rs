//! What each endpoint answers.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use matchit::Router;
use tokio::sync::{Semaphore, watch};

use crate::features::{Features, Payload};
use crate::live::Live;
use crate::model::{ExchangeId, Span};
use crate::problem::{Problem, Reason};
use crate::server::Options;
use crate::server::body::{ResponseBody, with_type};
use crate::server::route::Endpoint;
use crate::store::{ExchangeRow, Store, StoreError, TenantStore};
use crate::tenant::Tenant;
use crate::turns::Turns;
use crate::uploads::Uploads;

mod exchanges;
mod ingest;
mod overview;
mod stream;

#[cfg(test)]
pub(crate) use ingest::PART;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) live: Live,
    pub(crate) uploads: Uploads,
    pub(crate) router: Router<Endpoint>,
    pub(crate) decoding: Arc<Semaphore>,
    pub(crate) writes: Arc<Turns>,
    pub(crate) reads: Arc<Turns>,
    pub(crate) closing: watch::Sender<bool>,
    pub(crate) options: Options,
}

/// A request that is known to be a tenant's.
struct Call {
    store: TenantStore,
    payload: Payload,
    /// What the path names, if it names something.
    id: String,
    request: Request<Incoming>,
}

impl App {
    /// Answers a request. The order of the checks is part of the contract: path, method, tenant,
    /// feature; only then is anything read.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        self.route(request).await.unwrap_or_else(|problem| {
            let reason = problem.reason().code();
            tracing::info!(%method, path, reason, detail = problem.detail(), "refused");
            problem.into_response()
        })
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Problem> {
        let found = self.router.at(request.uri().path()).map_err(|_| Reason::NoRoute)?;
        let endpoint = *found.value;
        let id = found.params.iter().next().map_or("", |(_, id)| id).to_owned();
        if !endpoint.allows(request.method()) {
            return Err(Problem::method_not_allowed(endpoint.allow()));
        }
        if endpoint == Endpoint::Health {
            return Ok(with_type("application/json", r#"{"status":"ok"}"#));
        }
        let tenant = Tenant::from_headers(request.headers())?;
        let features = Features::from_headers(request.headers());
        if let Some(feature) = endpoint.feature()
            && !features.has(feature)
        {
            return Err(Problem::not_in_plan(feature));
        }
        let days = features.retention_days().unwrap_or(self.options.default_retention_days);
        let store = self.store.for_tenant(&tenant, days);
        // A stream reads nothing, and those who write have turns of their own.
        let reads = !matches!(endpoint, Endpoint::Ingest | Endpoint::Stream);
        let turn = if reads { Some(self.reads.begin(&tenant).await?) } else { None };
        let call = Call { store, payload: features.payload(), id, request };
        let answer = match endpoint {
            Endpoint::Agents => overview::agents(&call).await,
            Endpoint::Correlation => overview::correlation(&call).await,
            Endpoint::Exchange => exchanges::detail(&call).await,
            Endpoint::Exchanges => exchanges::list(&call).await,
            Endpoint::Health => Err(Reason::NoRoute.into()),
            Endpoint::Ingest => Ok(ingest::ingest(self, call).await),
            Endpoint::Lineage => exchanges::lineage(&call).await,
            Endpoint::Replay => exchanges::replay(&call).await,
            Endpoint::Status => overview::status(&call).await,
            Endpoint::Stream => stream::stream(self, &call),
            Endpoint::Topology => overview::topology(&call).await,
        };
        // An answer is in memory until it is sent, so that is when the turn ends.
        answer.map(|answer| match turn {
            Some(turn) => answer.map(|body| body.holding(turn)),
            None => answer,
        })
    }
}

impl Call {
    /// The exchange that the path names, and its spans.
    async fn exchange(&self) -> Result<(ExchangeRow, Vec<Span>), Problem> {
        // An id that is none, one that nobody has and one that another tenant has are the same
        // to whoever asks.
        let id = ExchangeId::parse(&self.id).ok_or(Reason::UnknownExchange)?;
        let row = self.store.exchange(&id).await?.ok_or(Reason::UnknownExchange)?;
        let spans = self.store.spans(&row, MAX_SPANS).await?;
        Ok((row, spans))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // What the database says is for the log; it may name files.
        tracing::error!(%error, "the store cannot answer");
        Reason::StoreUnavailable.into()
    }
}

/// How many spans of one exchange or trace are read; the answer says when there are more.
const MAX_SPANS: u32 = 10_000;
