//! OTLP attributes as JSON values.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde_json::{Map, Number, Value};

use crate::model::Attributes;

/// Makes a map of a list; when a name comes twice, the last one counts.
pub(super) fn attributes(list: Vec<KeyValue>) -> Attributes {
    Attributes(object(list))
}

fn object(list: Vec<KeyValue>) -> Map<String, Value> {
    list.into_iter().map(|pair| (pair.key, value(pair.value))).collect()
}

/// Bytes become base64 text, and the three numbers that JSON lacks become their names, both as
/// in protobuf's own JSON. The decoders bound how deep values nest.
fn value(any: Option<AnyValue>) -> Value {
    match any.and_then(|any| any.value) {
        // The last is an index into a table that only profiles have.
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => Value::String(text),
        Some(Any::BoolValue(yes)) => Value::Bool(yes),
        Some(Any::IntValue(number)) => Value::Number(number.into()),
        Some(Any::DoubleValue(number)) => double(number),
        Some(Any::ArrayValue(array)) => {
            array.values.into_iter().map(|any| value(Some(any))).collect()
        }
        Some(Any::KvlistValue(list)) => Value::Object(object(list.values)),
        Some(Any::BytesValue(bytes)) => Value::String(BASE64_STANDARD.encode(bytes)),
    }
}

fn double(number: f64) -> Value {
    match Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => Value::String("NaN".into()),
        None if number > 0.0 => Value::String("Infinity".into()),
        None => Value::String("-Infinity".into()),
    }
}
