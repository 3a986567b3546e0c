//! The paths of one host, as a tree of segments.

use std::collections::HashMap;

use super::template::Segment;

/// A tree whose leaves hold what belongs to one path template.
///
/// Looking a path up is a walk that prefers, segment by segment from the left, the literal text to
/// a parameter and a parameter to `{*rest}`. So the most specific template wins whatever order
/// they were written in, and there is nothing left to compare.
#[derive(Debug)]
pub(super) struct Tree<L> {
    literals: HashMap<Box<str>, Self, foldhash::fast::RandomState>,
    parameter: Option<Box<Self>>,
    rest: Option<L>,
    leaf: Option<L>,
}

impl<L> Default for Tree<L> {
    fn default() -> Self {
        Self { literals: HashMap::default(), parameter: None, rest: None, leaf: None }
    }
}

impl<L: Default> Tree<L> {
    /// The leaf of these segments, made when it is not there.
    pub(super) fn leaf_mut(&mut self, segments: &[Segment]) -> &mut L {
        match segments.split_first() {
            None => self.leaf.get_or_insert_default(),
            Some((Segment::Rest, _)) => self.rest.get_or_insert_default(),
            Some((Segment::Parameter, tail)) => {
                self.parameter.get_or_insert_default().leaf_mut(tail)
            }
            Some((Segment::Literal(text), tail)) => {
                self.literals.entry(text.clone()).or_default().leaf_mut(tail)
            }
        }
    }
}

impl<L> Tree<L> {
    /// The leaf of the most specific template that matches an absolute path.
    pub(super) fn find(&self, path: &str) -> Option<&L> {
        self.walk(path.strip_prefix('/'))
    }

    /// `path` is what stands after the last `/` that was passed, or `None` at the end.
    fn walk(&self, path: Option<&str>) -> Option<&L> {
        let Some(path) = path else {
            return self.leaf.as_ref();
        };
        let (segment, tail) = match path.split_once('/') {
            Some((segment, tail)) => (segment, Some(tail)),
            None => (path, None),
        };
        let literal = self.literals.get(segment).and_then(|child| child.walk(tail));
        let parameter = || {
            let child = self.parameter.as_ref().filter(|_| !segment.is_empty())?;
            child.walk(tail)
        };
        literal.or_else(parameter).or(self.rest.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::Template;
    use super::*;

    const TEMPLATES: &[&str] = &[
        "/",
        "/a",
        "/a/{id}",
        "/a/{id}/c",
        "/a/b",
        "/a/b/{*rest}",
        "/{x}/b/c",
        "/files/{*rest}",
        "/files/",
        "/a/{id}/{*rest}",
    ];

    fn tree(templates: impl Iterator<Item = &'static str>) -> Tree<&'static str> {
        let mut tree = Tree::default();
        for text in templates {
            let template = Template::parse(text).expect("a template");
            *tree.leaf_mut(template.segments()) = text;
        }
        tree
    }

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        for tree in [tree(TEMPLATES.iter().copied()), tree(TEMPLATES.iter().rev().copied())] {
            assert_eq!(tree.find(path).copied(), expected, "{path}");
        }
    }

    #[test]
    fn the_most_specific_template_wins() {
        check("/", Some("/"));
        check("/a", Some("/a"));
        check("/a/b", Some("/a/b"));
        check("/a/x", Some("/a/{id}"));
        check("/a/x/c", Some("/a/{id}/c"));
        check("/a/x/d", Some("/a/{id}/{*rest}"));
        check("/a/b/c", Some("/a/b/{*rest}"));
        check("/a/b/", Some("/a/b/{*rest}"));
        check("/z/b/c", Some("/{x}/b/c"));
        check("/files/", Some("/files/"));
        check("/files/x/y/", Some("/files/{*rest}"));
    }

    #[test]
    fn what_no_template_matches_is_not_found() {
        check("/b", None);
        check("/A", None);
        check("/a/", None);
        check("/files", None);
        check("/z/b", None);
        check("/z/b/c/d", None);
    }
}
