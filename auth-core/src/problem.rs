//! Problem details for HTTP APIs (RFC 9457).

use serde::Serialize;

use crate::reason::Reason;

/// The media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// A problem document. Members that do not apply are left out.
#[derive(Clone, Debug, Serialize)]
pub struct Problem<'a> {
    /// `urn:tiergate:problem:` and the reason code: a name, not an address.
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason's title.
    pub title: &'a str,
    /// The HTTP status code.
    pub status: u16,
    /// What happened to this request; never a token or a secret.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub detail: &'a str,
    /// `urn:uuid:` and the decision id, which the log and `tiergate explain` find.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The reason code.
    pub reason: &'a str,
    /// What would make the request pass.
    pub remedy: &'a str,
    /// The feature that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<&'a str>,
    /// The value of the feature that the route asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<&'a str>,
    /// The value of the feature that the tenant has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<&'a str>,
    /// The tiers and add-ons that would unlock it.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub unlocked_by: &'a [String],
    /// The scopes that the token lacks.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub missing_scopes: &'a [String],
}

impl<'a> Problem<'a> {
    /// A problem with the reason's own words.
    pub fn new(reason: &Reason, detail: &'a str) -> Self {
        Self {
            kind: format!("urn:tiergate:problem:{}", reason.code()),
            title: reason.title(),
            status: reason.fault().status().as_u16(),
            detail,
            instance: None,
            reason: reason.code(),
            remedy: reason.remedy(),
            feature: None,
            required: None,
            current: None,
            unlocked_by: &[],
            missing_scopes: &[],
        }
    }

    /// The document as JSON.
    ///
    /// # Panics
    ///
    /// Never: strings and numbers always serialize.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialize")
    }
}
