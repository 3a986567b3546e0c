//! The claim rules: which block of the policy a token fits, and whom it names.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::policy::{Accept, AcceptKind, IssuerPolicy, ORGANIZATION_URN};
use crate::{
    identity::{Identity, Kind, Parts, Path, at},
    reason::{self, Reason},
    token::{Claims, is_identifier},
};

/// The block that the audience picks, before the signature is looked at. Claims other than the
/// audience never select a path.
pub(crate) fn block<'p>(
    policy: &'p IssuerPolicy,
    claims: &Claims<'_>,
) -> Result<&'p Accept, Reason> {
    let aud = claims.audience;
    if let Some(block) = policy.accept.iter().find(|b| &*b.audience == aud) {
        return Ok(block);
    }
    if is_management_api(aud) {
        return Err(reason::ADMIN_TENANT_TOKEN);
    }
    if !aud.starts_with(ORGANIZATION_URN) {
        return Err(reason::WRONG_AUDIENCE);
    }
    let clients = |b: &'p Accept| match &b.kind {
        AcceptKind::Organization { organization_token_clients } => {
            organization_token_clients.as_slice()
        }
        AcceptKind::Roles { .. } => &[],
    };
    if policy.accept.iter().all(|b| clients(b).is_empty()) {
        return Err(reason::WRONG_AUDIENCE);
    }
    let client = claims.client_id()?;
    let accepting = policy.accept.iter().find(|b| clients(b).iter().any(|c| &**c == client));
    accepting.ok_or(reason::CLIENT_NOT_ACCEPTED)
}

/// Logto's Management API of any tenant: `https://default.logto.app/api` and its like.
pub(crate) fn is_management_api(audience: &str) -> bool {
    audience
        .strip_prefix("https://")
        .and_then(|rest| rest.split('/').next())
        .is_some_and(|host| host.ends_with(".logto.app"))
}

/// The identity of a token whose signature holds.
pub(crate) fn identity(
    policy: &IssuerPolicy,
    block: &Accept,
    claims: &Claims<'_>,
) -> Result<Identity, Reason> {
    let subject = claims.subject()?;
    let client_id = claims.client_id()?;
    let organization = organization(claims)?;
    let (mut scopes, mut roles, mut single_tenant) = (Box::default(), Box::default(), None);
    match &block.kind {
        AcceptKind::Organization { .. } => scopes = claims.scopes()?,
        AcceptKind::Roles { map, single_tenant: single } => {
            let mut mapped: Vec<Arc<str>> = Vec::new();
            for role in claims.roles()? {
                if let Some(role) = map.get(role).filter(|r| !mapped.contains(r)) {
                    mapped.push(role.clone());
                }
            }
            roles = mapped.into_boxed_slice();
            if let (None, Some(single)) = (organization, single) {
                if !single.clients.iter().any(|c| &**c == client_id) {
                    return Err(reason::CLIENT_NOT_ACCEPTED);
                }
                single_tenant = Some(single.tenant.clone());
            }
        }
    }
    Ok(Identity::new(Parts {
        issuer_name: policy.name.clone(),
        issuer: policy.url.clone(),
        audience: claims.audience.into(),
        subject: subject.into(),
        client_id: client_id.into(),
        kind: if subject == client_id { Kind::Machine } else { Kind::User },
        path: match block.kind {
            AcceptKind::Organization { .. } => Path::Organization,
            AcceptKind::Roles { .. } => Path::Roles,
        },
        organization: organization.map(Into::into),
        single_tenant,
        scopes,
        roles,
        actor: claims.actor()?.map(Into::into),
        issued_at: claims.issued_at,
        not_before: claims.not_before,
        expires_at: claims.expires_at,
    }))
}

/// The organization: `organization_id` on an API audience, else the organization audience itself.
fn organization<'a>(claims: &Claims<'a>) -> Result<Option<&'a str>, Reason> {
    match (claims.organization_id()?, claims.audience.strip_prefix(ORGANIZATION_URN)) {
        (Some(_), Some(_)) => Err(reason::CONFLICTING_ORGANIZATIONS),
        (None, Some(id)) if is_identifier(id) => Ok(Some(id)),
        (None, Some(_)) => Err(reason::INVALID_CLAIMS),
        (claim, None) => Ok(claim),
    }
}

/// Whether the token is valid at `now`: the same rule for a cold and a cached token.
pub(crate) fn in_time(
    issued_at: u64,
    not_before: Option<u64>,
    expires_at: u64,
    now: SystemTime,
    leeway: Duration,
) -> Result<(), Reason> {
    // A sum beyond what the clock can show lies after every time that a token can name.
    if at(expires_at).checked_add(leeway).is_some_and(|end| now >= end) {
        return Err(reason::TOKEN_EXPIRED);
    }
    let latest_start = now.checked_add(leeway);
    let ahead = |seconds: u64| latest_start.is_some_and(|latest| at(seconds) > latest);
    if not_before.is_some_and(ahead) {
        return Err(reason::TOKEN_NOT_YET_VALID);
    }
    if ahead(issued_at) {
        return Err(reason::ISSUED_IN_FUTURE);
    }
    Ok(())
}
