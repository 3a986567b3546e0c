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
        gateway: SocketAddr,
    ) -> Result<Self, ConfigError> {
        let written = document.and_then(|document| document.listen.as_ref());
        let listen = match written {
            Some(listen) => address(source, "admin.listen", listen)?,
            None => (Ipv4Addr::LOCALHOST, 4181).into(),
        };
        if listen == gateway && listen.port() != 0 {
            let message = format!(
                "`admin.listen`: `{listen}` is where the gateway listens; write another port"
            );
            return Err(source.error(&written.map_or(0..0, Spanned::span), message));
        }
        Ok(Self { listen })
    }
}
