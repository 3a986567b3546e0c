//! Ready, draining, or neither yet.

use std::sync::atomic::{AtomicBool, Ordering};

use auth_core::gate::Gate;

/// Whether the gateway can be asked.
///
/// It is ready once the store (or a snapshot of it) and the keys of each required issuer have been
/// loaded once. After that only draining makes it unready: when the store or an identity provider
/// goes down, other replicas fare no better, and what is at hand goes on.
#[derive(Debug, Default)]
pub struct State {
    loaded: AtomicBool,
    draining: AtomicBool,
}

impl State {
    /// Whether `/readyz` says yes.
    pub fn is_ready(&self) -> bool {
        self.loaded.load(Ordering::Relaxed) && !self.is_draining()
    }

    /// Whether the gateway is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Withdraws readiness, for good.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// What is still missing; nothing, once it was nothing.
    pub fn missing(&self, gate: &Gate, required: &[impl AsRef<str>]) -> Vec<String> {
        if self.loaded.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut missing = Vec::new();
        if !gate.entitlements().ready() {
            missing.push("the store has not been read yet".to_owned());
        }
        for issuer in gate.verifier().key_status() {
            let is_required = required.iter().any(|name| name.as_ref() == &*issuer.issuer);
            if is_required && issuer.fetched_at.is_none() {
                let why =
                    issuer.last_error.map(|error| format!("; the last fetch failed: {error}"));
                missing.push(format!(
                    "the keys of `{}` have not been loaded yet{}",
                    issuer.issuer,
                    why.unwrap_or_default()
                ));
            }
        }
        if missing.is_empty() {
            self.loaded.store(true, Ordering::Relaxed);
        }
        missing
    }
}
