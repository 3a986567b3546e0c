//! The trace server over real HTTP, on a port of its own in each test.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test where it went wrong")]

mod connections;
mod features;
mod headers;
mod ingest;
mod isolation;
mod malformed;
mod paging;
mod program;
mod sdk;
mod stream;
mod support;
