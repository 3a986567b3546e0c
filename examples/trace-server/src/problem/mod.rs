//! Refusals: a reason from a closed set, and the problem document (RFC 9457) that says it.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::server::body::ResponseBody;

mod reason;

pub(crate) use reason::Reason;

/// A refusal on its way to the client.
#[derive(Debug)]
pub(crate) struct Problem {
    reason: Reason,
    detail: String,
    feature: Option<&'static str>,
    allow: Option<&'static str>,
}

impl Problem {
    /// A problem with the reason's own words and what happened to this request.
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), feature: None, allow: None }
    }

    /// A feature that the gateway's header does not name.
    pub(crate) fn not_in_plan(feature: &'static str) -> Self {
        let detail = format!("`x-tenant-features` does not name `{feature}`");
        Self { feature: Some(feature), ..Self::new(Reason::NotInPlan, detail) }
    }

    /// A method that the path does not have.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this path answers to {allow}");
        Self { allow: Some(allow), ..Self::new(Reason::MethodNotAllowed, detail) }
    }

    /// Why the request was refused.
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// What happened to this request.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer to the client.
    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::full(self.to_json().to_string()));
        *response.status_mut() = self.reason.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.reason.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }

    fn to_json(&self) -> Value {
        let mut document = Map::new();
        let code = self.reason.code();
        document.insert("type".into(), json!(format!("urn:trace-server:problem:{code}")));
        document.insert("title".into(), json!(self.reason.title()));
        document.insert("status".into(), json!(self.reason.status().as_u16()));
        document.insert("reason".into(), json!(code));
        if !self.detail.is_empty() {
            document.insert("detail".into(), json!(self.detail));
        }
        if let Some(feature) = self.feature {
            document.insert("feature".into(), json!(feature));
        }
        document.insert("remedy".into(), json!(self.reason.remedy()));
        Value::Object(document)
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        Self::new(reason, String::new())
    }
}
