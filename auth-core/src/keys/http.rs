//! Keys over HTTP: discovery (OpenID Connect Discovery 1.0, section 4) or a direct URL.

use std::{pin::Pin, sync::Mutex, time::Duration};

use bytes::{Bytes, BytesMut};
use url::Url;

use super::{FetchError, KeySet, KeySource};
use crate::token::json::Object;

/// The HTTP client for discovery and key sets: bounded in size and time, follows no redirect,
/// asks no proxy of the environment.
#[derive(Clone, Debug)]
pub struct HttpClient(reqwest::Client);

/// A key set or a discovery document is a few KiB; Logto's are under 4.
const MAX_BODY: usize = 512 * 1024;

impl HttpClient {
    /// A client that trusts the system's certificate authorities and those of `extra_ca_pem`.
    ///
    /// # Errors
    ///
    /// A message, if `extra_ca_pem` holds no certificate or TLS cannot be set up.
    pub fn new(extra_ca_pem: Option<&[u8]>) -> Result<Self, FetchError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one home of the HTTP client")]
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("auth-core/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = extra_ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| {
                FetchError::new(format!("the CA file cannot be read: {}", chain(&e)))
            })?;
            if certificates.is_empty() {
                return Err(FetchError::new("the CA file holds no certificate"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map(Self).map_err(|e| FetchError::new(chain(&e)))
    }

    async fn get(&self, url: &Url) -> Result<Bytes, FetchError> {
        let fail = |what: String| FetchError::new(format!("GET {url}: {what}"));
        let request = self.0.get(url.clone()).header("accept", "application/json");
        let mut response = request.send().await.map_err(|e| fail(chain(&e)))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(fail(format!("answered {}", response.status())));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| fail(chain(&e)))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(fail(format!("the body is over {MAX_BODY} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// The error and its causes; reqwest's own message alone hides why.
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { error.to_string() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Fetches an issuer's key set.
#[derive(Debug)]
pub struct HttpKeys {
    client: HttpClient,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Direct(Url),
    Discovery { issuer: String, document: Url, found: Mutex<Option<Found>> },
}

/// Where the keys were found, and how often that was relied on since.
#[derive(Clone, Debug)]
struct Found {
    url: Url,
    uses: u8,
}

/// An address is looked up again after so many fetches, once an hour at the usual pace: one that
/// moved may go on to answer with old keys.
const USES: u8 = 6;

impl HttpKeys {
    /// Keys from this address, whatever the issuer is called.
    ///
    /// # Errors
    ///
    /// A message, if it is not an `http` or `https` URL.
    pub fn direct(jwks_url: &str, client: HttpClient) -> Result<Self, FetchError> {
        Ok(Self { client, place: Place::Direct(parse(jwks_url)?) })
    }

    /// Keys from the `jwks_uri` of the issuer's discovery document. The document must name the
    /// issuer to the letter, and its `jwks_uri` must have the issuer's origin: an issuer whose keys
    /// lie elsewhere is configured with [`Self::direct`].
    ///
    /// # Errors
    ///
    /// A message, if the issuer is not an `http` or `https` URL without query and fragment.
    pub fn discovery(issuer: &str, client: HttpClient) -> Result<Self, FetchError> {
        // OpenID Connect Discovery 1.0, section 3. What follows a `?` or `#` would swallow the path.
        let url = parse(issuer)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(FetchError::new(format!(
                "issuer `{issuer}` must have no query or fragment"
            )));
        }
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let document = parse(&format!("{base}/.well-known/openid-configuration"))?;
        let (issuer, found) = (issuer.to_owned(), Mutex::new(None));
        Ok(Self { client, place: Place::Discovery { issuer, document, found } })
    }

    async fn get(&self) -> Result<Bytes, FetchError> {
        let (issuer, document, found) = match &self.place {
            Place::Direct(url) => return self.client.get(url).await,
            Place::Discovery { issuer, document, found } => (issuer, document, found),
        };
        let slot = || found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = slot().clone();
        let place = match known {
            Some(Found { url, uses }) if uses < USES => Found { url, uses: uses + 1 },
            known => match (self.discover(issuer, document).await, known) {
                (Ok(url), _) => Found { url, uses: 0 },
                // The keys may be there although the document is not.
                (Err(_), Some(known)) => known,
                (Err(error), None) => return Err(error),
            },
        };
        let keys = self.client.get(&place.url).await;
        // An address that answers without usable keys may have moved: the next fetch looks it up.
        let usable = keys.as_ref().is_ok_and(|keys| KeySet::parse(issuer, keys).is_ok());
        *slot() = usable.then_some(place);
        keys
    }

    async fn discover(&self, issuer: &str, document: &Url) -> Result<Url, FetchError> {
        jwks_uri(&self.client.get(document).await?, issuer, document)
    }
}

fn jwks_uri(text: &[u8], issuer: &str, document: &Url) -> Result<Url, FetchError> {
    let fail = |what: String| FetchError::new(format!("{document}: {what}"));
    let object = Object::parse(text).map_err(|e| fail(format!("not a discovery document: {e}")))?;
    match object.get("issuer").and_then(|v| v.as_str()) {
        Some(named) if named == issuer => {}
        named => {
            let named = named.unwrap_or("none");
            return Err(fail(format!("it names the issuer `{named}`, configured is `{issuer}`")));
        }
    }
    let uri = object.get("jwks_uri").and_then(|v| v.as_str());
    let url = parse(uri.ok_or_else(|| fail("it has no `jwks_uri`".to_owned()))?)?;
    if url.origin() != document.origin() {
        let what = format!("its `jwks_uri` {url} has another origin; set `keys_from` to allow it");
        return Err(fail(what));
    }
    Ok(url)
}

fn parse(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).map_err(|e| FetchError::new(format!("`{text}` is no URL: {e}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        // Not shown: a password may stand in it.
        return Err(FetchError::new("the URL must not hold a user or a password"));
    }
    if !matches!(url.scheme(), "https" | "http") {
        return Err(FetchError::new(format!("`{text}` must be an http or https URL")));
    }
    Ok(url)
}

impl KeySource for HttpKeys {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + '_>> {
        Box::pin(self.get())
    }
}
