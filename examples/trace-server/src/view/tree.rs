//! Spans as a tree.
//!
//! What applications send need not be a tree: parents are missing, stand in other applications,
//! or name each other in a circle. Every span appears once all the same, and the document nests
//! no deeper than readers of JSON follow.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::features::Payload;
use crate::model::{Span, SpanId};

/// The order in which spans are read: each after its parent, siblings by time.
///
/// The roots are the spans whose parent is not among `spans`; then whatever a circle keeps from
/// being reached, from its earliest span on. Each item is a span's place and depth.
pub(crate) fn walk(spans: &[Span]) -> Vec<(usize, usize)> {
    let places: HashMap<&SpanId, usize> =
        spans.iter().enumerate().map(|(place, span)| (&span.span_id, place)).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    let mut roots = Vec::new();
    for (place, span) in spans.iter().enumerate() {
        match span.parent.as_ref().and_then(|parent| places.get(parent)) {
            Some(parent) => children[*parent].push(place),
            None => roots.push(place),
        }
    }
    let by_time = |place: &usize| (spans[*place].start_ns, &spans[*place].span_id);
    for list in &mut children {
        list.sort_by_key(by_time);
    }
    roots.sort_by_key(by_time);
    let mut rest: Vec<usize> = (0..spans.len()).collect();
    rest.sort_by_key(by_time);

    let mut seen = vec![false; spans.len()];
    let mut order = Vec::with_capacity(spans.len());
    for root in roots.into_iter().chain(rest) {
        let mut stack = vec![(root, 0)];
        while let Some((place, depth)) = stack.pop() {
            if std::mem::replace(&mut seen[place], true) {
                continue;
            }
            order.push((place, depth));
            stack.extend(children[place].iter().rev().map(|child| (*child, depth + 1)));
        }
    }
    order
}

/// The spans as nested documents. Below [`MAX_DEPTH`] they stand side by side, each with its
/// `depth` and `parent_span_id`, so that nothing is lost.
pub(crate) fn tree(spans: &[Span], payload: Payload) -> Vec<Value> {
    let mut roots = Vec::new();
    // The spans that are open, from a root down; each is closed into the one before it.
    let mut open: Vec<Node<'_>> = Vec::new();
    for (place, depth) in walk(spans) {
        let level = depth.min(MAX_DEPTH);
        close(&mut open, level, &mut roots);
        open.push(Node { span: &spans[place], depth, children: Vec::new(), payload });
    }
    close(&mut open, 0, &mut roots);
    roots
}

struct Node<'a> {
    span: &'a Span,
    depth: usize,
    children: Vec<Value>,
    payload: Payload,
}

fn close(open: &mut Vec<Node<'_>>, level: usize, roots: &mut Vec<Value>) {
    while open.len() > level {
        let Some(node) = open.pop() else { return };
        let mut document = super::span(node.span, node.payload);
        document["depth"] = json!(node.depth);
        document["children"] = Value::Array(node.children);
        open.last_mut().map_or(&mut *roots, |parent| &mut parent.children).push(document);
    }
}

/// Two levels of JSON for a span; many readers stop at 128 levels or fewer.
const MAX_DEPTH: usize = 40;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Attributes, Kind, Resource, Status, TraceId};

    fn span(id: u64, parent: Option<u64>, start_ns: i64) -> Span {
        let span_id = |id: u64| SpanId::from_bytes(&id.to_be_bytes()).unwrap();
        Span {
            trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
            span_id: span_id(id),
            parent: parent.map(span_id),
            resource: Arc::new(Resource { service: "a".into(), attributes: Attributes::default() }),
            name: String::new(),
            kind: Kind::Internal,
            start_ns,
            end_ns: start_ns,
            status: Status::Unset,
            status_message: String::new(),
            trace_state: String::new(),
            scope_name: String::new(),
            scope_version: String::new(),
            attributes: Attributes::default(),
            events: Vec::new(),
            links: Vec::new(),
        }
    }

    fn count(nodes: &[Value]) -> usize {
        nodes.iter().map(|node| 1 + count(node["children"].as_array().unwrap())).sum()
    }

    #[test]
    fn children_stand_below_their_parent_in_order_of_time() {
        let spans = [
            span(1, None, 0),
            span(2, Some(1), 20),
            span(3, Some(1), 10),
            span(4, Some(3), 15),
            span(5, Some(99), 5),
        ];
        assert_eq!(walk(&spans), [(0, 0), (2, 1), (3, 2), (1, 1), (4, 0)]);
        let roots = tree(&spans, Payload::Sizes);
        assert_eq!(roots.len(), 2);
        assert_eq!(roots[0]["children"][0]["span_id"], "0000000000000003");
        assert_eq!(roots[0]["children"][0]["children"][0]["span_id"], "0000000000000004");
        assert_eq!(roots[1]["parent_span_id"], "0000000000000063");
    }

    #[test]
    fn circles_neither_hang_nor_vanish() {
        let spans = [span(1, Some(2), 0), span(2, Some(1), 1), span(3, Some(3), 2)];
        assert_eq!(walk(&spans), [(0, 0), (1, 1), (2, 0)]);
    }

    #[test]
    fn a_long_chain_is_flattened_not_nested() {
        let chain: Vec<_> = (1..=5_000).map(|id| span(id, (id > 1).then(|| id - 1), 0)).collect();
        let text = serde_json::to_string(&tree(&chain, Payload::Sizes)).unwrap();
        let back: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(count(&back), 5_000);
    }

    proptest! {
        #[test]
        fn every_span_appears_once(parents in prop::collection::vec(0_u64..30, 0..30)) {
            let spans: Vec<_> = (1..)
                .zip(&parents)
                .map(|(id, parent)| span(id, (*parent > 0).then_some(*parent), 0))
                .collect();
            let mut places: Vec<_> = walk(&spans).into_iter().map(|(place, _)| place).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..spans.len()).collect::<Vec<_>>());
            prop_assert_eq!(count(&tree(&spans, Payload::Sizes)), spans.len());
        }
    }
}
