//! JSON whose objects have unique member names, at any depth.
//!
//! `serde_json` keeps the last of two equal names where another parser keeps the first; two
//! parsers that disagree about a claim are an attack (RFC 7519, section 4: reject or take the last).
//! Strings without escapes are borrowed from the input.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Integer(u64),
    /// Negative, fractional and huge numbers.
    Number(f64),
    String(Cow<'a, str>),
    Array(Vec<Self>),
    Object(Object<'a>),
}

/// An object: members in their order, names unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// Parses a text that holds one object and nothing else.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        match serde_json::from_slice(text)? {
            Json::Object(object) => Ok(object),
            _ => Err(de::Error::custom("not a JSON object")),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Json<'_> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// A member name, borrowed where it has no escapes. `Cow`'s own `Deserialize` always owns.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Json::Integer(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "negative numbers are only ever refused")]
        Ok(u64::try_from(v).map_or(Json::Number(v as f64), Json::Integer))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Json::Number(v))
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(v.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Grown on demand: thousands of empty objects must not reserve room for members.
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        // A handful of names is compared one by one; a client that sends thousands meets a set,
        // whose hash it cannot foresee.
        let mut seen: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(Name(name)) = map.next_key()? {
            let twice = if members.len() < 32 {
                members.iter().any(|(n, _)| *n == name)
            } else {
                if seen.is_empty() {
                    seen.extend(members.iter().map(|(n, _)| n.clone()));
                }
                !seen.insert(name.clone())
            };
            if twice {
                return Err(de::Error::custom("a member name stands twice"));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Json::Object(Object(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Object<'_>, String> {
        Object::parse(text.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn duplicates_are_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":{"a":1,"b":2,"a":1}}"#,
            r#"{"x":[1,{"y":[{"a":1,"a":1}]}]}"#,
        ] {
            assert!(parse(text).expect_err(text).contains("stands twice"), "{text}");
        }
        let many = (0..500).map(|i| format!("\"k{i}\":0")).collect::<Vec<_>>().join(",") + ",";
        assert!(parse(&format!("{{{many}\"z\":1}}")).is_ok());
        assert!(parse(&format!("{{{many}\"k7\":1}}")).is_err());
        assert!(parse(&format!("{{{many}\"k450\":1}}")).is_err());
    }

    #[test]
    fn only_one_object() {
        for text in ["", "[]", "1", "null", "{} {}", "{}x", "{", "{\"a\":1,}", "\u{feff}{}"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse(" {\"a\" : 1} \n").is_ok());
    }

    #[test]
    fn deep_nesting_is_refused_not_a_crash() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn numbers_keep_what_decides() {
        let o = parse(r#"{"i":18446744073709551615,"n":-1,"f":1.5,"h":1e300}"#).expect("json");
        assert_eq!(o.get("i"), Some(&Json::Integer(u64::MAX)));
        assert_eq!(o.get("n"), Some(&Json::Number(-1.0)));
        assert_eq!(o.get("f"), Some(&Json::Number(1.5)));
        assert_eq!(o.get("h"), Some(&Json::Number(1e300)));
    }
}
