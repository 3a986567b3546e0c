//! `[admin]`: probes, metrics and recent denials; never for the public.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Source};
use super::gateway::address;

/// The section as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminDocument {
    listen: Option<Spanned<String>>,
}

/// The listener for the operator.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens; loopback unless said.
    pub listen: SocketAddr,
}

impl Admin {
    pub(super) fn check(
        source: &Source<'_>,
        document: Option<&AdminDocument>,
    ) -> Result<Self, ConfigError> {
        let listen = match document.and_then(|document| document.listen.as_ref()) {
            Some(listen) => address(source, "admin.listen", listen)?,
            None => (Ipv4Addr::LOCALHOST, 4181).into(),
        };
        Ok(Self { listen })
    }
}
