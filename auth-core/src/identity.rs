//! Who is calling: what a verified access token says.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A verified caller. Cheap to clone.
///
/// An `Identity` exists only after every rule of the verifier held; nothing later checks the
/// token again, except that [`crate::Verifier`] judges its times on each use.
#[derive(Clone, Eq, PartialEq)]
pub struct Identity(Arc<Parts>);

/// Whether a person or a machine calls.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A user, through an application.
    User,
    /// An application on its own behalf: `sub` equals `client_id` (RFC 9068, section 2.2).
    Machine,
}

impl Kind {
    /// `user` or `machine`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Machine => "machine",
        }
    }
}

/// Which of the two ways the caller's permissions come.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Path {
    /// Permissions are scopes; the tenant is the token's organization.
    Organization,
    /// Permissions are the `roles` that a custom-JWT script put into the token.
    Roles,
}

impl Path {
    /// `organization` or `roles`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Roles => "roles",
        }
    }
}

#[derive(Eq, PartialEq)]
pub(crate) struct Parts {
    pub(crate) issuer_name: Arc<str>,
    pub(crate) issuer: Arc<str>,
    pub(crate) audience: Box<str>,
    pub(crate) subject: Box<str>,
    pub(crate) client_id: Box<str>,
    pub(crate) kind: Kind,
    pub(crate) path: Path,
    pub(crate) organization: Option<Box<str>>,
    pub(crate) single_tenant: Option<Arc<str>>,
    pub(crate) scopes: Box<[Box<str>]>,
    pub(crate) roles: Box<[Arc<str>]>,
    pub(crate) actor: Option<Box<str>>,
    /// Seconds since 1970, as the token says them.
    pub(crate) issued_at: u64,
    pub(crate) not_before: Option<u64>,
    pub(crate) expires_at: u64,
}

impl Identity {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The issuer's configured name, safe as a metric label.
    pub fn issuer_name(&self) -> &str {
        &self.0.issuer_name
    }

    /// The `iss` claim.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The `aud` claim.
    pub fn audience(&self) -> &str {
        &self.0.audience
    }

    /// The `sub` claim: a user id, or the client id of a machine.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The `client_id` claim: the application that the token was issued to.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// User or machine.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Organization or roles path.
    pub fn path(&self) -> Path {
        self.0.path
    }

    /// The token's organization, from `organization_id` or from an organization audience.
    pub fn organization(&self) -> Option<&str> {
        self.0.organization.as_deref()
    }

    /// The tenant that the configuration binds this client to when the token names no organization.
    pub fn single_tenant(&self) -> Option<&str> {
        self.0.single_tenant.as_deref()
    }

    /// The granted scopes, in the token's order; empty on the roles path.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.scopes.iter().map(|s| &**s)
    }

    /// Whether the scope was granted; an exact comparison (RFC 6749, section 3.3).
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scopes.iter().any(|s| **s == *scope)
    }

    /// The roles, mapped by the configuration; empty on the organization path.
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.roles.iter().map(|r| &**r)
    }

    /// Whether the caller has the (mapped) role.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.roles.iter().any(|r| **r == *role)
    }

    /// The `sub` of the `act` claim (RFC 8693, section 4.1): who acts in the subject's name.
    pub fn actor(&self) -> Option<&str> {
        self.0.actor.as_deref()
    }

    /// When the token was issued.
    pub fn issued_at(&self) -> SystemTime {
        at(self.0.issued_at)
    }

    /// When the token expires, without leeway.
    pub fn expires_at(&self) -> SystemTime {
        at(self.0.expires_at)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }
}

/// Seconds since 1970 as a time; the claim parser bounds them to the year 9999.
pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Scopes, roles and the subject are personal data: logs name only what finds the caller.
        f.debug_struct("Identity")
            .field("issuer", &self.0.issuer_name)
            .field("kind", &self.0.kind)
            .field("client_id", &self.0.client_id)
            .field("organization", &self.0.organization)
            .finish_non_exhaustive()
    }
}
