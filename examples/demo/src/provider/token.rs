//! The token endpoint: `client_credentials` for an API, scoped to an organization.

use std::collections::HashMap;

use auth_core::testing::TestIssuer;
use http::StatusCode;
use reqwest::Url;
use serde_json::{Value, json};

use crate::{API, CLIENT, SCOPES, TENANTS, organization};

/// Why no token was issued, in the words of RFC 6749 section 5.2.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    error: &'static str,
    description: String,
}

impl Refusal {
    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    fn new(error: &'static str, description: impl Into<String>) -> Self {
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "access_denied" => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, error, description: description.into() }
    }

    pub(super) fn document(&self) -> Value {
        json!({ "error": self.error, "error_description": self.description })
    }
}

/// The answer to a form, as Logto gives it: an access token for the API that holds the
/// organization and the scopes that were asked for and granted.
pub(super) fn issue(issuer: &TestIssuer, form: &str) -> Result<Value, Refusal> {
    let form = decode(form)?;
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("grant_type") != "client_credentials" {
        return Err(Refusal::new("unsupported_grant_type", "only client_credentials is supported"));
    }
    if (field("client_id"), field("client_secret")) != CLIENT {
        return Err(Refusal::new("invalid_client", "the client or its secret is not known"));
    }
    if field("resource") != API {
        return Err(Refusal::new("invalid_target", format!("`resource` must be `{API}`")));
    }
    let wanted = field("organization_id");
    if !TENANTS.iter().any(|(tenant, _)| organization(tenant) == wanted) {
        return Err(Refusal::new("access_denied", "the client is not in this organization"));
    }
    let granted: Vec<&str> =
        field("scope").split_whitespace().filter(|s| SCOPES.split(' ').any(|g| g == *s)).collect();
    let token = issuer
        .token(API)
        .machine(CLIENT.0)
        .organization(wanted)
        .scopes(granted.iter().copied())
        .lifetime(LIFETIME)
        .sign();
    Ok(json!({
        "access_token": token,
        "expires_in": LIFETIME,
        "token_type": "Bearer",
        "scope": granted.join(" "),
    }))
}

/// The fields of a form; a field that stands twice is refused, as two readers could differ on it.
fn decode(form: &str) -> Result<HashMap<String, String>, Refusal> {
    let url = Url::parse(&format!("http://form.test/?{form}"))
        .map_err(|_| Refusal::invalid_request("the form is not well-formed"))?;
    let mut fields = HashMap::new();
    for (name, value) in url.query_pairs() {
        if fields.insert(name.clone().into_owned(), value.into_owned()).is_some() {
            return Err(Refusal::invalid_request(format!("`{name}` stands twice")));
        }
    }
    Ok(fields)
}

/// A working day: the tokens of `tokens.json` stay good while somebody tries things out.
const LIFETIME: u64 = 8 * 3600;

#[cfg(test)]
mod tests {
    use auth_core::Algorithm;

    use super::*;

    fn ask(form: &str) -> Result<Value, Refusal> {
        issue(&TestIssuer::new("http://127.0.0.1:1/oidc", Algorithm::Es384), form)
    }

    const GOOD: &str = "grant_type=client_credentials&client_id=demo-agent&client_secret=demo-secret\
                        &resource=https%3A%2F%2Ftraces.demo.test%2Fapi&organization_id=org-low-co";

    #[test]
    fn a_member_gets_a_token_with_the_scopes_that_are_granted() {
        let answer = ask(&format!("{GOOD}&scope=traces%3Aread+traces:admin")).unwrap();
        assert_eq!(answer["scope"], "traces:read");
        assert_eq!(answer["access_token"].as_str().unwrap().split('.').count(), 3);
    }

    #[track_caller]
    fn check_refused(form: &str, error: &str) {
        assert_eq!(ask(form).unwrap_err().error, error, "{form}");
    }

    #[test]
    fn whoever_is_not_a_member_gets_none() {
        check_refused(&GOOD.replace("org-low-co", "org-evil-co"), "access_denied");
        check_refused(&GOOD.replace("demo-secret", "guess"), "invalid_client");
        check_refused(&GOOD.replace("demo.test", "other.test"), "invalid_target");
        check_refused(&GOOD.replace("client_credentials", "password"), "unsupported_grant_type");
        check_refused(&format!("{GOOD}&organization_id=org-mid-co"), "invalid_request");
        check_refused("", "unsupported_grant_type");
    }
}
