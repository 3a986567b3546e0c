//! What every store does: one suite, run against each back end.
