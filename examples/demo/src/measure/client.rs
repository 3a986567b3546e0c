//! The HTTP client of the measurements.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, redirect};
use serde_json::Value;

use crate::{API, CLIENT, SCOPES, organization};

/// A tenant with a token of its own.
pub(super) struct Tenant {
    pub(super) name: &'static str,
    pub(super) tier: &'static str,
    pub(super) token: String,
}

/// Talks to the gateway, and to the identity provider for tokens.
pub(super) struct Client {
    http: reqwest::Client,
    gateway: String,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Answer {
    /// The body as JSON, `null` if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Why it was refused, in the gateway's own word.
    pub(super) fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or("no reason given").to_owned()
    }
}

impl Client {
    #[expect(clippy::disallowed_methods, reason = "the one home of this program's HTTP client")]
    pub(super) fn new(gateway: &str) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|e| format!("cannot make an HTTP client: {e}"))?;
        Ok(Self { http, gateway: gateway.to_owned() })
    }

    /// Waits for 200 from the sidecar's readiness probe.
    pub(super) async fn wait_until_ready(&self, ready: &str) -> Result<(), String> {
        self.poll(ready, "the sidecar is not ready", |status| status == 200).await
    }

    /// Waits until Traefik has read its routers; before that it answers 404 to everything.
    pub(super) async fn wait_until_routed(&self) -> Result<(), String> {
        let address = format!("{}/api/v1/status", self.gateway);
        self.poll(&address, "Traefik does not ask the sidecar", |status| status == 401).await
    }

    async fn poll(&self, address: &str, what: &str, good: fn(u16) -> bool) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..150 {
            match self.http.get(address).send().await {
                Ok(answer) if good(answer.status().as_u16()) => return Ok(()),
                Ok(answer) => last = format!("it answers {}", answer.status()),
                Err(e) => last = e.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(format!("{what} after 30 s: `{address}`: {last}"))
    }

    /// A token for the tenant's organization, as a machine gets it from Logto.
    pub(super) async fn fetch_token(&self, issuer: &str, tenant: &str) -> Result<String, String> {
        let mut form = reqwest::Url::parse("http://form.test/").expect("a constant URL is valid");
        form.query_pairs_mut()
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", CLIENT.0)
            .append_pair("client_secret", CLIENT.1)
            .append_pair("resource", API)
            .append_pair("organization_id", &organization(tenant))
            .append_pair("scope", SCOPES);
        let request = self
            .http
            .post(format!("{issuer}/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        let answer = read(request).await?;
        answer.json()["access_token"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("no token for `{tenant}`: {} {}", answer.status, answer.body))
    }

    /// A request through the gateway, without a body.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        tenant: &Tenant,
    ) -> Result<Answer, String> {
        read(self.request(method, path, tenant)).await
    }

    /// An upload through the gateway.
    pub(super) async fn upload(
        &self,
        path: &str,
        tenant: &Tenant,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let request = self.request(Method::POST, path, tenant);
        read(request.header("content-type", content_type).body(body)).await
    }

    /// The head of an answer that goes on for as long as one listens.
    pub(super) async fn head_of_stream(
        &self,
        path: &str,
        tenant: &Tenant,
    ) -> Result<Response, String> {
        self.request(Method::GET, path, tenant).send().await.map_err(|e| e.to_string())
    }

    fn request(&self, method: Method, path: &str, tenant: &Tenant) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.gateway)).bearer_auth(&tenant.token)
    }
}

/// Sends a request and reads the answer to its end.
pub(super) async fn read(request: RequestBuilder) -> Result<Answer, String> {
    let answer = request.send().await.map_err(|e| format!("no answer: {e}"))?;
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(|e| format!("the answer was cut off: {e}"))?;
    Ok(Answer { status, body })
}
