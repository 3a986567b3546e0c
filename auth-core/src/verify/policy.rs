//! Whose tokens are accepted, for which audiences, on which path.

use std::{collections::HashMap, sync::Arc};

use crate::{identity::Path, token::Algorithm};

/// An issuer and the audiences that it may name.
#[derive(Clone, Debug)]
pub struct IssuerPolicy {
    pub(crate) name: Arc<str>,
    pub(crate) url: Arc<str>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) accept: Vec<Accept>,
}

/// What one audience means.
#[derive(Clone, Debug)]
pub struct Accept {
    pub(crate) audience: Arc<str>,
    pub(crate) kind: AcceptKind,
}

#[derive(Clone, Debug)]
pub(crate) enum AcceptKind {
    Organization { organization_token_clients: Vec<Arc<str>> },
    Roles { map: HashMap<Box<str>, Arc<str>>, single_tenant: Option<SingleTenant> },
}

#[derive(Clone, Debug)]
pub(crate) struct SingleTenant {
    pub(crate) tenant: Arc<str>,
    pub(crate) clients: Vec<Arc<str>>,
}

/// Why policies do not fit together. Each stops the start.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// There is no issuer.
    #[error("no issuer is configured; add at least one")]
    NoIssuer,
    /// An issuer accepts nothing.
    #[error("issuer `{issuer}` accepts no audience; add an `accept` block")]
    NothingAccepted {
        /// The issuer's name.
        issuer: String,
    },
    /// Two issuers have the same name or the same URL.
    #[error("issuer `{value}` stands twice; names and URLs must be unique")]
    DuplicateIssuer {
        /// The name or the URL.
        value: String,
    },
    /// Two blocks of one issuer could take the same token.
    #[error("issuer `{issuer}` accepts `{value}` in two blocks; a token must fit one at most")]
    Overlap {
        /// The issuer's name.
        issuer: String,
        /// The audience or the client id.
        value: String,
    },
    /// A value is empty or of the wrong form.
    #[error("issuer `{issuer}`: `{field}` {problem}")]
    Invalid {
        /// The issuer's name.
        issuer: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// The prefix of an organization token's audience.
pub(crate) const ORGANIZATION_URN: &str = "urn:logto:organization:";

impl IssuerPolicy {
    /// An issuer. `name` stands in logs and metrics, `url` is `iss` to the letter.
    pub fn new(name: impl Into<Arc<str>>, url: impl Into<Arc<str>>) -> Self {
        let (name, url) = (name.into(), url.into());
        Self { name, url, algorithms: Algorithm::ALL.to_vec(), accept: Vec::new() }
    }

    /// Accepts only these signature algorithms, of those that each key can verify.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Accepts one more audience.
    #[must_use]
    pub fn accept(mut self, accept: Accept) -> Self {
        self.accept.push(accept);
        self
    }

    /// The issuer's configured name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The issuer's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The audiences that are accepted, in the order in which they were named.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.accept.iter().map(|accept| &*accept.audience)
    }

    fn check(&self) -> Result<(), PolicyError> {
        let issuer = || self.name.as_ref().to_owned();
        let invalid = |field, problem| PolicyError::Invalid { issuer: issuer(), field, problem };
        if self.name.is_empty() {
            return Err(invalid("name", "is empty"));
        }
        if self.url.is_empty() {
            return Err(invalid("url", "is empty"));
        }
        if self.algorithms.is_empty() {
            return Err(invalid("algorithms", "is empty; leave it out to accept all"));
        }
        if self.accept.is_empty() {
            return Err(PolicyError::NothingAccepted { issuer: issuer() });
        }
        let overlap =
            |value: &str| PolicyError::Overlap { issuer: issuer(), value: value.to_owned() };
        let mut clients: Vec<&str> = Vec::new();
        for (i, block) in self.accept.iter().enumerate() {
            if block.audience.is_empty() {
                return Err(invalid("audience", "is empty"));
            }
            if block.audience.starts_with(ORGANIZATION_URN) {
                let problem =
                    "is an organization; use `organization_tokens` to accept organization tokens";
                return Err(invalid("audience", problem));
            }
            if self.accept[..i].iter().any(|other| other.audience == block.audience) {
                return Err(overlap(&block.audience));
            }
            match &block.kind {
                AcceptKind::Organization { organization_token_clients } => {
                    for client in organization_token_clients {
                        if client.is_empty() {
                            return Err(invalid(
                                "organization_tokens.client_ids",
                                "has an empty id",
                            ));
                        }
                        if clients.contains(&&**client) {
                            return Err(overlap(client));
                        }
                        clients.push(client);
                    }
                }
                AcceptKind::Roles { map, single_tenant } => {
                    if map.is_empty() {
                        return Err(invalid("roles", "is empty; map at least one role"));
                    }
                    if map.iter().any(|(from, to)| from.is_empty() || to.is_empty()) {
                        return Err(invalid("roles", "has an empty name"));
                    }
                    if let Some(single) = single_tenant
                        && (single.clients.is_empty()
                            || single.clients.iter().any(|c| c.is_empty()))
                    {
                        let problem = "needs at least one client id, none of them empty";
                        return Err(invalid("single_tenant.client_ids", problem));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Accept {
    /// The organization path: permissions are scopes, the tenant is the token's organization.
    pub fn organization(audience: impl Into<Arc<str>>) -> Self {
        let kind = AcceptKind::Organization { organization_token_clients: Vec::new() };
        Self { audience: audience.into(), kind }
    }

    /// The roles path: permissions are the token's `roles`, mapped; others are dropped.
    pub fn roles<F: Into<Box<str>>, T: Into<Arc<str>>>(
        audience: impl Into<Arc<str>>,
        map: impl IntoIterator<Item = (F, T)>,
    ) -> Self {
        let map = map.into_iter().map(|(from, to)| (from.into(), to.into())).collect();
        let kind = AcceptKind::Roles { map, single_tenant: None };
        Self { audience: audience.into(), kind }
    }

    /// Also accepts organization tokens (`aud = urn:logto:organization:<id>`) of these clients.
    /// Such a token is bound to no API, so each client that may use it here is named.
    /// It changes nothing on the roles path.
    #[must_use]
    pub fn organization_tokens<C: Into<Arc<str>>>(
        mut self,
        clients: impl IntoIterator<Item = C>,
    ) -> Self {
        if let AcceptKind::Organization { organization_token_clients } = &mut self.kind {
            organization_token_clients.extend(clients.into_iter().map(Into::into));
        }
        self
    }

    /// Binds tokens of these clients that name no organization to one tenant: for installations
    /// that have only one. It changes nothing on the organization path.
    #[must_use]
    pub fn single_tenant<C: Into<Arc<str>>>(
        mut self,
        tenant: impl Into<Arc<str>>,
        clients: impl IntoIterator<Item = C>,
    ) -> Self {
        if let AcceptKind::Roles { single_tenant, .. } = &mut self.kind {
            let clients = clients.into_iter().map(Into::into).collect();
            *single_tenant = Some(SingleTenant { tenant: tenant.into(), clients });
        }
        self
    }

    /// The audience.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The path of its tokens.
    pub fn path(&self) -> Path {
        match self.kind {
            AcceptKind::Organization { .. } => Path::Organization,
            AcceptKind::Roles { .. } => Path::Roles,
        }
    }
}

/// Checks that no token could fit two policies.
pub(crate) fn check(policies: &[&IssuerPolicy]) -> Result<(), PolicyError> {
    if policies.is_empty() {
        return Err(PolicyError::NoIssuer);
    }
    for (i, policy) in policies.iter().enumerate() {
        policy.check()?;
        for other in &policies[..i] {
            for (a, b) in [(&policy.name, &other.name), (&policy.url, &other.url)] {
                if a == b {
                    return Err(PolicyError::DuplicateIssuer { value: a.as_ref().to_owned() });
                }
            }
        }
    }
    Ok(())
}
