//! The independent OpenID provider, as a process that can be rotated and stopped.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Folder, Process, component};

/// The API whose tokens the tests use.
pub(crate) const API: &str = "https://traces.example.test/api";

const ALL_SCOPES: &str = "traces:read traces:write traces:replay";

/// A running provider.
pub(crate) struct Oidc {
    issuer: String,
    base: String,
    http: reqwest::Client,
    process: Option<Process>,
}

impl Oidc {
    /// Starts it with these organizations.
    pub(crate) async fn start(organizations: &[String], folder: &Folder) -> Self {
        Self::start_on(0, organizations, folder).await
    }

    /// Starts it on a given port, with new keys.
    pub(crate) async fn start_on(port: u16, organizations: &[String], folder: &Folder) -> Self {
        let script = component("TIERGATE_E2E_OIDC").join("provider.mjs");
        let (port, organizations) = (port.to_string(), organizations.join(","));
        let environment = [("PORT", port.as_str()), ("ORGANIZATIONS", organizations.as_str())];
        let mut process = Process::start("oidc", "node".as_ref(), [script], &environment, folder);
        let line = loop {
            process.expect_alive();
            if let Some(line) = process.log().lines().find(|line| line.starts_with('{')) {
                break serde_json::from_str::<Value>(line).expect("the provider prints JSON");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Self {
            issuer: line["issuer"].as_str().expect("the provider names its issuer").to_owned(),
            base: format!("http://127.0.0.1:{}", line["port"]),
            http: super::stack::client(),
            process: Some(process),
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The port that it has.
    pub(crate) fn port(&self) -> u16 {
        self.base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("the base has one")
    }

    /// A token for the organization with all scopes.
    pub(crate) async fn token(&self, organization: &str) -> String {
        self.request(&[("organization_id", organization), ("scope", ALL_SCOPES)]).await
    }

    /// A token for the organization with these scopes only.
    pub(crate) async fn token_with(&self, organization: &str, scopes: &str) -> String {
        self.request(&[("organization_id", organization), ("scope", scopes)]).await
    }

    /// A token that names no organization.
    pub(crate) async fn token_without_organization(&self) -> String {
        self.request(&[("scope", ALL_SCOPES)]).await
    }

    async fn request(&self, extra: &[(&str, &str)]) -> String {
        let mut form = vec![("grant_type", "client_credentials"), ("resource", API)];
        form.extend_from_slice(extra);
        let body = form_encoded(&form);
        let answer = self
            .http
            .post(format!("{}/token", self.issuer))
            .basic_auth("agent", Some("agent-secret"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .expect("the provider answers");
        let answer: Value = answer.json().await.expect("the provider answers with JSON");
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token in {answer}")).to_owned()
    }

    /// Signs with a new key from now on; the old one stays published unless it is dropped.
    pub(crate) async fn rotate(&self, drop: bool) {
        let status = self
            .http
            .post(format!("{}/_test/rotate", self.base))
            .body(json!({ "drop": drop }).to_string())
            .send()
            .await
            .expect("the provider answers")
            .status();
        assert!(status.is_success(), "rotation answered {status}");
    }

    /// Takes it down.
    pub(crate) fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }
}

fn form_encoded(pairs: &[(&str, &str)]) -> String {
    let encode = |text| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs: Vec<String> =
        pairs.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
    pairs.join("&")
}
