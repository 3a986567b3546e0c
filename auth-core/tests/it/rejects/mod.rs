//! Every token that must not pass, one row each, with the reason it must be given.

mod algorithms;
mod claims;
mod header;
mod issuers;
mod paths;
mod structure;
mod time;
