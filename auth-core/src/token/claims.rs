//! The payload (RFC 7519, section 4.1; RFC 9068, section 2.2).

use super::{
    header::{Header, Type},
    json::{Json, Object},
};
use crate::reason::{self, Reason};

/// The typed claims of an access token. Whom they are from is not known until the signature holds.
#[derive(Debug)]
pub(crate) struct Claims<'a> {
    pub(crate) issuer: &'a str,
    /// Logto names one audience; a token for several could be replayed at any of them.
    pub(crate) audience: &'a str,
    pub(crate) expires_at: u64,
    pub(crate) issued_at: u64,
    pub(crate) not_before: Option<u64>,
    object: &'a Object<'a>,
}

/// The last second of the year 9999: later times are mistakes or attacks.
const MAX_TIME: u64 = 253_402_300_799;

/// The claims that stand in ID tokens and never in access tokens.
const ID_TOKEN_CLAIMS: [&str; 4] = ["nonce", "at_hash", "c_hash", "auth_time"];

impl<'a> Claims<'a> {
    /// The claims that are looked at before the signature, to refuse early.
    pub(crate) fn parse(header: &Header, object: &'a Object<'a>) -> Result<Self, Reason> {
        token_type(header, object)?;
        let issuer = text(object, "iss")?.ok_or(reason::INVALID_CLAIMS)?;
        let audience = match object.get("aud") {
            Some(Json::String(aud)) => &**aud,
            Some(Json::Array(items)) => match items.as_slice() {
                [Json::String(aud)] => &**aud,
                [] => return Err(reason::INVALID_CLAIMS),
                many if many.iter().all(|i| i.as_str().is_some()) => {
                    return Err(reason::WRONG_AUDIENCE);
                }
                _ => return Err(reason::INVALID_CLAIMS),
            },
            _ => return Err(reason::INVALID_CLAIMS),
        };
        if object.has("cnf") {
            return Err(reason::SENDER_CONSTRAINED_TOKEN);
        }
        Ok(Self {
            issuer,
            audience,
            expires_at: time(object, "exp", false)?.ok_or(reason::INVALID_CLAIMS)?,
            issued_at: time(object, "iat", false)?.ok_or(reason::INVALID_CLAIMS)?,
            not_before: time(object, "nbf", true)?,
            object,
        })
    }

    /// `sub`, which must be there.
    pub(crate) fn subject(&self) -> Result<&'a str, Reason> {
        identifier(self.object, "sub")?.ok_or(reason::INVALID_CLAIMS)
    }

    /// `client_id`, which must be there.
    pub(crate) fn client_id(&self) -> Result<&'a str, Reason> {
        identifier(self.object, "client_id")?.ok_or(reason::INVALID_CLAIMS)
    }

    /// `organization_id`.
    pub(crate) fn organization_id(&self) -> Result<Option<&'a str>, Reason> {
        identifier(self.object, "organization_id")
    }

    /// `scope`, split at spaces (RFC 6749, section 3.3); absent and empty are alike.
    pub(crate) fn scopes(&self) -> Result<Box<[Box<str>]>, Reason> {
        let Some(scope) = text(self.object, "scope")? else { return Ok(Box::default()) };
        // NQCHAR of RFC 6749, appendix A: anything else could not stand in a header either.
        let legal = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let tokens = scope.split(' ').filter(|s| !s.is_empty());
        if !tokens.clone().all(|s| s.bytes().all(legal)) {
            return Err(reason::INVALID_CLAIMS);
        }
        Ok(tokens.map(Into::into).collect())
    }

    /// `roles`: an array of strings, as a custom-JWT script injects it.
    pub(crate) fn roles(&self) -> Result<Vec<&'a str>, Reason> {
        match self.object.get("roles") {
            None | Some(Json::Null) => Err(reason::ROLES_MISSING),
            Some(Json::Array(items)) => {
                items.iter().map(|i| i.as_str().ok_or(reason::ROLES_ILL_TYPED)).collect()
            }
            Some(_) => Err(reason::ROLES_ILL_TYPED),
        }
    }

    /// `act.sub`: the acting party of an exchanged token (RFC 8693, section 4.1).
    pub(crate) fn actor(&self) -> Result<Option<&'a str>, Reason> {
        match self.object.get("act") {
            None => Ok(None),
            Some(Json::Object(act)) => {
                identifier(act, "sub")?.map(Some).ok_or(reason::INVALID_CLAIMS)
            }
            Some(_) => Err(reason::INVALID_CLAIMS),
        }
    }
}

fn token_type(header: &Header, object: &Object<'_>) -> Result<(), Reason> {
    match header.kind {
        Type::AccessToken => Ok(()),
        Type::LogoutToken => Err(reason::LOGOUT_TOKEN),
        Type::Unsaid if object.has("events") => Err(reason::LOGOUT_TOKEN),
        // Logto's ID tokens say no `typ` and name no client beside the audience.
        Type::Unsaid
            if !object.has("client_id") || ID_TOKEN_CLAIMS.iter().any(|c| object.has(c)) =>
        {
            Err(reason::ID_TOKEN)
        }
        Type::Unsaid | Type::Other => Err(reason::WRONG_TOKEN_TYPE),
    }
}

fn text<'a>(object: &'a Object<'_>, name: &str) -> Result<Option<&'a str>, Reason> {
    object.get(name).map(|v| v.as_str().ok_or(reason::INVALID_CLAIMS)).transpose()
}

/// Whether it may stand in a header and in a log line: not empty, not long, visible ASCII.
pub(crate) fn is_identifier(id: &str) -> bool {
    (1..=256).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

fn identifier<'a>(object: &'a Object<'_>, name: &str) -> Result<Option<&'a str>, Reason> {
    match text(object, name)? {
        Some(id) if !is_identifier(id) => Err(reason::INVALID_CLAIMS),
        other => Ok(other),
    }
}

/// A NumericDate (RFC 7519, section 2). A fraction is cut in the direction that shortens the token.
fn time(object: &Object<'_>, name: &str, up: bool) -> Result<Option<u64>, Reason> {
    match object.get(name) {
        None => Ok(None),
        Some(Json::Integer(seconds)) if *seconds <= MAX_TIME => Ok(Some(*seconds)),
        #[expect(clippy::cast_precision_loss, reason = "MAX_TIME is exact in an f64")]
        Some(Json::Number(n)) if *n >= 0.0 && *n <= MAX_TIME as f64 =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the guard bounds it"
            )]
            Ok(Some(if up { n.ceil() } else { n.floor() } as u64))
        }
        Some(_) => Err(reason::INVALID_CLAIMS),
    }
}
