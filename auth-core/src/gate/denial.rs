//! Why a request was refused, and how that looks on the wire.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use entitlements::{NotEntitled, TenantId};
use http::{HeaderValue, Response, header};

use crate::{
    identity::Identity,
    problem::{self, Problem},
    reason::{self, Fault, Reason},
    verify::VerifyError,
};

/// A refusal.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The stable reason.
    pub reason: Reason,
    /// What happened to this request; the caller is told. Never a token or a secret.
    pub detail: String,
    /// What only the operator may see, where there is more: what failed inside, who denied and why.
    /// It stands in the log and in explanations.
    pub cause: Option<String>,
    /// What the tenant lacks, where the reason is its licenses.
    pub not_entitled: Option<NotEntitled>,
    /// The scopes that the token lacks, for [`reason::INSUFFICIENT_SCOPE`].
    pub missing_scopes: Vec<String>,
    /// When asking again makes sense, for faults of ours.
    pub retry_after: Option<Duration>,
    /// The caller, as far as known. Not shown to anybody but the log.
    pub identity: Option<Identity>,
    /// The caller's tenant, as far as known. Not shown to anybody but the log.
    pub tenant: Option<TenantId>,
}

/// Asking again sooner than this is of no use when we cannot know.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Denial {
    /// A refusal for this reason.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            cause: None,
            not_entitled: None,
            missing_scopes: Vec::new(),
            retry_after: (reason.fault() == Fault::Ours).then_some(RETRY_AFTER),
            identity: None,
            tenant: None,
        }
    }

    /// A refusal for what the tenant lacks.
    pub fn not_entitled(why: NotEntitled) -> Self {
        let mut denial = Self::new(why.reason.into(), why.detail.clone());
        denial.cause = why.cause.as_deref().map(str::to_owned);
        denial.not_entitled = Some(why);
        denial
    }

    /// The challenge of a 401, and of a 403 for scopes (RFC 6750, section 3). Without a credential
    /// it names no error. `realm` is a quoted-string without quotes or backslashes.
    pub fn challenge(&self, realm: &str) -> Option<String> {
        let error = match self.reason {
            reason::NO_CREDENTIAL => None,
            reason::MALFORMED_AUTHORIZATION => Some("invalid_request"),
            reason::INSUFFICIENT_SCOPE => Some("insufficient_scope"),
            _ if self.reason.fault() == Fault::Caller => Some("invalid_token"),
            _ => return None,
        };
        let mut challenge = format!("Bearer realm=\"{realm}\"");
        if let Some(error) = error {
            // Titles are written by us and hold neither quotes nor backslashes.
            let title = self.reason.title();
            let _ = write!(challenge, ", error=\"{error}\", error_description=\"{title}\"");
        }
        if !self.missing_scopes.is_empty() {
            let _ = write!(challenge, ", scope=\"{}\"", self.missing_scopes.join(" "));
        }
        Some(challenge)
    }

    /// The problem document (RFC 9457); an `instance` can be added. The cause is not in it.
    pub fn problem(&self) -> Problem<'_> {
        let mut problem = Problem::new(&self.reason, &self.detail);
        problem.missing_scopes = &self.missing_scopes;
        if let Some(why) = &self.not_entitled {
            problem.feature = why.feature.as_ref().map(entitlements::FeatureKey::as_str);
            problem.required = why.required.as_deref();
            problem.current = why.current.as_deref();
            problem.unlocked_by = &why.unlocked_by;
        }
        problem
    }
}

impl From<&VerifyError> for Denial {
    fn from(error: &VerifyError) -> Self {
        let mut denial = Self::new(error.reason(), error.to_string());
        denial.cause = std::error::Error::source(error).map(ToString::to_string);
        denial.retry_after = error.retry_after().or(denial.retry_after);
        denial
    }
}

impl From<entitlements::Reason> for Reason {
    fn from(reason: entitlements::Reason) -> Self {
        let fault = match reason {
            entitlements::Reason::StoreUnavailable => Fault::Ours,
            _ => Fault::Rights,
        };
        Self::new(reason.code(), fault, reason.title(), reason.remedy())
    }
}

/// Turns a refusal into a response. Any `Fn(Denial) -> Response<B>` does, for gRPC or HTML.
pub trait Refuse<B> {
    /// The response to a refused request.
    fn refuse(&self, denial: Denial) -> Response<B>;
}

impl<B, F: Fn(Denial) -> Response<B>> Refuse<B> for F {
    fn refuse(&self, denial: Denial) -> Response<B> {
        self(denial)
    }
}

/// Refuses with an RFC 6750 challenge and an RFC 9457 problem document.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemJson;

impl<B: From<Bytes>> Refuse<B> for ProblemJson {
    fn refuse(&self, denial: Denial) -> Response<B> {
        let body = denial.problem().to_json();
        let mut response = Response::new(B::from(Bytes::from(body)));
        *response.status_mut() = denial.reason.fault().status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenge = denial.challenge("api").and_then(|c| HeaderValue::try_from(c).ok());
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = denial.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        // Outer layers, such as a log, see why without reading the body.
        response.extensions_mut().insert(denial);
        response
    }
}
