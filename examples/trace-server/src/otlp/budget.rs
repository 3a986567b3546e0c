//! How much memory a request would take, before it takes any.
//!
//! An empty span is two bytes on the wire (three in JSON) and several hundred decoded. The walk below follows
//! the repeated fields of `ExportTraceServiceRequest` without building anything and stops as
//! soon as the request asks for too much.
//!
//! INVARIANT: the decoder never sees a byte that the walk did not count. Where the walk cannot go on
//! the request is refused, even if the decoder could: it skips groups, for one, which protobuf has
//! given up and OTLP never had, and it follows a length past the end of the message that holds it
//! before it finds out.

use crate::problem::{Problem, Reason};

/// A message, what it costs in units of about 48 bytes, and its fields that hold messages.
struct Node {
    cost: u32,
    fields: &'static [(u32, &'static Self)],
}

/// Refuses a protobuf request that asks for too much memory, or that cannot be followed.
pub(super) fn check(body: &[u8]) -> Result<(), Problem> {
    walk(body, &REQUEST, &mut Left { units: BUDGET, spans: MAX_SPANS }, 0)
}

/// Refuses JSON text that asks for too much memory.
pub(super) fn check_json(body: &[u8]) -> Result<(), Problem> {
    json_units(body, JSON_BUDGET).map(|_| ()).ok_or_else(too_much)
}

/// Counts the values of JSON text before they are built, and what is made of them: each is a number, a
/// text, an array or an object after a comma, a colon or an opening bracket, and a text with escapes is
/// copied. `None` when they are more than `budget`.
fn json_units(body: &[u8], budget: u32) -> Option<u32> {
    let mut left = budget;
    let (mut in_text, mut escaped, mut copied) = (false, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => {
                escaped = true;
                if !copied {
                    left = left.checked_sub(1)?;
                }
                copied = true;
            }
            b'"' => (in_text, copied) = (!in_text, false),
            b',' | b':' | b'[' if !in_text => left = left.checked_sub(1)?,
            b'{' if !in_text => left = left.checked_sub(JSON_OBJECT)?,
            _ => {}
        }
    }
    Some(budget - left)
}

/// What is counted for JSON text, in bytes.
#[cfg(test)]
pub(super) fn json_bytes(body: &[u8]) -> usize {
    json_units(body, u32::MAX).unwrap() as usize * 48 + body.len()
}

/// Refuses more spans than one request may hold, counted over its lists.
pub(super) fn check_spans(count: usize) -> Result<(), Problem> {
    if count > MAX_SPANS { Err(too_many_spans()) } else { Ok(()) }
}

fn too_much() -> Problem {
    Problem::new(Reason::BodyTooLarge, "the body holds more parts than one request may")
}

fn too_many_spans() -> Problem {
    Problem::new(Reason::BodyTooLarge, format!("the body holds more than {MAX_SPANS} spans"))
}

/// What a request may still ask for.
struct Left {
    units: u32,
    spans: usize,
}

/// Pays for `node` and all below it.
fn walk(mut bytes: &[u8], node: &Node, left: &mut Left, depth: u32) -> Result<(), Problem> {
    left.units = left.units.checked_sub(node.cost).ok_or_else(too_much)?;
    if std::ptr::eq(node, &raw const SPAN) {
        left.spans = left.spans.checked_sub(1).ok_or_else(too_many_spans)?;
    }
    if depth > MAX_DEPTH {
        return Err(malformed("messages are nested too deep"));
    }
    while !bytes.is_empty() {
        let (field, payload) = next_field(&mut bytes)?;
        let child = node.fields.iter().find(|(number, _)| *number == field);
        if let (Some((_, child)), Some(payload)) = (child, payload) {
            walk(payload, child, left, depth + 1)?;
        }
    }
    Ok(())
}

/// Takes one field off `bytes`: its number, and its content if that has a length.
fn next_field<'a>(bytes: &mut &'a [u8]) -> Result<(u32, Option<&'a [u8]>), Problem> {
    let key = u32::try_from(varint(bytes)?).map_err(|_| malformed("a field's key is too large"))?;
    let payload = match key & 7 {
        0 => varint(bytes).map(|_| None)?,
        1 => take(bytes, 8).map(|_| None)?,
        2 => {
            let length = varint(bytes)?;
            Some(take(bytes, usize::try_from(length).unwrap_or(usize::MAX))?)
        }
        3 | 4 => return Err(malformed("OTLP has no groups")),
        5 => take(bytes, 4).map(|_| None)?,
        _ => return Err(malformed("a field's wire type is unknown")),
    };
    Ok((key >> 3, payload))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Problem> {
    bytes.split_off(..length).ok_or_else(|| malformed("a field ends after what holds it"))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Problem> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first().ok_or_else(|| malformed("a number has no end"))?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(malformed("a number is too long"))
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Reason::MalformedBody, detail)
}

static REQUEST: Node = Node { cost: 0, fields: &[(1, &RESOURCE_SPANS)] };
static RESOURCE_SPANS: Node = Node { cost: 3, fields: &[(1, &RESOURCE), (2, &SCOPE_SPANS)] };
static RESOURCE: Node = Node { cost: 1, fields: &[(1, &KEY_VALUE), (3, &ENTITY)] };
static ENTITY: Node = Node { cost: 2, fields: &[(3, &TEXT), (4, &TEXT)] };
static SCOPE_SPANS: Node = Node { cost: 3, fields: &[(1, &SCOPE), (2, &SPAN)] };
static SCOPE: Node = Node { cost: 2, fields: &[(3, &KEY_VALUE)] };
static SPAN: Node = Node { cost: 8, fields: &[(9, &KEY_VALUE), (11, &EVENT), (13, &LINK)] };
static EVENT: Node = Node { cost: 2, fields: &[(3, &KEY_VALUE)] };
static LINK: Node = Node { cost: 3, fields: &[(4, &KEY_VALUE)] };
static KEY_VALUE: Node = Node { cost: 1, fields: &[(2, &ANY_VALUE)] };
static ANY_VALUE: Node = Node { cost: 1, fields: &[(5, &ARRAY), (6, &LIST)] };
static ARRAY: Node = Node { cost: 0, fields: &[(1, &ANY_VALUE)] };
static LIST: Node = Node { cost: 0, fields: &[(1, &KEY_VALUE)] };
static TEXT: Node = Node { cost: 1, fields: &[] };

/// Units of about 48 bytes: some 100 MB. A batch of 8192 spans with 40 attributes each, which is
/// what a busy collector sends, takes a third of it.
const BUDGET: u32 = 2_000_000;
/// What an object may take in both of its shapes, as JSON and as the message that is made of it.
const JSON_OBJECT: u32 = 3;
/// The same batch in JSON, where each attribute is two objects and there are two shapes at once: some
/// 190 MB.
const JSON_BUDGET: u32 = 4_000_000;
/// One request of a tenant is worked on at a time, and its other requests wait for it. Collectors send
/// 8192 spans at a time unless they are told otherwise.
const MAX_SPANS: usize = 50_000;
/// The decoder refuses what is nested deeper than this.
const MAX_DEPTH: u32 = 100;

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    use super::*;

    fn empty_spans(count: usize) -> Vec<u8> {
        let spans = vec![Span::default(); count];
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    #[test]
    fn a_flood_of_empty_spans_is_refused() {
        assert!(check(&empty_spans(50_000)).is_ok());
        let refused = check(&empty_spans(50_001)).unwrap_err();
        assert_eq!(refused.reason(), Reason::BodyTooLarge);
        assert_eq!(refused.detail(), "the body holds more than 50000 spans");
        assert!(check_spans(50_000).is_ok());
        assert_eq!(check_spans(50_001).unwrap_err().detail(), refused.detail());
    }

    #[test]
    fn a_flood_of_json_values_is_refused() {
        assert!(check_json(br#"{"a":"[[[,,,\"[[["}"#).is_ok());
        let flood = "[],".repeat(2_100_000);
        assert_eq!(check_json(flood.as_bytes()).unwrap_err().reason(), Reason::BodyTooLarge);
        let members = format!(r#"{{"x":[{}0]}}"#, r#"{"":0},"#.repeat(800_000));
        assert_eq!(check_json(members.as_bytes()).unwrap_err().reason(), Reason::BodyTooLarge);
        let text = format!("\"{}\"", "[,".repeat(2_000_000));
        assert!(check_json(text.as_bytes()).is_ok(), "what stands in a text is one value");
    }

    /// What a busy collector sends: 8192 spans with 40 attributes each.
    #[test]
    fn a_normal_batch_is_within_the_budget() {
        let attribute = r#"{"key":"http.route","value":{"stringValue":"/cart"}}"#;
        let attributes = vec![attribute; 40].join(",");
        let span = format!(
            r#"{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET",
            "kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2","status":{{"code":1}},
            "attributes":[{attributes}]}}"#
        );
        let spans = vec![span.as_str(); 8192].join(",");
        let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
        assert!(check_json(body.as_bytes()).is_ok());

        let one = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
        let mut request = crate::otlp::json::decode(one.as_bytes()).unwrap();
        let spans = &mut request.resource_spans[0].scope_spans[0].spans;
        *spans = vec![spans[0].clone(); 8192];
        assert!(check(&request.encode_to_vec()).is_ok());
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\xff\xff",
            b"\x0b\x0c",
            b"\x0c",
            b"\x0e",
            b"\x0f",
            &[0x80; 20],
            // A list of spans that is longer than the message around it.
            b"\x0a\x02\x12\x04\x12\x00\x12\x00",
        ] {
            assert_eq!(check(bytes).unwrap_err().reason(), Reason::MalformedBody, "{bytes:?}");
        }
    }

    fn wrap(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![tag];
        prost::encoding::encode_varint(body.len() as u64, &mut message);
        message.extend_from_slice(body);
        message
    }

    /// Each hides a flood of spans behind something that the decoder gets over.
    #[test]
    fn no_flood_hides_from_the_walk() {
        let spans = [0x12, 0x00].repeat(300_000);
        let group = [&[0x7b, 0x7c][..], &spans].concat();
        let in_a_group = wrap(0x0a, &wrap(0x12, &group));
        assert!(ExportTraceServiceRequest::decode(&in_a_group[..]).is_ok(), "the decoder skips it");
        // The outer message says that it ends two bytes before the list of spans begins.
        let list = wrap(0x12, &spans);
        let overrun = [&[0x0a, 0x02][..], &list].concat();
        for body in [in_a_group, overrun] {
            assert_eq!(check(&body).unwrap_err().reason(), Reason::MalformedBody);
        }
        let unknown = [&[0x78, 0x01, 0x7a, 0x00, 0x7d, 1, 2, 3, 4][..], &spans].concat();
        let behind_unknown_fields = wrap(0x0a, &wrap(0x12, &unknown));
        assert_eq!(check(&behind_unknown_fields).unwrap_err().reason(), Reason::BodyTooLarge);
    }

    /// A request that the decoder takes is one that the walk takes, fields of the future included.
    #[test]
    fn what_the_decoder_takes_is_followed() {
        let mut body = empty_spans(3);
        body.extend_from_slice(&[0xf8, 0x07, 0x01, 0xfa, 0x07, 0x00, 0xf9, 0x07]);
        body.extend_from_slice(&[0; 8]);
        assert!(ExportTraceServiceRequest::decode(&body[..]).is_ok());
        assert!(check(&body).is_ok());
    }
}
