//! A JSON value as small as it can be: texts stay in the body where they have no escapes, and an object
//! is a list.
//!
//! A map of `serde_json` takes some 630 bytes for its first member, so that `{"":0}` would ask for a
//! hundred times its length.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    /// A number below 0.
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Box<[Self]>),
    Object(Object<'a>),
}

/// An object's members, in the order of the body.
#[derive(Debug, PartialEq)]
pub(super) struct Object<'a>(Box<[(Cow<'a, str>, Value<'a>)]>);

impl<'a> Value<'a> {
    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(bool) = self { Some(*bool) } else { None }
    }

    pub(super) fn as_u64(&self) -> Option<u64> {
        if let Self::Unsigned(number) = self { Some(*number) } else { None }
    }

    pub(super) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Signed(number) => Some(*number),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a double was asked for")]
    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Unsigned(number) => Some(*number as f64),
            Self::Signed(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    pub(super) fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }
}

impl<'a> Object<'a> {
    /// The member of that name; the last one, if there are several.
    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl<'a> Deserialize<'a> for Value<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'a> Visitor<'a> for Values {
    type Value = Value<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'a>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Value<'a>, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'a>, E> {
        Ok(Value::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'a>, E> {
        Ok(u64::try_from(number).map_or(Value::Signed(number), Value::Unsigned))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value<'a>, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'a>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Value<'a>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut from: A) -> Result<Value<'a>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items.into()))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut from: A) -> Result<Value<'a>, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(key), value)) = from.next_entry()? {
            members.push((key, value));
        }
        Ok(Value::Object(Object(members.into())))
    }
}

/// A member's name, which `Cow` alone would copy.
struct Key<'a>(Cow<'a, str>);

impl<'a> Deserialize<'a> for Key<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Text(text) => Ok(Self(text)),
            _ => Err(Error::custom("an object's member has no name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Value<'_> {
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn values_are_read_as_they_stand() {
        let value = read(r#"{"a":[null,true,1,-1,1.5,"t","\n"],"b":{},"a\n":2,"b":3}"#);
        let object = value.as_object().unwrap();
        let items = object.get("a").and_then(Value::as_list).unwrap();
        assert_eq!(items[0], Value::Null);
        assert_eq!(items[1].as_bool(), Some(true));
        assert_eq!(
            (items[2].as_u64(), items[2].as_i64(), items[2].as_f64()),
            (Some(1), Some(1), Some(1.0))
        );
        assert_eq!((items[3].as_u64(), items[3].as_i64()), (None, Some(-1)));
        assert_eq!((items[4].as_i64(), items[4].as_f64()), (None, Some(1.5)));
        assert_eq!((items[5].as_str(), items[6].as_str()), (Some("t"), Some("\n")));
        assert_eq!(object.get("a\n").and_then(Value::as_u64), Some(2));
        assert_eq!(object.get("b").and_then(Value::as_u64), Some(3), "the last one counts");
        assert_eq!(object.get("c"), None);
        for body in ["{1:2}", "[", "{\"a\"}", "nul", "1 2", &"[".repeat(1_000)] {
            assert!(serde_json::from_str::<Value<'_>>(body).is_err(), "{body}");
        }
    }

    #[test]
    fn only_texts_with_escapes_are_copied() {
        let Value::List(items) = read(r#"["plain","\t"]"#) else { panic!("a list") };
        assert!(matches!(items[0], Value::Text(Cow::Borrowed(_))));
        assert!(matches!(items[1], Value::Text(Cow::Owned(_))));
        let value = read(r#"{"plain":0}"#);
        assert!(matches!(value.as_object().unwrap().0[0].0, Cow::Borrowed(_)));
    }

    /// What a value takes outside of itself, as an allocator counts it: in steps of 16, and 16 more.
    fn heap(value: &Value<'_>) -> usize {
        let block = |bytes: usize| if bytes == 0 { 0 } else { bytes.next_multiple_of(16) + 16 };
        let copied = |text: &Cow<'_, str>| match text {
            Cow::Owned(text) => block(text.capacity()),
            Cow::Borrowed(_) => 0,
        };
        match value {
            Value::Text(text) => copied(text),
            Value::List(items) => {
                block(size_of_val(&**items)) + items.iter().map(heap).sum::<usize>()
            }
            Value::Object(Object(members)) => {
                let inside: usize =
                    members.iter().map(|(key, value)| copied(key) + heap(value)).sum();
                block(size_of_val(&**members)) + inside
            }
            _ => 0,
        }
    }

    /// What is counted before a body is read is at least what it takes then.
    #[test]
    fn the_budget_knows_what_values_take() {
        let many = |one: &str| format!("[{}{one}]", format!("{one},").repeat(10_000));
        let members = (0..10_000).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(",");
        for body in [
            many(r#"{"":0}"#),
            many("{}"),
            many("[]"),
            many("[0]"),
            many("0"),
            many(r#""\n""#),
            many(r#"{"\n":"\n"}"#),
            many(r#"{"a":0,"b":{"c":[]}}"#),
            many(r#"{"a":{"b":{"c":{"d":0}}}}"#),
            many(r#"{"key":"http.route","value":{"stringValue":"/cart"}}"#),
            format!("{{{members}}}"),
        ] {
            let value = read(&body);
            let counted = crate::otlp::budget::json_bytes(body.as_bytes());
            assert!(heap(&value) <= counted, "{}: {} > {counted}", &body[..30], heap(&value));
        }
    }
}
