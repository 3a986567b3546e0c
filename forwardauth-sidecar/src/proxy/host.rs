//! The host a client asked for, in its only spelling.
//!
//! Lower case, one trailing dot cut off, no default port. User information, lists, escapes and
//! everything else that a host name cannot contain are refused; an IPv6 address is written as
//! RFC 5952 says.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use thiserror::Error;

/// Longest host name that DNS knows.
const MAX_NAME_BYTES: usize = 253;
/// Longest label between two dots.
const MAX_LABEL_BYTES: usize = 63;

/// A host name or address, and the port where it is not the scheme's own.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Host<'a> {
    name: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Reads the value of a host header; `default_port` is the port that is not worth mentioning.
    ///
    /// # Errors
    ///
    /// Refuses everything that is not one host with at most one port.
    pub fn parse(value: &'a [u8], default_port: u16) -> Result<Self, HostError> {
        if value.is_empty() {
            return Err(HostError::Empty);
        }
        let text = std::str::from_utf8(value).map_err(|_| HostError::Character)?;
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or(HostError::Address)?;
            let address: Ipv6Addr = address.parse().map_err(|_| HostError::Address)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(parse_port(port)?),
                None if rest.is_empty() => None,
                None => return Err(HostError::Address),
            };
            (Cow::Owned(format!("[{address}]")), port)
        } else {
            let (name, port) = match text.split_once(':') {
                Some((name, port)) => (name, Some(parse_port(port)?)),
                None => (text, None),
            };
            (parse_name(name)?, port)
        };
        Ok(Self { name, port: port.filter(|port| *port != default_port) })
    }

    /// The name alone, without port; an IPv6 address keeps its brackets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, if it is not the scheme's own.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Why a host was refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum HostError {
    /// The value is empty.
    #[error("the host is empty")]
    Empty,
    /// A character that no host name contains: `@`, `,`, `/`, `#`, `%`, a space, or beyond ASCII.
    #[error("the host contains a character that no host name has")]
    Character,
    /// Two dots in a row, a leading dot, or a label that is too long.
    #[error("the host has an empty or overlong label")]
    Label,
    /// Longer than DNS allows.
    #[error("the host is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// Brackets without an IPv6 address between them.
    #[error("the host is not an ipv6 address in brackets")]
    Address,
    /// A port that is not a number from 1 to 65535.
    #[error("the host's port is not a number from 1 to 65535")]
    Port,
}

fn parse_port(text: &str) -> Result<u16, HostError> {
    // `u16::from_str` would take a leading `+`.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or(HostError::Port)
}

fn parse_name(name: &str) -> Result<Cow<'_, str>, HostError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(HostError::TooLong);
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    {
        return Err(HostError::Character);
    }
    if name.split('.').any(|label| label.is_empty() || label.len() > MAX_LABEL_BYTES) {
        return Err(HostError::Label);
    }
    Ok(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Result<&str, HostError>) {
        let got = Host::parse(value.as_bytes(), 443).map(|host| host.to_string());
        assert_eq!(got.as_deref().map_err(|e| *e), expected);
    }

    #[test]
    fn names_have_one_spelling() {
        check("app.example.com", Ok("app.example.com"));
        check("APP.example.com", Ok("app.example.com"));
        check("app.example.com.", Ok("app.example.com"));
        check("app.example.com:443", Ok("app.example.com"));
        check("APP.example.com.:443", Ok("app.example.com"));
        check("app.example.com:8443", Ok("app.example.com:8443"));
        check("app.example.com:80", Ok("app.example.com:80"));
        check("evil-example.com", Ok("evil-example.com"));
        check("xn--bcher-kva.example", Ok("xn--bcher-kva.example"));
        check("127.0.0.1:8080", Ok("127.0.0.1:8080"));
    }

    #[test]
    fn addresses_have_one_spelling() {
        check("[::1]", Ok("[::1]"));
        check("[::1]:443", Ok("[::1]"));
        check("[0:0::1]:8080", Ok("[::1]:8080"));
        check("[2001:DB8::1]", Ok("[2001:db8::1]"));
        check("[::1", Err(HostError::Address));
        check("[::1]x", Err(HostError::Address));
        check("[fe80::1%25eth0]", Err(HostError::Address));
        check("[evil.com]", Err(HostError::Address));
        check("::1", Err(HostError::Port));
    }

    #[test]
    fn everything_else_is_refused() {
        check("", Err(HostError::Empty));
        check(".", Err(HostError::Empty));
        check(":443", Err(HostError::Empty));
        check("app.example.com@evil", Err(HostError::Character));
        check("user:pw@app.example.com", Err(HostError::Port));
        check("evil.com#app.example.com", Err(HostError::Character));
        check("app.example.com, evil.com", Err(HostError::Character));
        check("app.example.com,evil.com", Err(HostError::Character));
        check("app.example.com/x", Err(HostError::Character));
        check("app.example.com evil.com", Err(HostError::Character));
        check("bücher.example", Err(HostError::Character));
        check("app%2eexample.com", Err(HostError::Character));
        check("app..example.com", Err(HostError::Label));
        check(".example.com", Err(HostError::Label));
        check("app.example.com..", Err(HostError::Label));
        check(&format!("{}.com", "a".repeat(64)), Err(HostError::Label));
        check(&format!("{}com", "a.".repeat(140)), Err(HostError::TooLong));
        check("app.example.com:", Err(HostError::Port));
        check("app.example.com:0", Err(HostError::Port));
        check("app.example.com:+80", Err(HostError::Port));
        check("app.example.com:65536", Err(HostError::Port));
        check("app.example.com:80:80", Err(HostError::Port));
    }

    proptest! {
        /// Reading a canonical host again changes nothing, and nothing dangerous is left in it.
        #[test]
        fn canonical_is_a_fixed_point(value in "[a-zA-Z0-9.:@,\\[\\]_ -]{0,40}") {
            if let Ok(host) = Host::parse(value.as_bytes(), 443) {
                let text = host.to_string();
                let again = Host::parse(text.as_bytes(), 443);
                prop_assert_eq!(again.expect("canonical hosts are hosts").to_string(), text.clone());
                prop_assert!(!text.contains(['@', ',', ' ', '/']) && !host.name().ends_with('.'));
                prop_assert_eq!(text.to_ascii_lowercase(), text);
            }
        }

        #[test]
        fn no_bytes_are_too_strange(value in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Host::parse(&value, 80);
        }
    }
}
