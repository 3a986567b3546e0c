//! An issuer that lives in the test.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use serde_json::json;

use super::{TestKey, TokenBuilder};
use crate::{
    clock::{Clock, SystemClock},
    keys::{FetchError, KeySource},
    token::Algorithm,
};

/// An issuer with real keys. Clones share them.
#[derive(Clone)]
pub struct TestIssuer {
    url: Arc<str>,
    clock: Arc<dyn Clock>,
    state: Arc<State>,
}

struct State {
    algorithm: Algorithm,
    /// The current key first, as Logto lists them.
    keys: Mutex<Vec<Arc<TestKey>>>,
    fault: Mutex<KeyFault>,
    fetches: AtomicU64,
    tokens: AtomicU64,
}

/// What goes wrong when the key set is fetched.
#[derive(Clone, Debug, Default)]
pub enum KeyFault {
    /// Nothing.
    #[default]
    None,
    /// The fetch fails.
    Fail,
    /// The fetch never ends.
    Hang,
    /// The fetch panics.
    Panic,
    /// The fetch brings this document.
    Document(Bytes),
}

/// The key source of a [`TestIssuer`].
#[derive(Clone)]
pub struct TestKeys(Arc<State>);

impl TestIssuer {
    /// An issuer with one new key.
    pub fn new(url: impl Into<Arc<str>>, algorithm: Algorithm) -> Self {
        let state = State {
            algorithm,
            keys: Mutex::new(vec![Arc::new(TestKey::generate(algorithm))]),
            fault: Mutex::default(),
            fetches: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
        };
        Self { url: url.into(), clock: Arc::new(SystemClock), state: Arc::new(state) }
    }

    /// Issues tokens by this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The `iss` of its tokens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its key set, as a source that counts and can be broken.
    pub fn keys(&self) -> TestKeys {
        TestKeys(self.state.clone())
    }

    /// Its key set, as a document.
    pub fn jwks(&self) -> String {
        self.state.document()
    }

    /// The key that signs now.
    pub fn current_key(&self) -> Arc<TestKey> {
        self.state.lock()[0].clone()
    }

    /// Signs with a new key from now on; the one before stays in the set, older ones leave it.
    pub fn rotate(&self) {
        let mut keys = self.state.lock();
        keys.insert(0, Arc::new(TestKey::generate(self.state.algorithm)));
        keys.truncate(2);
    }

    /// Signs with a new key from now on; every other key leaves the set.
    pub fn rotate_and_drop(&self) {
        self.rotate();
        self.state.lock().truncate(1);
    }

    /// An access token for this audience, to be filled in and signed.
    pub fn token(&self, audience: impl Into<String>) -> TokenBuilder {
        let number = self.state.tokens.fetch_add(1, Ordering::Relaxed);
        TokenBuilder::new(self.current_key(), &self.url, &audience.into(), self.now(), number)
    }

    fn now(&self) -> u64 {
        self.clock.now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs())
    }
}

impl TestKeys {
    /// How many fetches were begun.
    pub fn fetches(&self) -> u64 {
        self.0.fetches.load(Ordering::SeqCst)
    }

    /// From now on fetches go wrong in this way.
    pub fn fault(&self, fault: KeyFault) {
        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl State {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<TestKey>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn document(&self) -> String {
        let keys: Vec<_> = self.lock().iter().map(|k| k.jwk().clone()).collect();
        json!({ "keys": keys }).to_string()
    }
}

impl KeySource for TestKeys {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + '_>> {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        let fault = self.0.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            // A real fetch gives other tasks time to pile up.
            tokio::task::yield_now().await;
            match fault {
                KeyFault::None => Ok(self.0.document().into()),
                KeyFault::Fail => Err(FetchError::new("connection refused (test)")),
                KeyFault::Hang => std::future::pending().await,
                KeyFault::Panic => panic!("a key source panicked (test)"),
                KeyFault::Document(bytes) => Ok(bytes),
            }
        })
    }
}
