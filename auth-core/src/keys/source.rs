//! Where a key set is fetched from.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;

use super::KeySet;

/// Fetches an issuer's JWK Set document (RFC 7517, section 5).
///
/// An implementation bounds its own size; time, single flight and cool-down are the caller's.
pub trait KeySource: Send + Sync + 'static {
    /// The document as it is now.
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + '_>>;
}

/// Why a document could not be fetched. It never holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(Arc<str>);

impl FetchError {
    /// An error with a message in lower case, without a full stop.
    pub fn new(message: impl AsRef<str>) -> Self {
        Self(message.as_ref().into())
    }
}

/// Why there are no keys.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The document could not be fetched.
    #[error("the key set of issuer `{issuer}` cannot be fetched: {source}")]
    Fetch {
        /// The issuer's configured name.
        issuer: Arc<str>,
        /// What went wrong.
        source: FetchError,
    },
    /// The document is not a JWK Set.
    #[error("the key set of issuer `{issuer}` is not a JWK Set: {message}")]
    Malformed {
        /// The issuer's configured name.
        issuer: Arc<str>,
        /// What is wrong with it.
        message: Arc<str>,
    },
    /// The set holds no usable key.
    #[error("the key set of issuer `{issuer}` holds no usable key: {rejected}")]
    NoUsableKey {
        /// The issuer's configured name.
        issuer: Arc<str>,
        /// Why each key was refused.
        rejected: Arc<str>,
    },
    /// No fetch has succeeded yet, or the last one lies too far back.
    #[error("issuer `{issuer}` has no key set that is fresh enough")]
    Unavailable {
        /// The issuer's configured name.
        issuer: Arc<str>,
    },
}

/// A key set that never changes: from a file, or for tests.
#[derive(Clone, Debug)]
pub struct StaticKeys(Bytes);

impl StaticKeys {
    /// Keys from a JWK Set document.
    ///
    /// # Errors
    ///
    /// [`KeyError::Malformed`] or [`KeyError::NoUsableKey`].
    pub fn from_json(document: impl Into<Bytes>) -> Result<Self, KeyError> {
        let document = document.into();
        KeySet::parse("static", &document)?;
        Ok(Self(document))
    }
}

impl KeySource for StaticKeys {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + '_>> {
        let document = self.0.clone();
        Box::pin(async move { Ok(document) })
    }
}

impl<T: KeySource> KeySource for Arc<T> {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + '_>> {
        T::fetch(self)
    }
}
