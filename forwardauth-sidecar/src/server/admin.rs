//! The operator's listener. Never expose it.
//!
//! - `GET /livez` -- 200 as long as the process can answer at all.
//! - `GET /readyz` -- 200 once everything was loaded once, 503 with what is missing before that and
//!   while draining.
//! - `GET /metrics` -- Prometheus' text format.
//! - `GET /decisions/{id}` -- a recent denial, for `tiergate explain ID`; 404 once it is forgotten.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;

use super::Gateway;
use super::listener::{Handler, SMALL_HEADER_BYTES, Terms};
use crate::decision_id::DecisionId;

/// Answers the operator.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    pub(super) gateway: Arc<Gateway>,
    pub(super) required_issuers: Arc<[String]>,
}

impl Admin {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            let mut response = json_answer(StatusCode::METHOD_NOT_ALLOWED, &json!({}));
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/livez" => json_answer(StatusCode::OK, &json!({ "live": true })),
            "/readyz" => self.ready(),
            "/metrics" => self.metrics(),
            _ => match path.strip_prefix("/decisions/").map(DecisionId::parse) {
                Some(Some(id)) => match self.gateway.recent().find(id) {
                    Some(record) => json_answer(StatusCode::OK, &json!(record)),
                    None => not_found("no recent denial has this id; passes are not kept"),
                },
                Some(None) => not_found("this is no decision id"),
                None => not_found("the paths are /livez, /readyz, /metrics and /decisions/{id}"),
            },
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let state = self.gateway.state();
        let missing = state.missing(self.gateway.gate(), &self.required_issuers);
        let (ready, draining) = (state.is_ready(), state.is_draining());
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        json_answer(status, &json!({ "ready": ready, "draining": draining, "missing": missing }))
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        // The gauge of readiness is only true if somebody looked.
        self.gateway.state().missing(self.gateway.gate(), &self.required_issuers);
        let Ok(text) = self.gateway.metrics().encode() else {
            return json_answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({}));
        };
        let mut response = Response::new(Full::from(text));
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

impl Handler for Admin {
    async fn handle(&self, _: IpAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.answer(request.method(), request.uri().path())
    }

    fn terms(&self, _: IpAddr) -> Terms {
        let life = Some(Duration::from_mins(10));
        Terms { idle: Duration::from_mins(1), header_bytes: SMALL_HEADER_BYTES, life }
    }
}

fn not_found(detail: &str) -> Response<Full<Bytes>> {
    json_answer(StatusCode::NOT_FOUND, &json!({ "detail": detail }))
}

fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
