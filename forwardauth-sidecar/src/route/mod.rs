//! Host, path and method select one route, or none.
//!
//! 1. The host selects a table: its own, else `"*"`. A table that knows the host is the only one that
//!    is asked. The port takes no part: the client chooses what stands there, and proxies route
//!    without it.
//! 2. The path selects a template: segment by segment from the left, literal text comes before
//!    `{parameter}`, and that before `{*rest}`. The order in the file makes no difference. Two
//!    routes with one shape and one method are a tie, which stops the start.
//! 3. The method selects a route among those with that template. `HEAD` follows `GET`. There is no
//!    way back: when the most specific template does not name the method, the answer is no.
//!
//! Upper and lower case are different paths, and `/admin/` is not `/admin`. Because many upstreams
//! take the latter two for one, `/admin/` is not allowed to fall to a wider route such as
//! `/{*rest}` when `/admin` has a route of its own.

mod line;
mod table;
mod template;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use auth_core::Reason;
use http::Method;
use thiserror::Error;

pub use self::line::{Line, LineError};
use self::table::Tree;
pub use self::template::{Template, TemplateError};
use crate::proxy::ForwardedRequest;
use crate::proxy::host::{Host, HostError};
use crate::reason;

/// Which hosts a table of routes is for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum HostPattern {
    /// `"*"`: every host that has no table of its own.
    Any,
    /// A host, on every port: name or address, as [`Host::name`] gives it.
    Named(Box<str>),
}

impl HostPattern {
    /// Reads the key of a table of routes.
    ///
    /// # Errors
    ///
    /// Refuses what cannot be a host, and a port; wildcards within a name are not known.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        // Port 0 does not exist, so no port is taken for the default.
        let host = Host::parse(text.as_bytes(), 0)?;
        match host.port() {
            None => Ok(Self::Named(host.name().into())),
            Some(_) => Err(HostPatternError::Port { name: host.name().into() }),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// Why the key of a table of routes was refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum HostPatternError {
    /// It is no host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// It names a port.
    #[error("it names a port, which the client could choose to meet other rules; write `{name}`")]
    Port {
        /// The host without it.
        name: Box<str>,
    },
}

/// A route with what it asks for.
#[derive(Clone, Debug)]
pub struct Route<R> {
    index: usize,
    name: Arc<str>,
    methods: Box<[Method]>,
    template: Template,
    preflight: bool,
    requirement: R,
}

impl<R> Route<R> {
    /// A route; the requirement is whatever the caller decides by.
    pub fn new(host: &HostPattern, line: Line, preflight: bool, requirement: R) -> Self {
        let methods: Vec<_> = line.methods.iter().map(Method::as_str).collect();
        let name = format!("{host} {} {}", methods.join(","), line.template).into();
        let (methods, template) = (line.methods.into(), line.template);
        Self { index: 0, name, methods, template, preflight, requirement }
    }

    /// Host, methods and template, as in `traces.example.com GET /api/v1/status`: the metric label.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its place among the routes that it was added to, in the order of [`Routes::iter`].
    pub fn index(&self) -> usize {
        self.index
    }

    /// What a request must bring to pass.
    pub fn requirement(&self) -> &R {
        &self.requirement
    }

    fn names(&self, method: &Method) -> bool {
        self.methods.contains(method)
    }
}

/// Two routes that would take the same requests.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{first}` and `{second}` match the same requests with method `{method}`")]
pub struct Tie {
    /// The one that was there.
    pub first: Arc<str>,
    /// The one that was added.
    pub second: Arc<str>,
    /// A method that both name.
    pub method: Method,
}

/// What a request selects.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a, R> {
    /// A route whose requirement must be met.
    Route(&'a Arc<Route<R>>),
    /// A CORS preflight for a route that answers them; it carries no credential and needs none.
    Preflight(&'a Arc<Route<R>>),
}

/// Why a request selects nothing.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NoRoute {
    /// No table is for this host, and there is none for every host.
    #[error("no table of routes is for this host")]
    Host,
    /// No template matches.
    #[error("the host has routes, and none matches this path")]
    Path,
    /// A template matches, but not with this method.
    #[error("the route of this path does not name this method")]
    Method,
}

impl NoRoute {
    /// The reason under which this refusal is answered, counted and logged.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Host | Self::Path => reason::NO_ROUTE,
            Self::Method => reason::METHOD_NOT_ROUTED,
        }
    }
}

/// Every route of a gateway.
#[derive(Debug)]
pub struct Routes<R> {
    all: Vec<Arc<Route<R>>>,
    hosts: HashMap<Box<str>, Tree<Vec<usize>>>,
    any: Option<Tree<Vec<usize>>>,
}

impl<R> Default for Routes<R> {
    fn default() -> Self {
        Self { all: Vec::new(), hosts: HashMap::new(), any: None }
    }
}

impl<R> Routes<R> {
    /// Adds a route to the table of a host.
    ///
    /// # Errors
    ///
    /// Refuses a route that would take requests which another one takes already.
    pub fn add(&mut self, host: &HostPattern, mut route: Route<R>) -> Result<(), Tie> {
        let table = match host {
            HostPattern::Any => self.any.get_or_insert_default(),
            HostPattern::Named(name) => self.hosts.entry(name.clone()).or_default(),
        };
        let leaf = table.leaf_mut(route.template.segments());
        for &other in leaf.iter() {
            let other = &self.all[other];
            if let Some(method) = route.methods.iter().find(|method| other.names(method)) {
                return Err(Tie {
                    first: other.name.clone(),
                    second: route.name.clone(),
                    method: method.clone(),
                });
            }
        }
        route.index = self.all.len();
        leaf.push(route.index);
        self.all.push(Arc::new(route));
        Ok(())
    }

    /// Every route, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Route<R>>> {
        self.all.iter()
    }

    /// Selects the route of a request; see the [module](self).
    ///
    /// # Errors
    ///
    /// Says whether the host, the path or only the method is unknown.
    pub fn select(&self, request: &ForwardedRequest<'_>) -> Result<Selection<'_, R>, NoRoute> {
        let table = self.table(&request.host).ok_or(NoRoute::Host)?;
        let leaf = self.find(table, request.path.as_str()).ok_or(NoRoute::Path)?;
        if let Some(route) = self.with_method(leaf, &request.method) {
            return Ok(Selection::Route(route));
        }
        let asked = request.preflight.as_ref();
        match asked.and_then(|method| self.with_method(leaf, method)) {
            Some(route) if route.preflight => Ok(Selection::Preflight(route)),
            _ => Err(NoRoute::Method),
        }
    }

    fn table(&self, host: &Host<'_>) -> Option<&Tree<Vec<usize>>> {
        self.hosts.get(host.name()).or(self.any.as_ref())
    }

    fn find<'a>(&self, table: &'a Tree<Vec<usize>>, path: &str) -> Option<&'a [usize]> {
        let leaf = table.find(path)?;
        if let Some(bare) = path.strip_suffix('/').filter(|bare| !bare.is_empty())
            && let Some(other) = table.find(bare)
        {
            // INVARIANT: a leaf is never empty, and all its routes have one shape.
            let [found, bare] = [leaf, other].map(|leaf| &self.all[leaf[0]].template);
            let slash_is_named = found.as_str().ends_with('/');
            if !slash_is_named && !found.is_same_shape(bare) && !found.extends(bare) {
                return None;
            }
        }
        Some(leaf)
    }

    fn with_method(&self, leaf: &[usize], method: &Method) -> Option<&Arc<Route<R>>> {
        let named = |method: &Method| {
            leaf.iter().map(|index| &self.all[*index]).find(|route| route.names(method))
        };
        named(method).or_else(|| if method == Method::HEAD { named(&Method::GET) } else { None })
    }
}

#[cfg(test)]
mod tests;
