//! The suite of the token verifier: what it refuses, what it accepts, what it does when keys fail.

mod rejects;
mod support;
