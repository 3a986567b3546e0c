//! A slim multi-tenant trace server on `SQLite`.
//!
//! It takes traces from any OpenTelemetry SDK over OTLP/HTTP, keeps each tenant's apart, and
//! answers what the five features of the plans are about: topology, payload lineage, correlation
//! across services, a live stream, and replay.
//!
//! # Who may talk to it
//!
//! The server does not know users or tokens. It believes `X-Tenant-Id`, which the gateway's proxy
//! sets on each request that it lets through; so **nothing but that proxy may reach it**. It
//! listens on 127.0.0.1 unless told otherwise. It still refuses what a correct proxy never sends:
//! no tenant, an empty one, two, an ill-formed one, or another spelling of the header's name.
//!
//! `X-Tenant-Features` (an RFC 9651 dictionary: `payload_lineage="limited", topology_graph,
//! retention_days=30`) says what the tenant's plan holds. The gateway has already refused what it
//! does not; the server refuses it once more, and everything that needs a feature when the header
//! is missing, repeated or ill-formed.
//!
//! # Endpoints
//!
//! | path | feature | answer |
//! |---|---|---|
//! | `POST /v1/traces` | | takes spans: OTLP as protobuf or JSON, plain or gzip |
//! | `GET /api/v1/exchanges` | | exchanges, newest first; `limit` (50, at most 500), `cursor`, `service`, `status` (`error`, `ok`), `since`, `until` (RFC 3339) |
//! | `GET /api/v1/exchanges/{id}` | | all spans of one as a tree |
//! | `GET /api/v1/exchanges/{id}/lineage` | `payload_lineage` | what became of the payload, step by step |
//! | `POST /api/v1/exchanges/{id}/replay` | `exchange_replay` | the request that a replay would send; nothing is sent |
//! | `GET /api/v1/topology` | `topology_graph` | who calls whom, how often, how slowly; `since` |
//! | `GET /api/v1/correlations/{trace_id}` | `cross_service_correlation` | one trace over all applications |
//! | `GET /api/v1/debugger/stream` | `live_route_debugger` | spans as they arrive, as server-sent events; `service` |
//! | `GET /api/v1/agents` | | the instances that sent spans |
//! | `GET /api/v1/status` | | how much is stored, from when to when |
//! | `GET /healthz` | | 200, without a tenant |
//!
//! An **exchange** is one trace as one application saw it. Its id is the trace id, a dash, and a
//! hash of the application's name that stays the same for ever. The application is
//! `service.name`, with `service.namespace` and a slash before it when that is set.
//! A **correlation** joins all exchanges of one trace.
//!
//! Unknown query parameters are refused, so that a misspelt filter does not look like an answer.
//!
//! # Payloads
//!
//! Attributes whose names begin with `payload.`, `messaging.message.`, `http.request.body` or
//! `http.response.body` are payload. Their values are shown only with `payload_lineage="full"`,
//! in every answer; otherwise their names and sizes are.
//!
//! # Retention
//!
//! A tenant sees what the server **received** in the last `retention_days` days: by the server's
//! clock, so that agents with wrong clocks neither lose nor gain days. An exchange is shown whole
//! or not at all. Without the feature in the header, `--default-retention-days` (7) counts.
//! Nothing is deleted: a plan that ends for a day must not cost a year of traces, and only the
//! operator knows when the disk is full.
//!
//! A span that is reported twice (the same tenant, trace, span and application) is kept as it was
//! reported first, so exporters may try again. They have to after a 503, and then part of the batch may
//! be stored already: a batch is stored 2,000 spans at a time, so that other tenants get their turn in
//! between. What is there is neither stored nor counted again.
//!
//! # Limits
//!
//! A request body 16 MiB (`--max-body-bytes`) and 50,000 spans, a span 1 MiB, an answer 10,000 spans or some 32 MiB
//! of them, a topology the newest 100,000 spans, 16 live streams and 32 bodies on their way a tenant, of whose
//! requests one writes and two read at the same time while the others wait, for up to 30 s;
//! a read lasts until its answer is sent, for which there are 60 s;
//! an answer that is cut says `truncated`. For slow readers of live streams the server keeps at most 256
//! spans and 4 MiB of what was written last, once for those who see payloads and once for those who see
//! sizes, and two events for each reader; a span of over 64 KiB shows its ids only. A reader that is
//! too slow gets `event: missed` with the number of spans. A live stream ends after 15 minutes and its reader comes back by itself, so
//! that the gateway judges it anew: one that was opened before a downgrade goes on until then
//! (`Options::stream_life`, 15 minutes in the program).
//!
//! # Refusals
//!
//! `application/problem+json` (RFC 9457) with one of these reasons; its `type` is
//! `urn:trace-server:problem:` and the reason, so that nobody takes it for the gateway's. `POST /v1/traces` says those
//! from `store_unavailable` on as a `google.rpc.Status` in the request's content type, as OTLP
//! asks. Single spans that cannot be kept are counted in `partial_success`.
//!
//! | reason | status | when |
//! |---|---|---|
//! | `tenant_header_missing` | 403 | no `X-Tenant-Id` |
//! | `tenant_header_empty` | 403 | an empty one |
//! | `tenant_header_repeated` | 403 | two, or one with a comma |
//! | `tenant_header_ill_formed` | 403 | not `^[a-z0-9][a-z0-9-]{0,62}$` |
//! | `tenant_header_alias` | 403 | a name such as `X_Tenant_Id` or `X.Tenant.Id` |
//! | `not_in_plan` | 403 | `X-Tenant-Features` does not name the feature |
//! | `no_route` | 404 | no such path |
//! | `method_not_allowed` | 405 | the path has other methods, named in `allow` |
//! | `bad_query` | 400 | a parameter is unknown, repeated or ill-formed |
//! | `unknown_exchange` | 404 | this tenant has no such exchange |
//! | `unknown_trace` | 404 | this tenant has no such trace |
//! | `too_many_streams` | 429 | 16 streams of this tenant are open |
//! | `store_unavailable` | 503 | the store cannot answer |
//! | `malformed_body` | 400 | the body is not what its content type says |
//! | `unsupported_media_type` | 415 | neither protobuf nor JSON, or packed otherwise than with gzip |
//! | `body_too_large` | 413 | over `--max-body-bytes`, before or after decompression, or over 50,000 spans |
//! | `body_timeout` | 408 | the body did not arrive within 30 s |
//! | `overloaded` | 503 | more at once than the server takes on |
//!
//! # To try it
//!
//! ```sh
//! cargo run -p trace-server -- --store sqlite:target/traces.db
//! # {"listening":"127.0.0.1:5000"}
//!
//! curl -s http://127.0.0.1:5000/v1/traces -H 'X-Tenant-Id: acme' \
//!   -H 'Content-Type: application/json' -d '{"resourceSpans":[{
//!     "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
//!     "scopeSpans":[{"spans":[{
//!       "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
//!       "name":"GET /cart","kind":2,
//!       "startTimeUnixNano":"1767225600000000000","endTimeUnixNano":"1767225600250000000"}]}]}]}'
//! # {}
//!
//! curl -s http://127.0.0.1:5000/api/v1/exchanges -H 'X-Tenant-Id: acme'
//! curl -s http://127.0.0.1:5000/api/v1/topology -H 'X-Tenant-Id: acme' \
//!   -H 'X-Tenant-Features: topology_graph, retention_days=30'
//! curl -sN http://127.0.0.1:5000/api/v1/debugger/stream -H 'X-Tenant-Id: acme' \
//!   -H 'X-Tenant-Features: live_route_debugger, payload_lineage="full"'
//! ```
//!
//! An OpenTelemetry SDK is pointed at the gateway in front of it:
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://traces.example.com/v1/traces` and
//! `OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20...`.
//!
//! # As a library
//!
//! ```no_run
//! use clap::Parser as _;
//! use trace_server::{Args, Server};
//!
//! # async fn run() -> Result<(), trace_server::StartError> {
//! let options = Args::parse_from(["trace-server", "--listen", "127.0.0.1:0"]).into_options();
//! let server = Server::bind(options).await?;
//! let address = server.local_addr();
//! server.run(async { /* until this is done */ }).await;
//! # Ok(())
//! # }
//! ```

mod api;
mod args;
mod clock;
mod features;
mod live;
mod model;
mod otlp;
mod problem;
mod server;
mod store;
mod tenant;
mod turns;
mod uploads;
mod view;

pub use args::Args;
pub use clock::Clock;
pub use server::{Options, Server, StartError};
pub use store::StoreError;
