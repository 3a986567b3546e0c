//! What a route asks for.

use std::fmt;

use entitlements::{Catalog, Need, UnknownFeature};

/// How much must be known about the caller.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Access {
    /// A caller whose tenant is active and has a license that is active or in grace.
    #[default]
    Tenant,
    /// Any caller with a valid token. A tenant that the token names must still be admitted.
    Authenticated,
    /// Anybody; credentials are not looked at.
    Public,
}

impl Access {
    /// `tenant`, `authenticated` or `public`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Authenticated => "authenticated",
            Self::Public => "public",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What must hold for a request to pass: access, all scopes, any of the roles, all features.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Requirement {
    access: Access,
    scopes: Vec<String>,
    roles: Vec<String>,
    features: Vec<Need>,
}

impl Requirement {
    /// A tenant in good standing.
    pub fn tenant() -> Self {
        Self::default()
    }

    /// A valid token.
    pub fn authenticated() -> Self {
        Self { access: Access::Authenticated, ..Self::default() }
    }

    /// Nothing.
    pub fn public() -> Self {
        Self { access: Access::Public, ..Self::default() }
    }

    /// And all of these scopes. What asks for some is not public any more.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self.asking()
    }

    /// And any of these (mapped) roles. What asks for some is not public any more.
    #[must_use]
    pub fn roles<S: Into<String>>(mut self, roles: impl IntoIterator<Item = S>) -> Self {
        self.roles.extend(roles.into_iter().map(Into::into));
        self.asking()
    }

    /// And all of these features: `name`, or `name=level` for at least that level. What asks for
    /// some is not public any more.
    ///
    /// # Errors
    ///
    /// [`UnknownFeature`] for a feature or a level that the catalog does not have.
    pub fn features<S: AsRef<str>>(
        mut self,
        catalog: &Catalog,
        features: impl IntoIterator<Item = S>,
    ) -> Result<Self, UnknownFeature> {
        for feature in features {
            self.features.push(catalog.need(feature.as_ref())?);
        }
        Ok(self.asking())
    }

    /// Fails closed: a requirement that nobody would look at is a mistake of whoever wrote it.
    fn asking(mut self) -> Self {
        let asks = !(self.scopes.is_empty() && self.roles.is_empty() && self.features.is_empty());
        if asks && self.access == Access::Public {
            self.access = Access::Authenticated;
        }
        self
    }

    /// How much must be known about the caller.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The scopes that are asked for.
    pub fn asked_scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The roles of which one is asked for.
    pub fn asked_roles(&self) -> &[String] {
        &self.roles
    }

    /// The features that are asked for.
    pub fn asked_features(&self) -> &[Need] {
        &self.features
    }
}
