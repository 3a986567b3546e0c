//! The suite of the token verifier: what it refuses, what it accepts, what it does when keys fail.

mod accepts;
mod concurrency;
mod gate;
#[cfg(feature = "http-keys")]
mod http_keys;
mod key_sets;
mod keys;
mod logto;
mod properties;
mod rejects;
mod seed;
mod support;
