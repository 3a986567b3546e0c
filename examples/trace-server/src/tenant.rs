//! Whose data a request may touch.
//!
//! A [`Tenant`] is made in one way only: by reading the gateway's `X-Tenant-Id`. Whoever holds
//! one may therefore ask the store, and nobody else can. The header is refused
//!
//! 1. when it is not there, or empty;
//! 2. when it is there twice, or holds a comma, which is what a proxy makes of two;
//! 3. when it is not `^[a-z0-9][a-z0-9-]{0,62}$`;
//! 4. when any header is there that some software reads as the same name (`X_Tenant_Id`,
//!    `X.Tenant.Id`): the gateway never sends one, so a client did.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use crate::problem::Reason;

/// The name of the header that the gateway sets.
pub(crate) const TENANT_HEADER: &str = "x-tenant-id";

/// A tenant, as the gateway named it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Tenant(Arc<str>);

impl Tenant {
    /// Reads the tenant from a request's headers.
    ///
    /// # Errors
    ///
    /// The reason why the headers name no tenant, see the [module's rules](self).
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, Reason> {
        if headers.keys().any(|name| is_alias(name.as_str(), TENANT_HEADER)) {
            return Err(Reason::TenantHeaderAlias);
        }
        let mut values = headers.get_all(TENANT_HEADER).iter();
        let first = values.next().ok_or(Reason::TenantHeaderMissing)?;
        if values.next().is_some() {
            return Err(Reason::TenantHeaderRepeated);
        }
        Self::parse(first.as_bytes())
    }

    /// The tenant's id.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(value: &[u8]) -> Result<Self, Reason> {
        if value.is_empty() {
            return Err(Reason::TenantHeaderEmpty);
        }
        if value.contains(&b',') {
            return Err(Reason::TenantHeaderRepeated);
        }
        let well_formed = value.len() <= 63
            && value[0] != b'-'
            && value.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        match std::str::from_utf8(value) {
            Ok(text) if well_formed => Ok(Self(text.into())),
            _ => Err(Reason::TenantHeaderIllFormed),
        }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says whether `name` is another spelling of `header` to software that folds `_` and `.` to `-`.
pub(crate) fn is_alias(name: &str, header: &str) -> bool {
    name != header
        && name.len() == header.len()
        && name.bytes().zip(header.bytes()).all(|(n, h)| match n {
            b'_' | b'.' => h == b'-',
            _ => n.eq_ignore_ascii_case(&h),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[(&str, &str)], expected: Result<&str, Reason>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        let tenant = Tenant::from_headers(&headers);
        assert_eq!(tenant.as_ref().map(Tenant::as_str).map_err(|reason| *reason), expected);
    }

    #[test]
    fn one_well_formed_value_is_a_tenant() {
        check(&[("X-Tenant-Id", "acme")], Ok("acme"));
        check(&[("x-tenant-id", "0-a")], Ok("0-a"));
        check(&[("x-tenant-id", &"a".repeat(63))], Ok(&"a".repeat(63)));
    }

    #[test]
    fn everything_else_is_refused() {
        check(&[], Err(Reason::TenantHeaderMissing));
        check(&[("x-tenant", "acme")], Err(Reason::TenantHeaderMissing));
        check(&[("x-tenant-id", "")], Err(Reason::TenantHeaderEmpty));
        check(
            &[("x-tenant-id", "acme"), ("x-tenant-id", "acme")],
            Err(Reason::TenantHeaderRepeated),
        );
        check(&[("x-tenant-id", "acme, evil")], Err(Reason::TenantHeaderRepeated));
        check(&[("x-tenant-id", "acme,")], Err(Reason::TenantHeaderRepeated));
        for bad in ["Acme", "-acme", "a b", "acme/..", "ä", "a_b", "a.b", "'a'", &"a".repeat(64)] {
            check(&[("x-tenant-id", bad)], Err(Reason::TenantHeaderIllFormed));
        }
        for alias in ["X_Tenant_Id", "X.Tenant.Id", "x-tenant_id", "x_tenant-id", "x.tenant_id"] {
            check(&[("x-tenant-id", "acme"), (alias, "evil")], Err(Reason::TenantHeaderAlias));
            check(&[(alias, "evil")], Err(Reason::TenantHeaderAlias));
        }
    }
}
