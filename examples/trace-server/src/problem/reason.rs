//! Why a request was refused: the closed set of codes.

use http::StatusCode;

/// Why a request was refused. The code is the same word in the answer and in the log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Reason {
    /// No `X-Tenant-Id`.
    TenantHeaderMissing,
    /// An empty `X-Tenant-Id`.
    TenantHeaderEmpty,
    /// More than one tenant.
    TenantHeaderRepeated,
    /// Not a tenant id.
    TenantHeaderIllFormed,
    /// A header that some software reads as `X-Tenant-Id`.
    TenantHeaderAlias,
    /// The gateway's header does not name the feature.
    NotInPlan,
    /// No such path.
    NoRoute,
    /// The path has other methods.
    MethodNotAllowed,
    /// A query parameter that is unknown, repeated or ill-formed.
    BadQuery,
    /// No such exchange for this tenant.
    UnknownExchange,
    /// No such trace for this tenant.
    UnknownTrace,
    /// A body that is not what its content type says.
    MalformedBody,
    /// A content type or encoding that is not taken.
    UnsupportedMediaType,
    /// A body over the limit, before or after decompression.
    BodyTooLarge,
    /// A body that did not arrive in time.
    BodyTimeout,
    /// Too many open streams for one tenant.
    TooManyStreams,
    /// The store cannot answer.
    StoreUnavailable,
    /// More requests than the server takes on at once.
    Overloaded,
}

impl Reason {
    /// Every reason.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 18] = [
        Self::TenantHeaderMissing,
        Self::TenantHeaderEmpty,
        Self::TenantHeaderRepeated,
        Self::TenantHeaderIllFormed,
        Self::TenantHeaderAlias,
        Self::NotInPlan,
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::BadQuery,
        Self::UnknownExchange,
        Self::UnknownTrace,
        Self::MalformedBody,
        Self::UnsupportedMediaType,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::TooManyStreams,
        Self::StoreUnavailable,
        Self::Overloaded,
    ];

    /// The word for it in the answer and in the log.
    pub(crate) fn code(self) -> &'static str {
        self.words().0
    }

    /// The same for people.
    pub(crate) fn title(self) -> &'static str {
        self.words().1
    }

    /// What would make the request pass.
    pub(crate) fn remedy(self) -> &'static str {
        self.words().2
    }

    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TenantHeaderMissing
            | Self::TenantHeaderEmpty
            | Self::TenantHeaderRepeated
            | Self::TenantHeaderIllFormed
            | Self::TenantHeaderAlias
            | Self::NotInPlan => StatusCode::FORBIDDEN,
            Self::NoRoute | Self::UnknownExchange | Self::UnknownTrace => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadQuery | Self::MalformedBody => StatusCode::BAD_REQUEST,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyStreams => StatusCode::TOO_MANY_REQUESTS,
            Self::StoreUnavailable | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::TenantHeaderMissing => (
                "tenant_header_missing",
                "No tenant",
                "send the request through the gateway, which sets `x-tenant-id`",
            ),
            Self::TenantHeaderEmpty => (
                "tenant_header_empty",
                "Empty tenant",
                "let the route in front of this path ask for a tenant",
            ),
            Self::TenantHeaderRepeated => (
                "tenant_header_repeated",
                "More than one tenant",
                "let the proxy replace the client's `x-tenant-id` instead of adding to it",
            ),
            Self::TenantHeaderIllFormed => (
                "tenant_header_ill_formed",
                "Not a tenant id",
                "send a value that matches `^[a-z0-9][a-z0-9-]{0,62}$`",
            ),
            Self::TenantHeaderAlias => (
                "tenant_header_alias",
                "A second spelling of the tenant header",
                "let the proxy remove header names with `_` and `.` that stand for `x-tenant-id`",
            ),
            Self::NotInPlan => {
                ("not_in_plan", "Not in the plan", "ask for a plan that holds the feature")
            }
            Self::NoRoute => ("no_route", "No such path", "see the list of endpoints"),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                "Method not allowed",
                "use a method that the `allow` header names",
            ),
            Self::BadQuery => ("bad_query", "Bad query", "correct the parameter that is named"),
            Self::UnknownExchange => (
                "unknown_exchange",
                "No such exchange",
                "list the exchanges with `GET /api/v1/exchanges`",
            ),
            Self::UnknownTrace => (
                "unknown_trace",
                "No such trace",
                "list the exchanges with `GET /api/v1/exchanges`",
            ),
            Self::MalformedBody => (
                "malformed_body",
                "Malformed body",
                "send an OTLP ExportTraceServiceRequest in the content type that is named",
            ),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                "Unsupported media type",
                "send `application/x-protobuf` or `application/json`, plain or with gzip",
            ),
            Self::BodyTooLarge => {
                ("body_too_large", "Body too large", "send fewer spans in one request")
            }
            Self::BodyTimeout => {
                ("body_timeout", "The body did not arrive in time", "send the request again")
            }
            Self::TooManyStreams => {
                ("too_many_streams", "Too many open streams", "close a stream of this tenant")
            }
            Self::StoreUnavailable => {
                ("store_unavailable", "The store cannot answer", "try again; see the server's log")
            }
            Self::Overloaded => ("overloaded", "Too much at once", "try again a little later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_words() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }

    #[test]
    fn every_code_is_in_the_documentation() {
        let documentation = include_str!("../lib.rs");
        for reason in Reason::ALL {
            let row = format!("//! | `{}` | {} |", reason.code(), reason.status().as_u16());
            assert!(documentation.contains(&row), "lib.rs has no row `{row}`");
        }
    }
}
