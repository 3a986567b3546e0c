//! `[gateway.tls]`: certificate and key, read and tried when the configuration is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Source};

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsDocument {
    certificate: Option<Spanned<PathBuf>>,
    key_file: Option<Spanned<PathBuf>>,
}

/// A certificate and its key, ready to be served with HTTP/2 and HTTP/1.1.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    certificate: PathBuf,
}

impl Tls {
    /// Reads both files and checks that they belong together.
    ///
    /// # Errors
    ///
    /// A message that names the file.
    pub fn load(certificate: &Path, key_file: &Path) -> Result<Self, String> {
        let name = |path: &Path, what| format!("{what} `{}`", path.display());
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("{}: {error}", name(certificate, "certificate")))?;
        if chain.is_empty() {
            return Err(format!("{} holds no certificate", name(certificate, "file")));
        }
        // The error of the key's parser is not shown, because it could quote the file.
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|_| {
            format!("{} cannot be read, or holds no private key in pem", name(key_file, "file"))
        })?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| {
                format!(
                    "certificate `{}` and key `{}` cannot be used together: {error}",
                    certificate.display(),
                    key_file.display()
                )
            })?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { server: Arc::new(server), certificate: certificate.to_owned() })
    }

    pub(super) fn check(
        source: &Source<'_>,
        section: &Spanned<TlsDocument>,
    ) -> Result<Self, ConfigError> {
        let file = |value: &Option<Spanned<PathBuf>>, key: &str| match value {
            Some(path) => Ok(super::beside(source.path, path.get_ref())),
            None => Err(source.error(&section.span(), format!("`gateway.tls.{key}` is missing"))),
        };
        let document = section.get_ref();
        let certificate = file(&document.certificate, "certificate")?;
        let key_file = file(&document.key_file, "key_file")?;
        Self::load(&certificate, &key_file)
            .map_err(|message| source.error(&section.span(), format!("`gateway.tls`: {message}")))
    }

    /// What a TLS acceptor needs.
    pub fn server(&self) -> &Arc<ServerConfig> {
        &self.server
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
