//! What the tenant has paid for, as the gateway says in `X-Tenant-Features`.
//!
//! The header is an RFC 9651 dictionary of the features above their lowest value, such as
//! `payload_lineage="limited", topology_graph, retention_days=30`. The gateway has already
//! refused what the plan does not hold; this is the second lock on the same door. Whatever is
//! not understood opens nothing: no header, two headers, an ill-formed one and one beside an
//! alias (`X_Tenant_Features`) all name no feature.

use std::collections::BTreeMap;

use http::HeaderMap;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::tenant::is_alias;

/// The name of the header that the gateway sets.
pub(crate) const FEATURES_HEADER: &str = "x-tenant-features";

/// The features that a request's header names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Features(BTreeMap<String, Level>);

/// How much of a payload a tenant may see.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Payload {
    /// Names and sizes.
    Sizes,
    /// Names, sizes and values.
    Values,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Level {
    On,
    Named(String),
    Number(u32),
}

impl Features {
    /// Reads the features from a request's headers. What cannot be read names none.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        if headers.keys().any(|name| is_alias(name.as_str(), FEATURES_HEADER)) {
            return Self::default();
        }
        let mut values = headers.get_all(FEATURES_HEADER).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes()),
            _ => Self::default(),
        }
    }

    /// Says whether the header names the feature with a value that is not off.
    pub(crate) fn has(&self, feature: &str) -> bool {
        self.0.contains_key(feature)
    }

    /// How much of a payload may be shown: the values only with `payload_lineage="full"`.
    pub(crate) fn payload(&self) -> Payload {
        match self.0.get("payload_lineage") {
            Some(Level::Named(level)) if level == "full" => Payload::Values,
            _ => Payload::Sizes,
        }
    }

    /// How many days back the tenant may look, when the header says so.
    pub(crate) fn retention_days(&self) -> Option<u32> {
        match self.0.get("retention_days") {
            Some(Level::Number(days)) => Some(*days),
            _ => None,
        }
    }

    fn parse(value: &[u8]) -> Self {
        let Ok(dictionary) = Parser::new(value).parse::<Dictionary>() else {
            return Self::default();
        };
        let level = |entry: &ListEntry| match entry {
            ListEntry::Item(item) => level(&item.bare_item),
            ListEntry::InnerList(_) => None,
        };
        Self(
            dictionary
                .iter()
                .filter_map(|(key, entry)| Some((key.as_str().into(), level(entry)?)))
                .collect(),
        )
    }
}

/// Reads one value; `None` for what means off or nothing that a feature can be.
fn level(item: &BareItem) -> Option<Level> {
    match item {
        BareItem::Boolean(true) => Some(Level::On),
        BareItem::String(name) => named(name.as_str()),
        BareItem::Token(name) => named(name.as_str()),
        BareItem::Integer(number) => match u32::try_from(i64::from(*number)) {
            Ok(0) | Err(_) if i64::from(*number) <= 0 => None,
            Ok(number) => Some(Level::Number(number)),
            Err(_) => Some(Level::Number(u32::MAX)),
        },
        _ => None,
    }
}

/// The gateway leaves out what is at its lowest; whoever writes it out does not mean to open it.
fn named(name: &str) -> Option<Level> {
    (!matches!(name, "" | "off" | "no" | "none")).then(|| Level::Named(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_form_is_read() {
        let features =
            Features::parse(br#"payload_lineage="limited", topology_graph, retention_days=30"#);
        assert!(features.has("payload_lineage") && features.has("topology_graph"));
        assert!(!features.has("exchange_replay"));
        assert_eq!(features.payload(), Payload::Sizes);
        assert_eq!(features.retention_days(), Some(30));
    }

    #[test]
    fn only_the_full_level_shows_values() {
        for (header, payload) in [
            (r#"payload_lineage="full""#, Payload::Values),
            ("payload_lineage=full", Payload::Values),
            ("payload_lineage", Payload::Sizes),
            (r#"payload_lineage="FULL""#, Payload::Sizes),
            ("payload_lineage=9", Payload::Sizes),
            ("payload_lineage=(full)", Payload::Sizes),
        ] {
            assert_eq!(Features::parse(header.as_bytes()).payload(), payload, "{header}");
        }
    }

    #[test]
    fn what_is_off_or_ill_formed_is_not_named() {
        for header in [
            "topology_graph=?0",
            "topology_graph=0",
            "topology_graph=-1",
            "topology_graph=()",
            "topology_graph=\"off\"",
            "topology_graph=no",
        ] {
            assert!(!Features::parse(header.as_bytes()).has("topology_graph"), "{header}");
        }
        for header in ["topology_graph,", "topology_graph, =", "topology_graph \"", "\u{e9}, a"] {
            assert_eq!(Features::parse(header.as_bytes()), Features::default(), "{header}");
        }
    }

    #[test]
    fn a_repeated_or_aliased_header_names_nothing() {
        let mut headers = HeaderMap::new();
        headers.append("x-tenant-features", "topology_graph".parse().unwrap());
        assert!(Features::from_headers(&headers).has("topology_graph"));
        let mut aliased = headers.clone();
        aliased.append("x_tenant_features", "exchange_replay".parse().unwrap());
        assert_eq!(Features::from_headers(&aliased), Features::default());
        headers.append("x-tenant-features", "exchange_replay".parse().unwrap());
        assert_eq!(Features::from_headers(&headers), Features::default());
    }
}
