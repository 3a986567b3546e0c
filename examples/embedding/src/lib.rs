//! The crates inside a service of one's own.
//!
//! [`setup`] is what every embedder writes once: a verifier and an entitlement service.
//! [`with_axum`] and [`with_hyper`] put them around a service; nothing else is needed, no sidecar and
//! no proxy. Each is under 40 lines of code together with [`setup`].

pub mod setup;
pub mod with_axum;
pub mod with_hyper;
