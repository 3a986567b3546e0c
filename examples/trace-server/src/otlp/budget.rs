//! How much memory a request would take, before it takes any.
//!
//! An empty span is two bytes on the wire (three in JSON) and several hundred decoded. The walk below follows
//! the repeated fields of `ExportTraceServiceRequest` without building anything and stops as
//! soon as the request asks for too much. It judges nothing else: what is malformed is left to
//! the decoder, which says what is wrong with it.

use crate::problem::{Problem, Reason};

/// A message, what it costs in units of about 48 bytes, and its fields that hold messages.
struct Node {
    cost: u32,
    fields: &'static [(u64, &'static Self)],
}

/// Refuses a protobuf request that asks for too much memory.
pub(super) fn check(body: &[u8]) -> Result<(), Problem> {
    let mut left = BUDGET;
    match walk(body, &REQUEST, &mut left, 0) {
        Some(Exhausted) => Err(too_much()),
        None => Ok(()),
    }
}

/// Refuses JSON text with too many values, before they are built: each is a number, a text, an
/// array or an object after a comma, a colon or an opening bracket.
pub(super) fn check_json(body: &[u8]) -> Result<(), Problem> {
    let mut left = BUDGET;
    let (mut in_text, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b':' | b'[' | b'{' if !in_text => {
                left = left.checked_sub(1).ok_or_else(too_much)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses more spans than protobuf might hold, counting them over a request's lists.
pub(super) fn check_spans(count: usize) -> Result<(), Problem> {
    let most = usize::try_from(BUDGET / SPAN.cost).unwrap_or(usize::MAX);
    if count > most { Err(too_much()) } else { Ok(()) }
}

fn too_much() -> Problem {
    Problem::new(Reason::BodyTooLarge, "the body holds more parts than one request may")
}

struct Exhausted;

/// Pays for `node` and all below it; `None` when the budget held or the bytes are malformed.
fn walk(mut bytes: &[u8], node: &Node, left: &mut u32, depth: u32) -> Option<Exhausted> {
    let Some(rest) = left.checked_sub(node.cost) else { return Some(Exhausted) };
    *left = rest;
    if depth > MAX_DEPTH {
        return None;
    }
    while !bytes.is_empty() {
        let (field, payload) = next_field(&mut bytes)?;
        let child = node.fields.iter().find(|(number, _)| *number == field);
        if let (Some((_, child)), Some(payload)) = (child, payload)
            && let Some(exhausted) = walk(payload, child, left, depth + 1)
        {
            return Some(exhausted);
        }
    }
    None
}

/// Takes one field off `bytes`: its number, and its content if that has a length.
fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(bytes)?;
    let payload = match key & 7 {
        0 => varint(bytes).map(|_| None)?,
        1 => bytes.split_off(..8).map(|_| None)?,
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Some(bytes.split_off(..length)?)
        }
        5 => bytes.split_off(..4).map(|_| None)?,
        _ => return None,
    };
    Some((key >> 3, payload))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
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
        assert!(check(&empty_spans(10_000)).is_ok());
        let refused = check(&empty_spans(300_000)).unwrap_err();
        assert_eq!(refused.reason(), Reason::BodyTooLarge);
    }

    #[test]
    fn a_flood_of_json_values_is_refused() {
        assert!(check_json(br#"{"a":"[[[,,,\"[[["}"#).is_ok());
        let flood = "[],".repeat(1_200_000);
        assert_eq!(check_json(flood.as_bytes()).unwrap_err().reason(), Reason::BodyTooLarge);
        let text = format!("\"{}\"", "[,".repeat(2_000_000));
        assert!(check_json(text.as_bytes()).is_ok(), "what stands in a text is one value");
    }

    #[test]
    fn malformed_bytes_are_left_to_the_decoder() {
        for bytes in
            [&b"\x0a"[..], b"\x0a\xff\xff\xff\xff\x0f", b"\xff\xff", b"\x0b\x0c", &[0x80; 20]]
        {
            assert!(check(bytes).is_ok(), "{bytes:?}");
        }
    }
}
