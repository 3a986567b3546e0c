//! The shipped Traefik files say what the sidecar's constant says.

use std::collections::BTreeSet;

use tiergate::proxy::IDENTITY_HEADERS;

use crate::harness::{IDENTITY_HEADERS as SPELLED_OUT, Variant, shipped};

/// The entries below the line `key`, up to the first line that is indented no deeper.
fn below<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| line.trim() != key);
    let depth = indent(lines.next().unwrap_or_else(|| panic!("no line `{key}`")));
    lines
        .take_while(|line| line.trim().is_empty() || indent(line) > depth)
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    names.into_iter().collect()
}

#[test]
fn the_constant_is_the_list_that_the_design_names() {
    assert_eq!(set(IDENTITY_HEADERS), set(SPELLED_OUT));
}

#[test]
fn every_variant_takes_exactly_the_identity_headers_from_the_sidecar() {
    for variant in Variant::ALL {
        let text = shipped(variant.file());
        let listed = below(&text, "authResponseHeaders:").into_iter().map(|line| {
            line.strip_prefix("- ").unwrap_or_else(|| panic!("`{line}` is not an entry"))
        });
        assert_eq!(set(listed), set(IDENTITY_HEADERS), "{}", variant.file());
    }
}

#[test]
fn every_variant_scrubs_the_identity_headers_and_what_is_decided_about() {
    for variant in Variant::ALL {
        let text = shipped(variant.file());
        let scrubbed = below(&text, "customRequestHeaders:").into_iter().map(|line| {
            line.strip_suffix(": \"\"").unwrap_or_else(|| panic!("`{line}` does not delete"))
        });
        let mut expected = set(IDENTITY_HEADERS);
        expected.extend(["X-Forwarded-Uri", "X-Forwarded-Method"]);
        assert_eq!(set(scrubbed), expected, "{}", variant.file());
    }
}

#[test]
fn the_entry_point_refuses_what_two_servers_might_read_differently() {
    let text = shipped("traefik.yml");
    for line in below(&text, "encodedCharacters:") {
        assert!(line.ends_with(": false"), "`{line}`");
    }
    assert_eq!(below(&text, "encodedCharacters:").len(), 7);
    assert_eq!(below(&text, "middlewares:"), ["- scrub@file"]);
    assert!(text.contains("aliasHeadersStrategy: delete"));
    assert!(text.contains("insecure: false"));
    assert!(!text.contains("connection:"), "it would remove what the sidecar has set");
}
