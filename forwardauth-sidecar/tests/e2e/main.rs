//! End to end: the real Traefik with the shipped files, tokens from an OpenID provider that shares no
//! code with this repository, the built `tiergate` and `trace-server`, and raw sockets where a client
//! library would tidy up.
//!
//! They need components that plain `cargo test` does not have, so they are ignored there by name;
//! `cargo xtask test` brings the components and runs them.

#![forbid(unsafe_code)]

#[cfg(test)]
mod harness;
#[cfg(test)]
mod life;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod shipped;
#[cfg(test)]
mod spoof;
