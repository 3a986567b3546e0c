//! The suite of the token verifier: what it refuses, what it accepts, what it does when keys fail.

mod accepts;
mod gate;
mod key_sets;
mod keys;
mod logto;
mod rejects;
mod support;
