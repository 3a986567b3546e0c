//! The digest of what a catalog means.
//!
//! It is taken over a canonical text, one fact a line, so that comments, titles, spacing and the
//! order of tables that have no order do not change it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

use super::{Addon, Feature, FeatureKind, Terms, Tier};

/// SHA-256 in hex over the canonical form.
pub(super) fn of(
    name: &str,
    tiers: &[Tier],
    features: &[Feature],
    addons: &[Addon],
    aliases: &BTreeMap<String, String>,
    terms: Terms,
) -> String {
    let mut form = String::from("entitlements-catalog-v1\n");
    // Names are quoted: none of them can pretend to be another line.
    line(&mut form, format_args!("catalog {name:?}"));
    for feature in features {
        let kind = match &feature.kind {
            FeatureKind::Switch => "switch".to_owned(),
            FeatureKind::Level(levels) => format!("level {levels:?}"),
            FeatureKind::Number(_) => "number".to_owned(),
        };
        line(&mut form, format_args!("feature {} {kind}", feature.key));
    }
    for tier in tiers {
        line(&mut form, format_args!("tier {:?}", tier.name));
        for (feature, value) in features.iter().zip(&tier.values) {
            line(&mut form, format_args!("  {}={value}", feature.key));
        }
    }
    let mut sorted: Vec<_> = addons.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for addon in sorted {
        line(&mut form, format_args!("addon {:?}", addon.name));
        for (feature, value) in features.iter().zip(&addon.values) {
            if let Some(value) = value {
                line(&mut form, format_args!("  {}={value}", feature.key));
            }
        }
    }
    for (alias, tier) in aliases {
        line(&mut form, format_args!("alias {alias:?} {tier:?}"));
    }
    line(&mut form, format_args!("grace {}", terms.grace.as_secs()));
    line(&mut form, format_args!("on_expiry {}", terms.on_expiry.as_str()));
    hex(digest(&SHA256, form.as_bytes()).as_ref())
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

fn line(form: &mut String, fact: std::fmt::Arguments<'_>) {
    writeln!(form, "{fact}").expect("writing to a string cannot fail");
}
