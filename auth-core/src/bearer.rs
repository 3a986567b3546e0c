//! The bearer credential of a request (RFC 6750, section 2.1; RFC 9110, section 11.6.2).

use http::{HeaderMap, header::AUTHORIZATION};

use crate::reason::{self, Reason};

/// The token of the one `Authorization` header, or `None` where there is no such header.
///
/// Tokens in the query or the body are never looked at (RFC 6750, sections 2.2 and 2.3).
/// The scheme is compared without regard to case; one or more spaces separate it from the token.
///
/// # Errors
///
/// [`reason::MALFORMED_AUTHORIZATION`] for more than one header, another scheme, an empty token,
/// and bytes that `token68` (RFC 9110, section 11.2) does not allow.
pub fn credential(headers: &HeaderMap) -> Result<Option<&str>, Reason> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(reason::MALFORMED_AUTHORIZATION);
    }
    parse(value.as_bytes()).map(Some).ok_or(reason::MALFORMED_AUTHORIZATION)
}

/// Whether a byte may stand in a `token68` before its padding. Every request passes its whole token
/// through here: without branches the compiler looks at many bytes at once.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch for each byte costs more than the checks"
)]
const fn is_token68(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    let hyphen_dot_or_slash = byte.wrapping_sub(b'-') < 3;
    letter | digit | hyphen_dot_or_slash | (byte == b'_') | (byte == b'~') | (byte == b'+')
}

fn parse(value: &[u8]) -> Option<&str> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") || rest.first() != Some(&b' ') {
        return None;
    }
    let token = rest.trim_ascii();
    let data = token.iter().rposition(|b| *b != b'=').map_or(&token[..0], |end| &token[..=end]);
    // Spaces between scheme and token only: a tab, a comma or a second token is not token68.
    if data.is_empty()
        || !data.iter().fold(true, |legal, byte| legal & is_token68(*byte))
        || rest[..rest.len() - token.len()].contains(&b'\t')
    {
        return None;
    }
    std::str::from_utf8(token).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for v in values {
            headers.append(AUTHORIZATION, v.parse().expect("a header value"));
        }
        credential(&headers).map(|t| t.map(str::to_owned)).map_err(|r| r.code())
    }

    #[test]
    fn every_byte_is_as_rfc_9110_says() {
        for byte in 0..=u8::MAX {
            let legal = byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
            assert_eq!(is_token68(byte), legal, "{byte:#x}");
        }
    }

    #[test]
    fn accepted() {
        assert_eq!(of(&[]), Ok(None));
        for v in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "Bearer  a.b.c", "Bearer a.b.c "]
        {
            assert_eq!(of(&[v]), Ok(Some("a.b.c".to_owned())), "{v}");
        }
    }

    #[test]
    fn refused() {
        for v in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer\ta.b.c",
            "Bearer \ta.b.c",
            "Bearer a.b.c,",
            "Bearer a, Bearer b",
            "Bearer a b",
            "Basic dTpw",
            "DPoP a.b.c",
            "Token a.b.c",
            "Bearera.b.c",
            "Bearer a.b.c;x",
            "Bearer \"a\"",
            "Bearer ==",
            "Bear",
        ] {
            assert_eq!(of(&[v]), Err("malformed_authorization"), "{v:?}");
        }
        assert_eq!(of(&["Bearer a", "Bearer a"]), Err("malformed_authorization"));
    }
}
