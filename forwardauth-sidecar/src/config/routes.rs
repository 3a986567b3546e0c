//! `[routes."host"]`: what each route asks for, checked against catalog and issuers.

use std::collections::{BTreeMap, BTreeSet};

use auth_core::gate::Requirement;
use entitlements::{Catalog, FeatureKind};
use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Source, nearest};
use super::issuer::Permissions;
use crate::route::{HostPattern, HostPatternError, Line, Route, Routes};

/// Every table as it is written.
pub(super) type RoutesDocument =
    BTreeMap<Spanned<String>, Spanned<BTreeMap<Spanned<String>, Spanned<RouteDocument>>>>;

/// The right side of one route as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteDocument {
    access: Option<Spanned<String>>,
    #[serde(default)]
    scopes: Vec<Spanned<String>>,
    #[serde(default)]
    roles: Vec<Spanned<String>>,
    #[serde(default)]
    features: Vec<Spanned<String>>,
    #[serde(default)]
    preflight: bool,
}

/// What the routes are checked against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) catalog: &'a Catalog,
    pub(super) permissions: &'a Permissions,
}

impl Against<'_> {
    /// Reads every table.
    pub(super) fn routes(
        &self,
        document: &RoutesDocument,
    ) -> Result<Routes<Requirement>, ConfigError> {
        let mut routes = Routes::default();
        for (key, table) in document {
            let host = HostPattern::parse(key.get_ref()).map_err(|error| {
                let key_text = key.get_ref();
                let message = match error {
                    HostPatternError::Port { .. } => format!("`routes`: `{key_text}`: {error}"),
                    HostPatternError::Host(_) if key_text.contains("://") => format!(
                        "`routes`: `{key_text}` is a url, but a table is for a host; leave out the \
                         scheme, the port and the path"
                    ),
                    HostPatternError::Host(error) => format!(
                        "`routes`: `{key_text}` is no host, because {error}; write a name such as \
                         `app.example.com` (`xn--` for other scripts), or `*` for every other host"
                    ),
                };
                self.source.error(&key.span(), message)
            })?;
            for (line, rule) in table.get_ref() {
                let fail = |error: String| self.error(line, &error);
                let parsed =
                    Line::parse(line.get_ref()).map_err(|error| fail(error.to_string()))?;
                let requirement = self.requirement(line, rule)?;
                let route = Route::new(&host, parsed, rule.get_ref().preflight, requirement);
                routes.add(&host, route).map_err(|tie| fail(format!("{tie}; remove one")))?;
            }
        }
        if routes.iter().len() == 0 {
            let message = "there is no route, so every request would be refused; add one under \
                           `[routes.\"app.example.com\"]` or `[routes.\"*\"]`";
            return Err(self.source.error(&(0..0), message));
        }
        Ok(routes)
    }

    fn error(&self, line: &Spanned<String>, message: &str) -> ConfigError {
        self.source.error(&line.span(), format!("route `{}`: {message}", line.get_ref()))
    }

    fn requirement(
        &self,
        line: &Spanned<String>,
        rule: &Spanned<RouteDocument>,
    ) -> Result<Requirement, ConfigError> {
        let rule = rule.get_ref();
        let fail = |at: &Spanned<String>, message: String| {
            let message = format!("route `{}`: {message}", line.get_ref());
            Err(self.source.error(&at.span(), message))
        };
        for list in [&rule.scopes, &rule.roles, &rule.features] {
            let mut seen = BTreeSet::new();
            if let Some(twice) = list.iter().find(|word| !seen.insert(word.get_ref())) {
                return fail(twice, format!("`{}` stands twice", twice.get_ref()));
            }
        }
        let access = rule.access.as_ref().map_or("tenant", |access| access.get_ref().as_str());
        let requirement = match access {
            "tenant" => Requirement::tenant(),
            "authenticated" => {
                if let Some(feature) = rule.features.first() {
                    let message =
                        "features belong to a tenant; leave out `access`, or the features";
                    return fail(feature, message.to_owned());
                }
                Requirement::authenticated()
            }
            "public" => {
                let asked =
                    [&rule.scopes, &rule.roles, &rule.features].into_iter().flatten().next();
                if let Some(asked) = asked {
                    let message = "a public route looks at no credential, so it can ask for \
                                   nothing; leave out `access`, or what it asks for";
                    return fail(asked, message.to_owned());
                }
                Requirement::public()
            }
            other => {
                let known = ["tenant", "authenticated", "public"];
                let near = nearest(other, known).map_or_else(
                    || "write `tenant`, `authenticated` or `public`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("unknown access `{other}`; {near}");
                let at = rule.access.as_ref().unwrap_or(line);
                return fail(at, message);
            }
        };
        self.check_permissions(line, rule)?;
        let mut asked = requirement
            .scopes(rule.scopes.iter().map(|scope| scope.get_ref().as_str()))
            .roles(rule.roles.iter().map(|role| role.get_ref().as_str()));
        for feature in &rule.features {
            asked = match asked.features(self.catalog, [feature.get_ref()]) {
                Ok(asked) => asked,
                Err(error) => return fail(feature, error.to_string()),
            };
        }
        Ok(asked)
    }

    /// Refuses what no token could ever bring.
    fn check_permissions(
        &self,
        line: &Spanned<String>,
        rule: &RouteDocument,
    ) -> Result<(), ConfigError> {
        let fail = |at: &Spanned<String>, message: String| {
            let message = format!("route `{}`: {message}", line.get_ref());
            Err(self.source.error(&at.span(), message))
        };
        if let (Some(_), Some(role)) = (rule.scopes.first(), rule.roles.first()) {
            let message = "a token has either scopes or roles, so no caller could have both; make \
                           two routes, or two hosts";
            return fail(role, message.to_owned());
        }
        for scope in &rule.scopes {
            let text = scope.get_ref();
            let token = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
            if text.is_empty() || !text.bytes().all(token) {
                return fail(scope, format!("`{text}` cannot be a scope"));
            }
            if !self.permissions.scopes {
                let message = "no issuer accepts tokens with scopes; add an `[[issuer.accept]]` \
                               with `path = \"organization\"`";
                return fail(scope, message.to_owned());
            }
        }
        for role in &rule.roles {
            if !self.permissions.roles.contains(role.get_ref()) {
                let known: Vec<_> = self.permissions.roles.iter().map(String::as_str).collect();
                let remedy = if known.is_empty() {
                    "add an `[[issuer.accept]]` with `path = \"roles\"`".to_owned()
                } else {
                    format!("the roles are `{}`", known.join("`, `"))
                };
                let message = format!("no issuer gives the role `{}`; {remedy}", role.get_ref());
                return fail(role, message);
            }
        }
        Ok(())
    }
}

/// A warning for each feature of the catalog that no route asks for.
///
/// Numbers are left out: they are limits, which the upstream reads from its header.
pub(super) fn unasked(catalog: &Catalog, routes: &Routes<Requirement>) -> Vec<String> {
    let asked: BTreeSet<_> = routes
        .iter()
        .flat_map(|route| route.requirement().asked_features())
        .map(|need| need.feature().as_str())
        .collect();
    catalog
        .features()
        .iter()
        .filter(|feature| !matches!(feature.kind(), FeatureKind::Number(_)))
        .map(|feature| feature.key().as_str())
        .filter(|key| !asked.contains(key))
        .map(|key| {
            format!("no route asks for the feature `{key}`, so the gateway does not enforce it")
        })
        .collect()
}
