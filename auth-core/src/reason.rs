//! Reason codes: the one vocabulary of denials.
//!
//! A code is at once the metric label, the log field, the last segment of the problem `type`, the
//! word the command line prints and the row of the documentation.
//! Codes are stable: one may be added, none is renamed.

use std::fmt;

/// Whose fault a refusal is; it alone picks the HTTP status.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fault {
    /// The request itself cannot be read safely: 400.
    Request,
    /// The caller brought no credential, or a bad one: 401 with a challenge (RFC 6750, section 3).
    Caller,
    /// The caller is known and not allowed: 403.
    Rights,
    /// We cannot know: 503 with `Retry-After`. Never an answer to the caller's own mistake.
    Ours,
}

impl Fault {
    /// The HTTP status code of this class.
    pub const fn status(self) -> http::StatusCode {
        match self {
            Self::Request => http::StatusCode::BAD_REQUEST,
            Self::Caller => http::StatusCode::UNAUTHORIZED,
            Self::Rights => http::StatusCode::FORBIDDEN,
            Self::Ours => http::StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Why a request was refused: a stable code with its class, a title and what would help.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Reason {
    code: &'static str,
    fault: Fault,
    title: &'static str,
    remedy: &'static str,
}

impl Reason {
    /// Declares a reason. `code` is `snake_case`, `title` a short sentence without a full stop,
    /// `remedy` what the person does who has to make the request pass.
    pub const fn new(
        code: &'static str,
        fault: Fault,
        title: &'static str,
        remedy: &'static str,
    ) -> Self {
        Self { code, fault, title, remedy }
    }

    /// The stable code, such as `token_expired`.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// A short human title.
    pub const fn title(&self) -> &'static str {
        self.title
    }

    /// What would make the request pass.
    pub const fn remedy(&self) -> &'static str {
        self.remedy
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

macro_rules! reasons {
    ($($name:ident = ($code:literal, $fault:ident, $title:literal, $remedy:literal);)*) => {
        $(#[doc = $title]
        pub const $name: Reason = Reason::new($code, Fault::$fault, $title, $remedy);)*

        /// Every reason of this module, in the order of the documentation.
        pub const ALL: &[Reason] = &[$($name),*];
    };
}

reasons! {
    NO_CREDENTIAL = ("no_credential", Caller, "No credential was sent",
        "send `Authorization: Bearer <access token>`");
    MALFORMED_AUTHORIZATION = ("malformed_authorization", Caller, "The Authorization header cannot be read",
        "send exactly one Authorization header with the scheme Bearer and one token");
    TOKEN_TOO_LARGE = ("token_too_large", Caller, "The token is larger than the limit",
        "put fewer custom claims into the token, or raise `tokens.max_bytes`");
    OPAQUE_TOKEN = ("opaque_token", Caller, "An opaque token was sent where a JWT is needed",
        "ask the identity provider for a token with `resource` (an API) or `organization_id`; without either Logto issues an opaque token");
    PERSONAL_ACCESS_TOKEN = ("personal_access_token", Caller, "A personal access token was sent",
        "exchange the personal access token for an access token (RFC 8693) and send that");
    MALFORMED_TOKEN = ("malformed_token", Caller, "The token is not a well-formed signed JWT",
        "send the access token exactly as the identity provider issued it");
    ENCRYPTED_TOKEN = ("encrypted_token", Caller, "Encrypted tokens (JWE) are not accepted",
        "configure the identity provider to issue signed, unencrypted access tokens");
    UNSUPPORTED_ALGORITHM = ("unsupported_algorithm", Caller, "The token's signature algorithm is not accepted",
        "sign with ES384, ES256, RS256, PS256 or EdDSA, and allow it in `issuer.algorithms`");
    ALGORITHM_MISMATCH = ("algorithm_mismatch", Caller, "The token's algorithm is not the one of its key",
        "the header's `alg` must be the algorithm of the key that `kid` names; the token was altered or its issuer is misconfigured");
    CRITICAL_HEADER = ("critical_header", Caller, "The token asks for an extension that is not understood",
        "issue tokens without `crit` (RFC 7515, section 4.1.11)");
    WRONG_TOKEN_TYPE = ("wrong_token_type", Caller, "The token is not an access token",
        "send a JWT access token, whose header says `typ: at+jwt` (RFC 9068)");
    ID_TOKEN = ("id_token", Caller, "An ID token was sent where an access token is needed",
        "send the access token; the ID token is for the application that signed the user in");
    LOGOUT_TOKEN = ("logout_token", Caller, "A logout token was sent where an access token is needed",
        "send an access token; logout tokens go to the back-channel logout endpoint");
    SENDER_CONSTRAINED_TOKEN = ("sender_constrained_token", Caller, "The token is bound to a key that was not proven",
        "send an unbound bearer token; DPoP and certificate-bound tokens (`cnf`) cannot be used as bearer tokens");
    MISSING_KID = ("missing_kid", Caller, "The token does not name its key",
        "issue tokens with a `kid` header");
    UNKNOWN_KEY = ("unknown_key", Caller, "The token's key is not in the issuer's key set",
        "get a new token: the signing key was rotated away, or the token is not from this issuer");
    UNTRUSTED_ISSUER = ("untrusted_issuer", Caller, "The token's issuer is not trusted here",
        "use a token of a configured issuer; `iss` must equal `issuer.url` to the letter");
    ADMIN_TENANT_TOKEN = ("admin_tenant_token", Caller, "A token for Logto's Management API or admin tenant was sent",
        "ask for a token whose `resource` is your own API");
    WRONG_AUDIENCE = ("wrong_audience", Caller, "The token is for another audience",
        "ask for a token whose `resource` is one of the configured audiences");
    CLIENT_NOT_ACCEPTED = ("client_not_accepted", Caller, "The token's client is not accepted here",
        "add the client id to `organization_tokens.client_ids` or `single_tenant.client_ids`, or use a token for the API");
    TOKEN_EXPIRED = ("token_expired", Caller, "The token has expired",
        "get a new token; if it is new, compare the clocks of the identity provider and the gateway");
    TOKEN_NOT_YET_VALID = ("token_not_yet_valid", Caller, "The token is not valid yet",
        "wait until `nbf`, or compare the clocks of the identity provider and the gateway");
    ISSUED_IN_FUTURE = ("issued_in_future", Caller, "The token was issued in the future",
        "compare the clocks of the identity provider and the gateway");
    INVALID_CLAIMS = ("invalid_claims", Caller, "A claim of the token is missing or of the wrong type",
        "have the identity provider issue RFC 9068 access tokens; check custom-claim scripts");
    CONFLICTING_ORGANIZATIONS = ("conflicting_organizations", Caller, "The token names an organization twice",
        "a token carries either `organization_id` or an organization audience, never both; check custom-claim scripts");
    BAD_SIGNATURE = ("bad_signature", Caller, "The token's signature is wrong",
        "the token was altered or truncated, or was signed by another key; get a new one");
    ROLES_MISSING = ("roles_missing", Rights, "The token carries no roles",
        "the custom-JWT script must add `roles` (an array of strings); Logto issues the token without them when the script fails");
    ROLES_ILL_TYPED = ("roles_ill_typed", Rights, "The token's roles are not an array of strings",
        "change the custom-JWT script so that `roles` is an array of strings");
    NO_ORGANIZATION = ("no_organization", Rights, "The token names no organization",
        "ask for the token with `organization_id`; without it no tenant can be known, whatever its scopes say");
    INSUFFICIENT_SCOPE = ("insufficient_scope", Rights, "The token lacks a scope",
        "ask for the scope when requesting the token, and grant it through a role");
    MISSING_ROLE = ("missing_role", Rights, "The caller has none of the roles",
        "give the user one of the roles that the route asks for");
    KEYS_UNAVAILABLE = ("keys_unavailable", Ours, "The issuer's keys cannot be fetched",
        "check that the gateway reaches the identity provider's JWKS; it retries by itself");
    OVERLOADED = ("overloaded", Ours, "Too many tokens wait to be verified",
        "retry later; if it lasts, add replicas or use a cheaper signing key (RS256 or ES256 instead of ES384)");
    GATE_MISSING = ("gate_missing", Ours, "A requirement was asked outside of the gate",
        "put the `GateLayer` around the `RequireLayer`");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_snake_case() {
        let mut codes: Vec<_> = ALL.iter().map(Reason::code).collect();
        assert!(codes.iter().all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        codes.sort_unstable();
        let n = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), n);
    }
}
