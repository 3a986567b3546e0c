//! The identity headers: the one list, and how each value is written.
//!
//! Everything that names these headers is generated from or compared with [`IDENTITY_HEADERS`]:
//! the proxies' configurations, the answers, the documentation. A header that is missing in one of
//! those places is a header that a client can set itself.

use auth_core::Reason;
use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{DictSerializer, Integer, KeyRef, ListSerializer, StringRef};
use thiserror::Error;

use crate::reason;

/// Tenant, as the upstream knows it.
pub const TENANT_ID: HeaderName = HeaderName::from_static("x-tenant-id");
/// Tier of the license that decided, such as `mid`.
pub const TENANT_TIER: HeaderName = HeaderName::from_static("x-tenant-tier");
/// Features above their lowest value, an RFC 9651 dictionary.
pub const TENANT_FEATURES: HeaderName = HeaderName::from_static("x-tenant-features");
/// Subject of the token.
pub const AUTH_SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
/// Roles, an RFC 9651 list of strings.
pub const AUTH_ROLES: HeaderName = HeaderName::from_static("x-auth-roles");
/// Scopes, separated by spaces.
pub const AUTH_SCOPES: HeaderName = HeaderName::from_static("x-auth-scopes");
/// Signed assertion of all the others; empty until it is built.
pub const AUTH_ASSERTION: HeaderName = HeaderName::from_static("x-auth-assertion");
/// Shard that the tenant lives on; empty until it is built.
pub const TIERGATE_SHARD: HeaderName = HeaderName::from_static("x-tiergate-shard");
/// Names this one decision; the only one of the list that a denial carries.
pub const DECISION_ID: HeaderName = HeaderName::from_static("x-decision-id");

/// Every identity header, as documentation and proxy configurations spell it.
pub const IDENTITY_HEADERS: [&str; 9] = [
    "X-Tenant-Id",
    "X-Tenant-Tier",
    "X-Tenant-Features",
    "X-Auth-Subject",
    "X-Auth-Roles",
    "X-Auth-Scopes",
    "X-Auth-Assertion",
    "X-Tiergate-Shard",
    "X-Decision-Id",
];

/// Most bytes that the names and values of the identity headers may take together.
pub const MAX_IDENTITY_BYTES: usize = 8 * 1024;

/// Whether `name`, in lower case, is an identity header.
pub fn is_identity_header(name: &str) -> bool {
    name.starts_with("x-") && IDENTITY_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Why identity headers cannot be written.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum HeaderError {
    /// Together they are larger than [`MAX_IDENTITY_BYTES`].
    #[error("the identity headers take more than {MAX_IDENTITY_BYTES} bytes")]
    TooLarge,
    /// A value holds a character that is not visible ASCII.
    #[error("the value of `{0}` holds a character that is not visible ascii")]
    NotPrintable(&'static str),
    /// A number has more digits than RFC 9651 allows.
    #[error("a number of `{0}` has more than 15 digits")]
    NumberTooLarge(&'static str),
}

impl HeaderError {
    /// The reason under which this refusal is answered, counted and logged.
    pub fn reason(self) -> Reason {
        match self {
            Self::TooLarge => reason::IDENTITY_TOO_LARGE,
            Self::NotPrintable(_) | Self::NumberTooLarge(_) => reason::IDENTITY_NOT_PRINTABLE,
        }
    }
}

/// The value of a feature, as an upstream sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FeatureValue<'a> {
    /// A switch that is on: `topology_graph`.
    On,
    /// A level: `payload_lineage="limited"`.
    Level(&'a str),
    /// A number: `retention_days=30`.
    Number(u64),
}

/// Who is asking, ready to be sent; a value that is absent is an empty header.
///
/// The map holds every identity header exactly once, `X-Decision-Id` with an empty value: what
/// differs from answer to answer is set in a copy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityHeaders(HeaderMap);

/// What [`IdentityHeaders`] are made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityParts<'a> {
    /// Tenant id.
    pub tenant: Option<&'a str>,
    /// Tier.
    pub tier: Option<&'a str>,
    /// Features above their lowest value, in catalog order.
    pub features: &'a [(&'a str, FeatureValue<'a>)],
    /// Subject of the token.
    pub subject: Option<&'a str>,
    /// Roles.
    pub roles: &'a [&'a str],
    /// Scopes.
    pub scopes: &'a [&'a str],
}

impl IdentityHeaders {
    /// The headers of somebody of whom nothing is known: each is there and empty.
    pub fn anonymous() -> Self {
        Self::from_values([const { HeaderValue::from_static("") }; NAMES.len()])
    }

    /// Writes the values.
    ///
    /// # Errors
    ///
    /// Refuses values that cannot be written as they are, and sets that are too large. A value is
    /// never cut or changed: an upstream would take the remainder for the whole.
    pub fn render(parts: &IdentityParts<'_>) -> Result<Self, HeaderError> {
        let [tenant, tier, features, subject, roles, scopes, ..] = IDENTITY_HEADERS;
        let values = [
            visible(tenant, parts.tenant.unwrap_or_default())?,
            visible(tier, parts.tier.unwrap_or_default())?,
            dictionary(features, parts.features)?,
            visible(subject, parts.subject.unwrap_or_default())?,
            list(roles, parts.roles)?,
            spaced(scopes, parts.scopes)?,
            HeaderValue::from_static(""),
            HeaderValue::from_static(""),
            HeaderValue::from_static(""),
        ];
        // Each line also takes `: ` and a line end.
        let names = NAMES.iter().map(|name| name.as_str().len() + 4).sum::<usize>();
        let size = names + values.iter().map(HeaderValue::len).sum::<usize>();
        if size > MAX_IDENTITY_BYTES {
            return Err(HeaderError::TooLarge);
        }
        Ok(Self::from_values(values))
    }

    fn from_values(values: [HeaderValue; NAMES.len()]) -> Self {
        let mut map = HeaderMap::with_capacity(NAMES.len() + 2);
        for (name, value) in NAMES.iter().zip(values) {
            map.append(name, value);
        }
        Self(map)
    }

    /// The headers of an answer.
    pub fn map(&self) -> &HeaderMap {
        &self.0
    }
}

/// The names in the order of [`IDENTITY_HEADERS`].
static NAMES: [HeaderName; 9] = [
    TENANT_ID,
    TENANT_TIER,
    TENANT_FEATURES,
    AUTH_SUBJECT,
    AUTH_ROLES,
    AUTH_SCOPES,
    AUTH_ASSERTION,
    TIERGATE_SHARD,
    DECISION_ID,
];

/// A value without spaces, as it is.
fn visible(name: &'static str, text: &str) -> Result<HeaderValue, HeaderError> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        HeaderValue::from_str(text).map_err(|_| HeaderError::NotPrintable(name))
    } else {
        Err(HeaderError::NotPrintable(name))
    }
}

fn spaced(name: &'static str, words: &[&str]) -> Result<HeaderValue, HeaderError> {
    if words.iter().any(|word| word.is_empty() || !word.bytes().all(|b| b.is_ascii_graphic())) {
        return Err(HeaderError::NotPrintable(name));
    }
    HeaderValue::from_str(&words.join(" ")).map_err(|_| HeaderError::NotPrintable(name))
}

fn list(name: &'static str, members: &[&str]) -> Result<HeaderValue, HeaderError> {
    let mut serializer = ListSerializer::new();
    for member in members {
        let member = StringRef::from_str(member).map_err(|_| HeaderError::NotPrintable(name))?;
        let _ = serializer.bare_item(member);
    }
    structured(name, serializer.finish())
}

fn dictionary(
    name: &'static str,
    members: &[(&str, FeatureValue<'_>)],
) -> Result<HeaderValue, HeaderError> {
    let not_printable = |_| HeaderError::NotPrintable(name);
    let mut serializer = DictSerializer::new();
    for (key, value) in members {
        let key = KeyRef::from_str(key).map_err(not_printable)?;
        let _ = match value {
            FeatureValue::On => serializer.bare_item(key, true),
            FeatureValue::Level(level) => {
                serializer.bare_item(key, StringRef::from_str(level).map_err(not_printable)?)
            }
            FeatureValue::Number(number) => serializer.bare_item(
                key,
                Integer::try_from(*number).map_err(|_| HeaderError::NumberTooLarge(name))?,
            ),
        };
    }
    structured(name, serializer.finish())
}

/// A structured field without members is written as nothing at all; here it is an empty header.
fn structured(name: &'static str, text: Option<String>) -> Result<HeaderValue, HeaderError> {
    HeaderValue::try_from(text.unwrap_or_default()).map_err(|_| HeaderError::NotPrintable(name))
}

#[cfg(test)]
mod tests {
    use sfv::{BareItem, Dictionary, List, ListEntry, Parser};

    use super::*;

    fn value<'a>(headers: &'a IdentityHeaders, name: &HeaderName) -> &'a str {
        let mut found = headers.map().get_all(name).iter();
        let value = found.next().expect("every header is there");
        assert!(found.next().is_none(), "{name} is there twice");
        value.to_str().expect("visible ascii")
    }

    #[test]
    fn the_list_and_the_names_agree() {
        let names: Vec<_> = NAMES.iter().map(ToString::to_string).collect();
        let listed: Vec<_> =
            IDENTITY_HEADERS.iter().map(|name| name.to_ascii_lowercase()).collect();
        assert_eq!(names, listed);
        assert!(listed.iter().all(|name| is_identity_header(name)));
        assert!(!is_identity_header("x-tenant"));
        assert!(!is_identity_header("authorization"));
    }

    #[test]
    fn a_tenant_of_the_low_tier() {
        let headers = IdentityHeaders::render(&IdentityParts {
            tenant: Some("acme"),
            tier: Some("low"),
            features: &[
                ("payload_lineage", FeatureValue::Level("limited")),
                ("topology_graph", FeatureValue::On),
                ("retention_days", FeatureValue::Number(30)),
            ],
            subject: Some("auth0|5f7c8ec7c33c6c004bbafe82"),
            roles: &["viewer", "a \"b\" \\c"],
            scopes: &["traces:read", "traces:write"],
        })
        .expect("printable");
        assert_eq!(value(&headers, &TENANT_ID), "acme");
        assert_eq!(value(&headers, &TENANT_TIER), "low");
        assert_eq!(
            value(&headers, &TENANT_FEATURES),
            r#"payload_lineage="limited", topology_graph, retention_days=30"#
        );
        assert_eq!(value(&headers, &AUTH_SUBJECT), "auth0|5f7c8ec7c33c6c004bbafe82");
        assert_eq!(value(&headers, &AUTH_ROLES), r#""viewer", "a \"b\" \\c""#);
        assert_eq!(value(&headers, &AUTH_SCOPES), "traces:read traces:write");
        assert_eq!(value(&headers, &AUTH_ASSERTION), "");
        assert_eq!(value(&headers, &TIERGATE_SHARD), "");
    }

    #[test]
    fn structured_fields_read_back() {
        let headers = IdentityHeaders::render(&IdentityParts {
            features: &[("a", FeatureValue::Level("x")), ("b", FeatureValue::On)],
            roles: &["viewer", "a \"b\" \\c"],
            ..IdentityParts::default()
        })
        .expect("printable");

        let parsed: Dictionary =
            Parser::new(value(&headers, &TENANT_FEATURES)).parse().expect("a dictionary");
        let keys: Vec<_> = parsed.keys().map(|key| key.as_str()).collect();
        assert_eq!(keys, ["a", "b"]);

        let parsed: List = Parser::new(value(&headers, &AUTH_ROLES)).parse().expect("a list");
        let roles: Vec<_> = parsed
            .iter()
            .map(|entry| match entry {
                ListEntry::Item(item) => match &item.bare_item {
                    BareItem::String(text) => text.as_str().to_owned(),
                    other => panic!("{other:?} is no string"),
                },
                ListEntry::InnerList(_) => panic!("no inner list was written"),
            })
            .collect();
        assert_eq!(roles, ["viewer", "a \"b\" \\c"]);
    }

    #[test]
    fn absent_values_are_empty_headers() {
        let nobody = IdentityHeaders::anonymous();
        assert_eq!(
            nobody,
            IdentityHeaders::render(&IdentityParts::default()).expect("nothing to refuse")
        );
        for name in &NAMES {
            assert_eq!(value(&nobody, name), "");
        }
        assert_eq!(nobody.map().len(), NAMES.len());
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let check = |parts: IdentityParts<'_>, expected| {
            assert_eq!(IdentityHeaders::render(&parts).map(|_| ()), Err(expected));
        };
        for subject in ["a b", "a\r\nX-Tenant-Id: evil", "é", "\u{7f}"] {
            check(
                IdentityParts { subject: Some(subject), ..IdentityParts::default() },
                HeaderError::NotPrintable("X-Auth-Subject"),
            );
        }
        for scope in ["a b", "", "a\nb"] {
            check(
                IdentityParts { scopes: &["x", scope], ..IdentityParts::default() },
                HeaderError::NotPrintable("X-Auth-Scopes"),
            );
        }
        check(
            IdentityParts { roles: &["a\r\nb"], ..IdentityParts::default() },
            HeaderError::NotPrintable("X-Auth-Roles"),
        );
        check(
            IdentityParts {
                features: &[("n", FeatureValue::Number(u64::MAX))],
                ..IdentityParts::default()
            },
            HeaderError::NumberTooLarge("X-Tenant-Features"),
        );
        let long = "s".repeat(MAX_IDENTITY_BYTES);
        check(
            IdentityParts { scopes: &[&long], ..IdentityParts::default() },
            HeaderError::TooLarge,
        );
    }
}
