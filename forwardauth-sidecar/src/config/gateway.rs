//! `[gateway]`: what the proxy asks.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Source, nearest};
use super::tls::{Tls, TlsDocument};
use super::unit::duration;
use crate::proxy::Profile;

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewayDocument {
    listen: Option<Spanned<String>>,
    proxy: Option<Spanned<String>>,
    trusted_proxies: Option<Spanned<Vec<Spanned<String>>>>,
    tls: Option<Spanned<TlsDocument>>,
    deadline: Option<Spanned<String>>,
    drain_wait: Option<Spanned<String>>,
    drain_timeout: Option<Spanned<String>>,
}

/// The listener that the proxy asks.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Which proxy asks.
    pub proxy: Profile,
    /// Whom it believes; everybody else is refused.
    pub trusted_proxies: Vec<IpNet>,
    /// Its certificate and key; without them it speaks plain HTTP/1.1.
    pub tls: Option<Tls>,
    /// After which time a question is answered with 503.
    pub deadline: Duration,
    /// How long it goes on accepting after readiness was withdrawn.
    pub drain_wait: Duration,
    /// How long open connections may take to finish after that.
    pub drain_timeout: Duration,
}

impl Gateway {
    pub(super) fn check(
        source: &Source<'_>,
        section: Option<&Spanned<GatewayDocument>>,
    ) -> Result<Self, ConfigError> {
        let Some(section) = section else {
            return Err(source.error(
                &(0..0),
                "the section `[gateway]` is missing; it needs `listen`, `proxy` and \
                 `trusted_proxies`",
            ));
        };
        let (document, span) = (section.get_ref(), section.span());
        let Some(trusted) = &document.trusted_proxies else {
            return Err(source.error(
                &span,
                "`gateway.trusted_proxies` is missing; name the addresses of your proxy, as in \
                 `[\"127.0.0.1/32\"]`, because whoever may ask can say what the client asked for",
            ));
        };
        let Some(listen) = &document.listen else {
            return Err(source.error(
                &span,
                "`gateway.listen` is missing; write an address and port, as in \
                 `\"127.0.0.1:4180\"`",
            ));
        };
        let Some(proxy) = &document.proxy else {
            return Err(source.error(&span, format!("`gateway.proxy` is missing; {}", profiles())));
        };
        let time = |key: &str, value: &Option<Spanned<String>>, standard, most| match value {
            Some(value) => {
                let key = format!("gateway.{key}");
                let least = if key.ends_with("deadline") { SECOND } else { Duration::ZERO };
                duration(source, &key, value, least, most)
            }
            None => Ok(standard),
        };
        Ok(Self {
            listen: address(source, "gateway.listen", listen)?,
            proxy: profile(source, proxy)?,
            trusted_proxies: networks(source, trusted)?,
            tls: document.tls.as_ref().map(|tls| Tls::check(source, tls)).transpose()?,
            // Traefik gives up after 30 s, and calls that 500.
            deadline: time("deadline", &document.deadline, 2 * SECOND, 25 * SECOND)?,
            drain_wait: time("drain_wait", &document.drain_wait, 5 * SECOND, 600 * SECOND)?,
            drain_timeout: time("drain_timeout", &document.drain_timeout, 30 * SECOND, {
                3600 * SECOND
            })?,
        })
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Reads an address and port.
pub(super) fn address(
    source: &Source<'_>,
    key: &str,
    value: &Spanned<String>,
) -> Result<SocketAddr, ConfigError> {
    value.get_ref().parse().map_err(|_| {
        source.error(
            &value.span(),
            format!(
                "`{key}`: `{}` is not an address and port; write it as `127.0.0.1:4180` or \
                 `[::]:4180`",
                value.get_ref()
            ),
        )
    })
}

fn profiles() -> String {
    let names: Vec<_> = Profile::ALL.iter().map(|profile| profile.name()).collect();
    format!("write one of `{}`", names.join("`, `"))
}

fn profile(source: &Source<'_>, value: &Spanned<String>) -> Result<Profile, ConfigError> {
    let name = value.get_ref();
    Profile::ALL.into_iter().find(|profile| profile.name() == name).ok_or_else(|| {
        let near = nearest(name, Profile::ALL.map(Profile::name))
            .map_or_else(profiles, |near| format!("did you mean `{near}`?"));
        source.error(&value.span(), format!("`gateway.proxy`: unknown proxy `{name}`; {near}"))
    })
}

fn networks(
    source: &Source<'_>,
    value: &Spanned<Vec<Spanned<String>>>,
) -> Result<Vec<IpNet>, ConfigError> {
    if value.get_ref().is_empty() {
        return Err(source.error(
            &value.span(),
            "`gateway.trusted_proxies` is empty, so nobody could ask; name the addresses of your \
             proxy, as in `[\"127.0.0.1/32\"]`",
        ));
    }
    let network = |entry: &Spanned<String>| {
        let text = entry.get_ref();
        let parsed: Option<IpNet> =
            text.parse().ok().or_else(|| text.parse().ok().map(|ip: std::net::IpAddr| ip.into()));
        let fail = |message: String| {
            source.error(&entry.span(), format!("`gateway.trusted_proxies`: {message}"))
        };
        let network = parsed.ok_or_else(|| {
            fail(format!("`{text}` is not a network; write it as `10.0.0.0/8` or `10.0.0.5`"))
        })?;
        if network.prefix_len() == 0 {
            return Err(fail(format!(
                "`{text}` trusts everybody; name the networks that your proxy is in"
            )));
        }
        if network.addr() != network.network() {
            return Err(fail(format!(
                "`{text}` has bits behind its prefix; write `{}`",
                network.trunc()
            )));
        }
        Ok(network)
    };
    value.get_ref().iter().map(network).collect()
}
