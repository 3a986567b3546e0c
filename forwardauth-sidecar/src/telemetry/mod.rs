//! What the operator sees: metrics, logs, and the recent denials.
//!
//! Labels are closed sets: route names, reasons and issuers of the configuration. A token, a
//! cookie or a secret is never handed to this module, and a subject only as a hash.

pub mod log;
pub mod metrics;
pub mod recent;
pub mod redact;
