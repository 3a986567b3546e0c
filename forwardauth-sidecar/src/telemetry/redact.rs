//! The one way in which a person appears in logs.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

/// Sixteen hexadecimal digits that are the same for the same subject of the same issuer, so that
/// lines can be joined without naming anybody.
pub fn subject(issuer: &str, subject: &str) -> String {
    // The length keeps `("a", "bc")` and `("ab", "c")` apart.
    let text = format!("{}:{issuer}{subject}", issuer.len());
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(8).fold(
        String::with_capacity(16),
        |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_told_apart_and_not_told() {
        let hash = subject("https://id.example.com", "alice");
        assert_eq!(hash.len(), 16);
        assert_eq!(hash, subject("https://id.example.com", "alice"));
        assert_ne!(hash, subject("https://id.example.com", "bob"));
        assert_ne!(hash, subject("https://id.example.coma", "lice"));
        assert!(!hash.contains("alice"));
    }
}
