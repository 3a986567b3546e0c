//! A decision becomes the answer to the proxy.
//!
//! 1. A 2xx has no body and carries every identity header exactly once, empty where there is no
//!    value; on a tenant route `X-Tenant-Id` is not empty. What would break this is not sent:
//!    it becomes 503 `incomplete_answer`.
//! 2. Anything else carries no identity header but `X-Decision-Id`, because proxies pass the
//!    headers of a denial on to the client. It is never stored by a cache.
//! 3. 401 has a challenge (RFC 6750), 503 says when to try again, and each has a problem document
//!    (RFC 9457) of less than [`MAX_BODY_BYTES`].

use auth_core::gate::{Access, Denial};
use auth_core::problem;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;

use super::headers::{DECISION_ID, IDENTITY_HEADERS, IdentityHeaders, TENANT_ID};
use super::profile::Profile;
use crate::decision_id::DecisionId;
use crate::reason;

/// Most bytes that the body of a denial has.
pub const MAX_BODY_BYTES: usize = 8 * 1024;

/// Says why, for a proxy that drops the body of a denial.
pub const REASON: HeaderName = HeaderName::from_static("x-tiergate-reason");

/// The answer that lets a request pass.
///
/// # Errors
///
/// A denial, if the answer would not be complete.
pub fn allow(
    identity: &IdentityHeaders,
    id: DecisionId,
    access: Access,
) -> Result<Response<Full<Bytes>>, Box<Denial>> {
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    headers.clone_from(identity.map());
    headers.insert(DECISION_ID, id.header_value());
    if is_complete(headers, access) {
        Ok(response)
    } else {
        let detail = "an identity header was missing, repeated, or empty on a tenant route";
        Err(Box::new(Denial::new(reason::INCOMPLETE_ANSWER, detail)))
    }
}

/// The answer that refuses a request.
pub fn deny(profile: Profile, denial: &Denial, id: DecisionId) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body(denial, id)));
    *response.status_mut() = profile.deny_status(denial.reason.fault().status());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(DECISION_ID, id.header_value());
    let challenge = denial.challenge(REALM).filter(|text| text.len() <= MAX_CHALLENGE_BYTES);
    if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    } else if denial.reason.fault().status() == StatusCode::UNAUTHORIZED {
        // RFC 9110, 15.5.2: a 401 without a challenge is none.
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(after) = denial.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
    if profile.drops_denial_body() {
        headers.insert(REASON, HeaderValue::from_static(denial.reason.code()));
    }
    response
}

/// Names the gateway in challenges.
const REALM: &str = "tiergate";

/// A challenge with more scopes than this says less than it costs.
const MAX_CHALLENGE_BYTES: usize = 2 * 1024;

fn body(denial: &Denial, id: DecisionId) -> Bytes {
    let instance = format!("urn:uuid:{id}");
    let mut whole = denial.problem();
    whole.instance = Some(instance.clone());
    let json = whole.to_json();
    if json.len() < MAX_BODY_BYTES {
        return json.into();
    }
    // What is long is what was asked for; reason and remedy never are.
    let mut short = problem::Problem::new(&denial.reason, "");
    short.instance = Some(instance);
    short.to_json().into()
}

/// Whether a 2xx carries what every 2xx must.
fn is_complete(headers: &HeaderMap, access: Access) -> bool {
    // INVARIANT: `IdentityHeaders` are made with exactly the names of the list. As many names as the
    // list has, and as many values as names: so each is there once.
    headers.keys_len() == IDENTITY_HEADERS.len()
        && headers.len() == IDENTITY_HEADERS.len()
        && (access != Access::Tenant
            || headers.get(TENANT_ID).is_some_and(|tenant| !tenant.is_empty()))
}

#[cfg(test)]
mod tests {
    use auth_core::reason as tokens;
    use http_body_util::BodyExt as _;

    use super::super::headers::IdentityParts;
    use super::*;
    use crate::decision_id::DecisionIds;

    fn id() -> DecisionId {
        DecisionIds::new().next(std::time::UNIX_EPOCH)
    }

    fn acme() -> IdentityHeaders {
        let parts = IdentityParts { tenant: Some("acme"), ..IdentityParts::default() };
        IdentityHeaders::render(&parts).expect("printable")
    }

    async fn json(response: Response<Full<Bytes>>) -> serde_json::Value {
        let body = response.into_body().collect().await.expect("a whole body").to_bytes();
        assert!(body.len() < MAX_BODY_BYTES);
        serde_json::from_slice(&body).expect("json")
    }

    #[test]
    fn a_pass_carries_every_header_once_and_no_body() {
        let id = id();
        let response = allow(&acme(), id, Access::Tenant).expect("complete");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().len(), IDENTITY_HEADERS.len());
        assert_eq!(response.headers()["x-tenant-id"], "acme");
        assert_eq!(response.headers()["x-auth-subject"], "");
        assert_eq!(response.headers()["x-decision-id"], id.to_string().as_str());
    }

    #[test]
    fn an_incomplete_pass_is_our_fault() {
        let nobody = IdentityHeaders::anonymous();
        let denial = allow(&nobody, id(), Access::Tenant).expect_err("no tenant");
        assert_eq!(denial.reason, reason::INCOMPLETE_ANSWER);
        assert_eq!(denial.reason.fault().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(allow(&nobody, id(), Access::Public).is_ok());
        assert!(allow(&nobody, id(), Access::Authenticated).is_ok());

        let mut headers =
            allow(&acme(), id(), Access::Tenant).expect("complete").into_parts().0.headers;
        assert!(is_complete(&headers, Access::Tenant));
        headers.append("x-tenant-id", HeaderValue::from_static("evil"));
        assert!(!is_complete(&headers, Access::Tenant));
        headers.remove("x-tenant-id");
        assert!(!is_complete(&headers, Access::Public));
    }

    #[tokio::test]
    async fn a_denial_carries_no_identity() {
        for profile in Profile::ALL {
            for reason in reason::all().into_values() {
                let id = id();
                let response = deny(profile, &Denial::new(reason, "because"), id);
                assert!(!response.status().is_success());
                for name in IDENTITY_HEADERS.iter().filter(|name| **name != "X-Decision-Id") {
                    assert!(!response.headers().contains_key(*name), "{name} on {reason}");
                }
                assert_eq!(response.headers()["x-decision-id"], id.to_string().as_str());
                assert_eq!(response.headers()["cache-control"], "no-store");
                let status = response.status();
                if status == StatusCode::UNAUTHORIZED {
                    let challenge = response.headers()["www-authenticate"].to_str();
                    assert!(challenge.expect("visible ascii").starts_with("Bearer"));
                }
                let fault = reason.fault().status();
                assert_eq!(
                    response.headers().contains_key("retry-after"),
                    fault == StatusCode::SERVICE_UNAVAILABLE
                );
                let body = json(response).await;
                assert_eq!(body["reason"], reason.code());
                assert_eq!(body["instance"], format!("urn:uuid:{id}"));
                assert_eq!(body["detail"], "because");
            }
        }
    }

    #[test]
    fn without_a_credential_the_challenge_names_no_error() {
        let challenge = |reason| {
            let response = deny(Profile::Traefik, &Denial::new(reason, ""), id());
            response.headers()["www-authenticate"].to_str().expect("visible ascii").to_owned()
        };
        assert_eq!(challenge(tokens::NO_CREDENTIAL), "Bearer realm=\"tiergate\"");
        assert!(challenge(tokens::TOKEN_EXPIRED).contains("error=\"invalid_token\""));
    }

    #[test]
    fn nginx_is_told_the_reason_in_a_header() {
        let denial = Denial::new(reason::AMBIGUOUS_PATH, "");
        let response = deny(Profile::Nginx, &denial, id());
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(response.headers()["x-tiergate-reason"], "ambiguous_path");
        let response = deny(Profile::Traefik, &denial, id());
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(!response.headers().contains_key("x-tiergate-reason"));
    }

    #[tokio::test]
    async fn long_denials_are_shortened_but_keep_reason_and_remedy() {
        let mut denial = Denial::new(tokens::INSUFFICIENT_SCOPE, "x".repeat(20_000));
        denial.missing_scopes = vec!["s".repeat(5_000); 3];
        let response = deny(Profile::Traefik, &denial, id());
        assert!(response.headers().get("www-authenticate").is_none());
        let body = json(response).await;
        assert_eq!(body["reason"], "insufficient_scope");
        assert!(!body["remedy"].as_str().expect("a text").is_empty());
    }
}
