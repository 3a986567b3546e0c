//! The reasons that only a gateway has, beside those of tokens and of entitlements.
//!
//! A code is the metric label, the log field, the problem type and the documentation row. It never
//! changes its meaning.

use std::collections::BTreeMap;

use auth_core::{Fault, Reason};

/// Declares reasons and the list of all of them.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $fault:ident $code:literal, $title:literal, $remedy:literal;)*) => {
        $($(#[$doc])* pub const $name: Reason = Reason::new($code, Fault::$fault, $title, $remedy);)*

        /// Every reason of the gateway itself, in the order of the documentation.
        pub const GATEWAY: &[Reason] = &[$($name),*];
    };
}

reasons! {
    /// The peer is not among `gateway.trusted_proxies`.
    UNTRUSTED_PROXY = Rights "untrusted_proxy",
        "The peer is not a trusted proxy",
        "add the proxy's address to `gateway.trusted_proxies`; nobody else may ask the gateway";
    /// A header that must be there is not.
    CONTROL_HEADER_MISSING = Request "control_header_missing",
        "The proxy did not say what was asked for",
        "compare `gateway.proxy` with the proxy that asks, and let it send its X-Forwarded-* headers";
    /// A control header occurs more than once.
    CONTROL_HEADER_REPEATED = Request "control_header_repeated",
        "A control header occurs more than once",
        "let the proxy replace the client's X-Forwarded-* headers instead of adding to them";
    /// A name that an upstream could take for a control or identity header.
    CONTROL_HEADER_ALIASED = Request "control_header_aliased",
        "A header is another spelling of a control or identity header",
        "send no such header, and let the proxy delete headers with `_` and `.` in their names";
    /// `Connection` nominates a control or identity header.
    CONTROL_HEADER_NOMINATED = Request "control_header_nominated",
        "The Connection header nominates a control or identity header",
        "send no such Connection header";
    /// A method that is never routed.
    FORBIDDEN_METHOD = Request "forbidden_method",
        "The method is never routed",
        "use another method; `CONNECT`, `TRACE` and `TRACK` are never routed";
    /// The scheme is not of the web.
    MALFORMED_SCHEME = Request "malformed_scheme",
        "The forwarded scheme is not http, https, ws or wss",
        "let the proxy set X-Forwarded-Proto";
    /// The host is not one host.
    MALFORMED_HOST = Request "malformed_host",
        "The host is malformed",
        "ask for one host, without user information";
    /// The request target cannot be read.
    MALFORMED_URI = Request "malformed_uri",
        "The request target is malformed",
        "ask for an absolute path in valid escapes";
    /// The path could be read in two ways.
    AMBIGUOUS_PATH = Request "ambiguous_path",
        "The path could be read in two ways",
        "ask for the path without dot segments, empty segments, semicolons, backslashes and escaped separators";
    /// The path is too long.
    URI_TOO_LONG = Request "uri_too_long",
        "The path is too long",
        "ask for a path of at most 8 KiB";
    /// No route matches host and path.
    NO_ROUTE = Rights "no_route",
        "No route matches this host and path",
        "add a route to the configuration; what is not named is refused";
    /// The route of this path does not name the method.
    METHOD_NOT_ROUTED = Rights "method_not_routed",
        "The route of this path does not name this method",
        "add the method to the route, or `preflight = true` for CORS";
    /// The identity headers would be larger than a proxy takes.
    IDENTITY_TOO_LARGE = Rights "identity_too_large",
        "The identity headers would be larger than 8 KiB",
        "give the caller fewer scopes or roles; headers are never cut";
    /// A value of the identity cannot be written into a header.
    IDENTITY_NOT_PRINTABLE = Rights "identity_not_printable",
        "The identity cannot be written into headers",
        "use visible ASCII in subjects, scopes and roles";
    /// An answer lacked what every answer of its kind has.
    INCOMPLETE_ANSWER = Ours "incomplete_answer",
        "The gateway refused to send an answer that was not complete",
        "this is a mistake in the gateway; please report it with the decision id";
    /// No decision was reached in time.
    DEADLINE = Ours "deadline",
        "No decision was reached in time",
        "ask again; the operator looks at the store and the identity provider";
    /// The gateway made a mistake.
    INTERNAL = Ours "internal",
        "The gateway made a mistake",
        "ask again; this is a mistake in the gateway, please report it with the decision id";
}

/// Every reason there is: of tokens, of entitlements and of the gateway, by code.
pub fn all() -> BTreeMap<&'static str, Reason> {
    let tokens = auth_core::reason::ALL.iter().copied();
    let entitlements = entitlements::Reason::ALL.into_iter().map(Reason::from);
    tokens
        .chain(entitlements)
        .chain(GATEWAY.iter().copied())
        .map(|reason| (reason.code(), reason))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_used_twice() {
        let count = auth_core::reason::ALL.len() + entitlements::Reason::ALL.len() + GATEWAY.len();
        assert_eq!(all().len(), count);
    }

    #[test]
    fn codes_are_stable() {
        let codes: Vec<_> = GATEWAY.iter().map(Reason::code).collect();
        assert_eq!(
            codes,
            [
                "untrusted_proxy",
                "control_header_missing",
                "control_header_repeated",
                "control_header_aliased",
                "control_header_nominated",
                "forbidden_method",
                "malformed_scheme",
                "malformed_host",
                "malformed_uri",
                "ambiguous_path",
                "uri_too_long",
                "no_route",
                "method_not_routed",
                "identity_too_large",
                "identity_not_printable",
                "incomplete_answer",
                "deadline",
                "internal",
            ]
        );
    }
}
