//! Builds tokens shaped like Logto's.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::TestKey;

/// An access token in the making. It starts as a user's token that expires in an hour.
#[derive(Clone, Debug)]
pub struct TokenBuilder {
    key: Arc<TestKey>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl TokenBuilder {
    pub(super) fn new(key: Arc<TestKey>, issuer: &str, audience: &str, now: u64, n: u64) -> Self {
        let header = json!({"alg": key.algorithm().as_str(), "typ": "at+jwt", "kid": key.kid()});
        let claims = json!({
            "jti": format!("jti-{n}"), "sub": "user_1", "iat": now, "exp": now + 3600, "scope": "",
            "client_id": "app_1", "iss": issuer, "aud": audience,
        });
        let (Value::Object(header), Value::Object(claims)) = (header, claims) else {
            unreachable!("both are objects")
        };
        Self { key, header, claims }
    }

    /// A user's token.
    #[must_use]
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// The application that the token is issued to.
    #[must_use]
    pub fn client(self, client_id: &str) -> Self {
        self.claim("client_id", client_id)
    }

    /// A machine's token: `sub` equals `client_id`.
    #[must_use]
    pub fn machine(self, client_id: &str) -> Self {
        self.subject(client_id).client(client_id)
    }

    /// An organization-scoped API token.
    #[must_use]
    pub fn organization(self, organization: &str) -> Self {
        self.claim("organization_id", organization)
    }

    /// The granted scopes.
    #[must_use]
    pub fn scopes<'a>(self, scopes: impl IntoIterator<Item = &'a str>) -> Self {
        let scopes: Vec<_> = scopes.into_iter().collect();
        self.claim("scope", scopes.join(" "))
    }

    /// The `roles` that a custom-JWT script adds.
    #[must_use]
    pub fn roles<'a>(self, roles: impl IntoIterator<Item = &'a str>) -> Self {
        let roles: Vec<_> = roles.into_iter().collect();
        self.claim("roles", roles)
    }

    /// Sets any claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets any header parameter.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a header parameter out.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Expires so many seconds after it was issued.
    #[must_use]
    pub fn lifetime(self, seconds: u64) -> Self {
        let issued = self.claims["iat"].as_u64().unwrap_or_default();
        self.claim("exp", issued + seconds)
    }

    /// The claims so far.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The token.
    pub fn sign(&self) -> String {
        let header = Value::Object(self.header.clone()).to_string();
        self.key.sign(&header, &Value::Object(self.claims.clone()).to_string())
    }

    /// The token with this text as its payload, whatever it is.
    pub fn sign_payload(&self, payload: &str) -> String {
        self.key.sign(&Value::Object(self.header.clone()).to_string(), payload)
    }

    /// The token with this text as its header, whatever it is.
    pub fn sign_header(&self, header: &str) -> String {
        self.key.sign(header, &Value::Object(self.claims.clone()).to_string())
    }
}
