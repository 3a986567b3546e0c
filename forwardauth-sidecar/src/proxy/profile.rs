//! What each proxy sends, and what it makes of the answer.
//!
//! A listener speaks one profile. It names the one URI header and the one method header that
//! count; the corresponding headers of other proxies may be a client's own and are never read.

use std::borrow::Cow;

use http::StatusCode;

/// The proxy in front of a gateway listener.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Profile {
    /// Traefik's `forwardAuth`.
    Traefik,
    /// Caddy's `forward_auth`.
    Caddy,
    /// nginx' `auth_request`, with the two `X-Original-` headers set by its configuration.
    Nginx,
}

impl Profile {
    /// Every profile, in the order in which error messages name them.
    pub const ALL: [Self; 3] = [Self::Traefik, Self::Caddy, Self::Nginx];

    /// The word that stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
            Self::Nginx => "nginx",
        }
    }

    /// The one header that says which target the client asked for.
    pub fn uri_header(self) -> &'static str {
        match self {
            Self::Traefik | Self::Caddy => "x-forwarded-uri",
            Self::Nginx => "x-original-uri",
        }
    }

    /// The one header that says with which method.
    pub fn method_header(self) -> &'static str {
        match self {
            Self::Traefik | Self::Caddy => "x-forwarded-method",
            Self::Nginx => "x-original-method",
        }
    }

    /// Whether a second value of `name` (lower case) means that two parties spoke.
    ///
    /// The four that decide are always among them; the others are those that this proxy sends
    /// exactly once.
    pub fn is_control(self, name: &str) -> bool {
        match self {
            Self::Traefik => matches!(
                name,
                "x-forwarded-for"
                    | "x-forwarded-host"
                    | "x-forwarded-method"
                    | "x-forwarded-port"
                    | "x-forwarded-prefix"
                    | "x-forwarded-proto"
                    | "x-forwarded-server"
                    | "x-forwarded-uri"
                    | "x-real-ip"
            ),
            Self::Caddy => matches!(
                name,
                "x-forwarded-for"
                    | "x-forwarded-host"
                    | "x-forwarded-method"
                    | "x-forwarded-proto"
                    | "x-forwarded-uri"
            ),
            Self::Nginx => matches!(
                name,
                "x-forwarded-host" | "x-forwarded-proto" | "x-original-method" | "x-original-uri"
            ),
        }
    }

    /// The path of a request as this proxy passes it on. Traefik writes several slashes as one; the
    /// others pass on what they got.
    pub fn clean(self, path: &str) -> Cow<'_, str> {
        if self != Self::Traefik || !path.contains("//") {
            return Cow::Borrowed(path);
        }
        let mut clean = String::with_capacity(path.len());
        for character in path.chars() {
            if character != '/' || !clean.ends_with('/') {
                clean.push(character);
            }
        }
        Cow::Owned(clean)
    }

    /// The status with which a denial reaches this proxy.
    ///
    /// nginx takes only 401 and 403 for a denial and makes 500 of everything else. That is wrong
    /// for a request we refuse (400), and right for one we cannot judge (503): the client should
    /// learn that the fault is ours.
    pub fn deny_status(self, status: StatusCode) -> StatusCode {
        match self {
            Self::Traefik | Self::Caddy => status,
            Self::Nginx => match status {
                StatusCode::UNAUTHORIZED | StatusCode::SERVICE_UNAVAILABLE => status,
                _ => StatusCode::FORBIDDEN,
            },
        }
    }

    /// Whether the proxy drops the body of a denial, so that its reason needs a header.
    pub fn drops_denial_body(self) -> bool {
        match self {
            Self::Traefik | Self::Caddy => false,
            Self::Nginx => true,
        }
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deciding_headers_are_control_headers() {
        for profile in Profile::ALL {
            for name in [
                profile.uri_header(),
                profile.method_header(),
                "x-forwarded-host",
                "x-forwarded-proto",
            ] {
                assert!(profile.is_control(name), "{profile}: {name}");
            }
        }
    }

    #[test]
    fn nginx_hears_only_what_it_understands() {
        let check = |status, expected| assert_eq!(Profile::Nginx.deny_status(status), expected);
        check(StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN);
        check(StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED);
        check(StatusCode::FORBIDDEN, StatusCode::FORBIDDEN);
        check(StatusCode::SERVICE_UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE);
    }
}
