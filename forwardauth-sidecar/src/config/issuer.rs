//! `[[issuer]]`: whose tokens are taken, for which audience, by which path.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use auth_core::keys::{FetchError, HttpClient, HttpKeys};
use auth_core::{Accept, Algorithm, IssuerPolicy};
use entitlements::TenantId;
use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Source, nearest};
use crate::proxy::host::Host;

/// One issuer as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerDocument {
    name: Option<Spanned<String>>,
    url: Option<Spanned<String>>,
    keys_from: Option<Spanned<String>>,
    ca_file: Option<Spanned<PathBuf>>,
    algorithms: Option<Spanned<Vec<Spanned<String>>>>,
    required: Option<bool>,
    #[serde(default)]
    accept: Vec<Spanned<AcceptDocument>>,
}

/// One audience as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptDocument {
    path: Option<Spanned<String>>,
    audience: Option<Spanned<String>>,
    organization_tokens: Option<Spanned<OrganizationTokensDocument>>,
    roles: Option<Spanned<BTreeMap<String, String>>>,
    single_tenant: Option<Spanned<SingleTenantDocument>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationTokensDocument {
    client_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SingleTenantDocument {
    tenant: Spanned<String>,
    #[serde(default)]
    client_ids: Vec<String>,
}

/// An issuer whose tokens are taken.
#[derive(Clone, Debug)]
pub struct Issuer {
    policy: IssuerPolicy,
    keys_from: Option<String>,
    ca: Option<Vec<u8>>,
    /// Whether the gateway is ready only once the keys of this issuer have been loaded.
    pub required: bool,
    pub(super) span: std::ops::Range<usize>,
}

/// What the accept blocks of every issuer can give to a caller.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    /// Whether some block takes scopes.
    pub(super) scopes: bool,
    /// The roles that some block maps to.
    pub(super) roles: BTreeSet<String>,
}

impl Issuer {
    /// Which tokens are taken.
    pub fn policy(&self) -> &IssuerPolicy {
        &self.policy
    }

    /// Where the keys come from: discovery, or the address in `keys_from`.
    ///
    /// # Errors
    ///
    /// A message, if the certificate authority or the address cannot be used.
    pub fn keys(&self) -> Result<HttpKeys, FetchError> {
        let client = HttpClient::new(self.ca.as_deref())?;
        match &self.keys_from {
            Some(url) => HttpKeys::direct(url, client),
            None => HttpKeys::discovery(self.policy.url(), client),
        }
    }

    pub(super) fn check(
        source: &Source<'_>,
        section: &Spanned<IssuerDocument>,
        permissions: &mut Permissions,
    ) -> Result<Self, ConfigError> {
        let (document, span) = (section.get_ref(), section.span());
        let missing = |key: &str, remedy: &str| {
            source.error(&span, format!("`issuer.{key}` is missing; {remedy}"))
        };
        let Some(name) = &document.name else {
            return Err(missing("name", "give the name that stands in logs and metrics"));
        };
        check_name(source, name)?;
        let Some(url) = &document.url else {
            return Err(missing("url", "write it exactly as in the `iss` of its tokens"));
        };
        let plain = match &document.keys_from {
            // Then the issuer's own address is compared with `iss`, and nobody asks it.
            Some(keys_from) => {
                check_url(source, "issuer.keys_from", keys_from, Plain::Allowed)?;
                Plain::Allowed
            }
            None => Plain::OnLoopback,
        };
        check_url(source, "issuer.url", url, plain)?;
        if let Some((issuer, _)) = url.get_ref().split_once("/.well-known/") {
            return Err(source.error(
                &url.span(),
                format!(
                    "`issuer.url` is the address of a document; write the issuer itself, as in the \
                     `iss` of its tokens: `{issuer}`"
                ),
            ));
        }
        if document.accept.is_empty() {
            return Err(missing("accept", "add an `[[issuer.accept]]` with `path` and `audience`"));
        }
        let mut policy = IssuerPolicy::new(name.get_ref().as_str(), url.get_ref().as_str());
        if let Some(algorithms) = &document.algorithms {
            policy = policy.algorithms(check_algorithms(source, algorithms)?);
        }
        for block in &document.accept {
            policy = policy.accept(check_accept(source, block, permissions)?);
        }
        let ca = document.ca_file.as_ref().map(|file| read_ca(source, file)).transpose()?;
        let issuer = Self {
            policy,
            keys_from: document.keys_from.as_ref().map(|url| url.get_ref().clone()),
            ca,
            required: document.required.unwrap_or(true),
            span: span.clone(),
        };
        issuer.keys().map_err(|error| source.error(&span, format!("`issuer`: {error}")))?;
        Ok(issuer)
    }
}

/// Whether a URL may be plain `http`.
#[derive(Clone, Copy, PartialEq)]
enum Plain {
    Allowed,
    OnLoopback,
}

fn check_name(source: &Source<'_>, name: &Spanned<String>) -> Result<(), ConfigError> {
    let text = name.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
        return Err(source.error(
            &name.span(),
            format!("`issuer.name`: `{text}` must be made of letters, digits, `-`, `_` and `.`"),
        ));
    }
    Ok(())
}

fn check_url(
    source: &Source<'_>,
    key: &str,
    url: &Spanned<String>,
    plain: Plain,
) -> Result<(), ConfigError> {
    let text = url.get_ref();
    let fail = |message: String| Err(source.error(&url.span(), format!("`{key}`: {message}")));
    let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => {
            return fail(format!("`{text}` is no url; it begins with `https://`"));
        }
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Ok(host) = Host::parse(authority.as_bytes(), 0) else {
        return fail(format!("`{text}` has no host that could be asked"));
    };
    if text.contains(['?', '#', ' ']) {
        return fail(format!("`{text}` has a query, a fragment or a space; leave them out"));
    }
    if !secure && plain == Plain::OnLoopback && !is_loopback(host.name()) {
        return fail(format!(
            "`{text}` is not encrypted, so anybody on the way could sign in as anybody; write \
             `https://` (plain `http://` only works on loopback), or name in `keys_from` where the \
             keys come from"
        ));
    }
    Ok(())
}

fn is_loopback(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name.ends_with(".localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn check_algorithms(
    source: &Source<'_>,
    names: &Spanned<Vec<Spanned<String>>>,
) -> Result<Vec<Algorithm>, ConfigError> {
    if names.get_ref().is_empty() {
        return Err(source.error(
            &names.span(),
            "`issuer.algorithms` is empty, so no token could pass; leave it out to let each key \
             say its own",
        ));
    }
    let one = |name: &Spanned<String>| {
        Algorithm::parse(name.get_ref()).ok_or_else(|| {
            let known: Vec<_> = Algorithm::ALL.iter().map(|known| known.as_str()).collect();
            source.error(
                &name.span(),
                format!(
                    "`issuer.algorithms`: unknown algorithm `{}`; write one of `{}`",
                    name.get_ref(),
                    known.join("`, `")
                ),
            )
        })
    };
    names.get_ref().iter().map(one).collect()
}

fn check_accept(
    source: &Source<'_>,
    block: &Spanned<AcceptDocument>,
    permissions: &mut Permissions,
) -> Result<Accept, ConfigError> {
    let document = block.get_ref();
    let fail = |span: &std::ops::Range<usize>, message: String| {
        Err(source.error(span, format!("`issuer.accept`: {message}")))
    };
    let Some(audience) = &document.audience else {
        return fail(&block.span(), "`audience` is missing; write the api's indicator".to_owned());
    };
    let Some(path) = &document.path else {
        let message = "`path` is missing; write `organization` or `roles`";
        return fail(&block.span(), message.to_owned());
    };
    match path.get_ref().as_str() {
        "organization" => {
            if let Some(span) = document
                .roles
                .as_ref()
                .map(Spanned::span)
                .or_else(|| document.single_tenant.as_ref().map(Spanned::span))
            {
                let message = "`roles` and `single_tenant` belong to `path = \"roles\"`; on the \
                               organization path permissions are scopes";
                return fail(&span, message.to_owned());
            }
            permissions.scopes = true;
            let accept = Accept::organization(audience.get_ref().as_str());
            let Some(tokens) = &document.organization_tokens else {
                return Ok(accept);
            };
            let clients = &tokens.get_ref().client_ids;
            if clients.is_empty() {
                let message = "`organization_tokens` needs `client_ids`, because such a token is \
                               bound to no api";
                return fail(&tokens.span(), message.to_owned());
            }
            Ok(accept.organization_tokens(clients.iter().map(String::as_str)))
        }
        "roles" => {
            if let Some(tokens) = &document.organization_tokens {
                let message = "`organization_tokens` belongs to `path = \"organization\"`";
                return fail(&tokens.span(), message.to_owned());
            }
            let Some(roles) = document.roles.as_ref().filter(|map| !map.get_ref().is_empty())
            else {
                let message = "`roles` is missing; map the token's roles to the routes', as in \
                               `{ \"server:viewer\" = \"viewer\" }`";
                return fail(&block.span(), message.to_owned());
            };
            permissions.roles.extend(roles.get_ref().values().cloned());
            let map = roles.get_ref().iter().map(|(from, to)| (from.as_str(), to.as_str()));
            let accept = Accept::roles(audience.get_ref().as_str(), map);
            let Some(single) = &document.single_tenant else {
                return Ok(accept);
            };
            let SingleTenantDocument { tenant, client_ids } = single.get_ref();
            if let Err(error) = tenant.get_ref().parse::<TenantId>() {
                return fail(&tenant.span(), format!("`single_tenant.tenant`: {error}"));
            }
            if client_ids.is_empty() {
                let message = "`single_tenant` needs `client_ids`, because every token without an \
                               organization would get this tenant's data";
                return fail(&single.span(), message.to_owned());
            }
            let clients = client_ids.iter().map(String::as_str);
            Ok(accept.single_tenant(tenant.get_ref().as_str(), clients))
        }
        other => {
            let near = nearest(other, ["organization", "roles"]).map_or_else(
                || "write `organization` or `roles`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            fail(&path.span(), format!("unknown path `{other}`; {near}"))
        }
    }
}

fn read_ca(source: &Source<'_>, file: &Spanned<PathBuf>) -> Result<Vec<u8>, ConfigError> {
    let path = super::beside(source.path, Path::new(file.get_ref()));
    std::fs::read(&path).map_err(|error| {
        source.error(
            &file.span(),
            format!("`issuer.ca_file`: `{}` cannot be read: {error}", path.display()),
        )
    })
}
