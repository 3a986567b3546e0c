//! X-Forwarded-* and its relatives become a [`ForwardedRequest`], or a refusal.
//!
//! The gateway never looks at its own request line: what the client wanted stands only in the
//! headers that the proxy wrote. They are believed because the peer is a trusted proxy, and only
//! if there is no doubt who wrote them:
//!
//! 1. A header whose name is a control or identity header spelled with `_`, `.` or another
//!    separator is refused, since the proxy did not remove it and an upstream may take it for the
//!    real one.
//! 2. A control header that occurs twice is refused, and so is one that `Connection` nominates,
//!    since a proxy on the way may have to delete it.
//! 3. The host, scheme, URI and method headers of the [`Profile`] must be there. There is no
//!    second choice: a missing header is refused, never replaced by `Host` or the request line.
//! 4. Each must parse. `CONNECT`, `TRACE` and `TRACK` are refused, as are schemes other than
//!    `http`, `https`, `ws` and `wss`.

use auth_core::Reason;
use http::{HeaderMap, Method, header};
use thiserror::Error;

use super::headers::is_identity_header;
use super::host::{Host, HostError};
use super::path::{CanonicalPath, PathError};
use super::profile::Profile;
use crate::reason;

/// What the client asked of the proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForwardedRequest<'a> {
    /// With which method.
    pub method: Method,
    /// Over which scheme.
    pub scheme: Scheme,
    /// Of which host.
    pub host: Host<'a>,
    /// For which path.
    pub path: CanonicalPath<'a>,
    /// Whether it is a CORS preflight: `OPTIONS` with an origin and the method it asks for.
    pub preflight: Option<Method>,
}

/// The scheme of a request; a web socket counts as the scheme it was opened with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// `http` or `ws`.
    Http,
    /// `https` or `wss`.
    Https,
}

impl Scheme {
    fn parse(value: &[u8]) -> Option<Self> {
        let is = |scheme: &str| value.eq_ignore_ascii_case(scheme.as_bytes());
        if is("https") || is("wss") {
            Some(Self::Https)
        } else if is("http") || is("ws") {
            Some(Self::Http)
        } else {
            None
        }
    }

    /// The port that goes without saying.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl<'a> ForwardedRequest<'a> {
    /// Reads the headers of one call of the proxy.
    ///
    /// # Errors
    ///
    /// Refuses missing, repeated, aliased and malformed control headers; see the [module](self).
    pub fn parse(profile: Profile, headers: &'a HeaderMap) -> Result<Self, ForwardedError> {
        let control = Control::find(profile, headers)?;
        let present = |value: Option<&'a [u8]>, name| value.ok_or(ForwardedError::Missing(name));

        let method = present(control.method, profile.method_header())?;
        if method.len() > MAX_METHOD_BYTES {
            return Err(ForwardedError::Method);
        }
        let method = Method::from_bytes(method).map_err(|_| ForwardedError::Method)?;
        if is_forbidden(&method) {
            return Err(ForwardedError::ForbiddenMethod);
        }
        let scheme = present(control.proto, "x-forwarded-proto")?;
        let scheme = Scheme::parse(scheme).ok_or(ForwardedError::Scheme)?;
        let host = present(control.host, "x-forwarded-host")?;
        let host = Host::parse(host, scheme.default_port())?;
        let target = present(control.target, profile.uri_header())?;
        let path = CanonicalPath::parse(target)?;
        let preflight = preflight(&method, headers);
        Ok(Self { method, scheme, host, path, preflight })
    }
}

/// Why the headers of a call were refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ForwardedError {
    /// A header that must be there is not.
    #[error("the proxy did not send `{0}`")]
    Missing(&'static str),
    /// A control header occurs more than once.
    #[error("the header `{0}` occurs more than once")]
    Repeated(String),
    /// A header's name is that of a control or identity header, spelled otherwise.
    #[error("the header `{alias}` is another spelling of `{name}`")]
    Aliased {
        /// As it was sent.
        alias: String,
        /// What it can be taken for.
        name: String,
    },
    /// `Connection` nominates a control or identity header for deletion.
    #[error("the header `connection` nominates `{0}`")]
    Nominated(String),
    /// The method is not a token, or longer than any.
    #[error("the forwarded method is malformed")]
    Method,
    /// `CONNECT`, `TRACE` or `TRACK`.
    #[error("the forwarded method is never routed")]
    ForbiddenMethod,
    /// The scheme is none of `http`, `https`, `ws`, `wss`.
    #[error("the forwarded scheme is none of `http`, `https`, `ws`, `wss`")]
    Scheme,
    /// The host is malformed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The path is malformed or ambiguous.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl ForwardedError {
    /// The reason under which this refusal is answered, counted and logged.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Missing(_) => reason::CONTROL_HEADER_MISSING,
            Self::Repeated(_) => reason::CONTROL_HEADER_REPEATED,
            Self::Aliased { .. } => reason::CONTROL_HEADER_ALIASED,
            Self::Nominated(_) => reason::CONTROL_HEADER_NOMINATED,
            Self::Method | Self::ForbiddenMethod => reason::FORBIDDEN_METHOD,
            Self::Scheme => reason::MALFORMED_SCHEME,
            Self::Host(_) => reason::MALFORMED_HOST,
            Self::Path(error) => error.reason(),
        }
    }
}

/// More than twice the longest registered method. Denials are logged and kept with their method,
/// and a client may send one of a megabyte.
const MAX_METHOD_BYTES: usize = 40;

/// Methods that carry a tunnel or echo credentials; no route can name them.
pub fn is_forbidden(method: &Method) -> bool {
    ["CONNECT", "TRACE", "TRACK"].iter().any(|name| method.as_str().eq_ignore_ascii_case(name))
}

/// The values that decide.
#[derive(Default)]
struct Control<'a> {
    method: Option<&'a [u8]>,
    proto: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    target: Option<&'a [u8]>,
}

impl<'a> Control<'a> {
    /// Finds them, and refuses every name and number of headers that leaves a doubt.
    fn find(profile: Profile, headers: &'a HeaderMap) -> Result<Self, ForwardedError> {
        let mut control = Self::default();
        let some_repeat = headers.len() != headers.keys_len();
        for (name, value) in headers {
            let name = name.as_str();
            // Every name that matters begins with an `x`, and a `HeaderMap` keeps lower case.
            if !name.starts_with('x') {
                continue;
            }
            if name.bytes().fold(false, |odd, byte| odd | is_odd(byte)) {
                let plain = plain(name);
                if is_ours(profile, &plain) {
                    return Err(ForwardedError::Aliased { alias: name.to_owned(), name: plain });
                }
                continue;
            }
            if some_repeat
                && profile.is_control(name)
                && headers.get_all(name).iter().nth(1).is_some()
            {
                return Err(ForwardedError::Repeated(name.to_owned()));
            }
            let value = Some(value.as_bytes());
            match name {
                "x-forwarded-proto" => control.proto = value,
                "x-forwarded-host" => control.host = value,
                _ if name == profile.uri_header() => control.target = value,
                _ if name == profile.method_header() => control.method = value,
                _ => {}
            }
        }
        refuse_nominated(profile, headers)?;
        Ok(control)
    }
}

/// Whether a name with this byte can be another spelling: CGI and its heirs write headers as
/// variables, and some of them turn everything but letters and digits into the same `_`.
///
/// In lower case; without branches, because every header of every request passes through here.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch for each byte costs more than the checks"
)]
fn is_odd(byte: u8) -> bool {
    let letter = byte.wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    !(letter | digit | (byte == b'-'))
}

/// The name that `name` may be taken for.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Whether `name`, in lower case, is a control header of the profile or an identity header.
fn is_ours(profile: Profile, name: &str) -> bool {
    profile.is_control(name) || is_identity_header(name)
}

fn refuse_nominated(profile: Profile, headers: &HeaderMap) -> Result<(), ForwardedError> {
    for value in headers.get_all(header::CONNECTION) {
        for option in value.as_bytes().split(|byte| *byte == b',') {
            let option = String::from_utf8_lossy(option.trim_ascii()).to_ascii_lowercase();
            if is_ours(profile, &plain(&option)) {
                return Err(ForwardedError::Nominated(option));
            }
        }
    }
    Ok(())
}

/// The method that a CORS preflight asks for; a lone `OPTIONS` is no preflight.
fn preflight(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if method != Method::OPTIONS || !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let mut asked = headers.get_all(header::ACCESS_CONTROL_REQUEST_METHOD).iter();
    match (asked.next(), asked.next()) {
        (Some(method), None) => Method::from_bytes(method.as_bytes()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
