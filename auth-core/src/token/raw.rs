//! The compact serialization (RFC 7515, section 7.1).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::reason::{self, Reason};

/// The three parts of a compact JWS, still encoded.
#[derive(Clone, Copy)]
pub(crate) struct RawToken<'a> {
    pub(crate) header: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) signature: &'a str,
    /// What was signed: header, dot, payload.
    pub(crate) signing_input: &'a str,
}

impl<'a> RawToken<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Reason> {
        let dots = token.bytes().filter(|b| *b == b'.').take(5).count();
        match dots {
            2 => {}
            0 if token.starts_with("pat_") => return Err(reason::PERSONAL_ACCESS_TOKEN),
            0 => return Err(reason::OPAQUE_TOKEN),
            4 if is_jwe(token) => return Err(reason::ENCRYPTED_TOKEN),
            _ => return Err(reason::MALFORMED_TOKEN),
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(reason::MALFORMED_TOKEN)?;
        let (header, payload) = signing_input.split_once('.').ok_or(reason::MALFORMED_TOKEN)?;
        if header.is_empty() || payload.is_empty() {
            return Err(reason::MALFORMED_TOKEN);
        }
        Ok(Self { header, payload, signature, signing_input })
    }
}

/// Five parts of which the first is a header that names a content encryption (RFC 7516, 4.1.2).
fn is_jwe(token: &str) -> bool {
    let header = token.split('.').next().and_then(|h| decode(h).ok());
    header.is_some_and(|h| super::json::Object::parse(&h).is_ok_and(|o| o.has("enc")))
}

/// Canonical base64url: no padding, no foreign characters, no set bits past the end.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| reason::MALFORMED_TOKEN)
}
