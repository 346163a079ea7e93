//! The segments of a route's path, and which of two paths is more specific.
//!
//! matchit chooses between routes. A nested fallback is no route: matchit refuses it beside a route
//! with a name in the same place, such as `/static/{name}`. So what is nested is compared with
//! routes here, in the order in which matchit compares routes with each other.

use std::cmp::Ordering;
use std::iter;

use super::path::name_in;

/// A path as it is written in a program, in the form in which paths are compared.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    path: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `{name}`, with what is written before and after it in the same segment.
    Named {
        before: String,
        name: String,
        after: String,
    },
    /// `{*name}`.
    Rest,
}

impl Pattern {
    /// The pattern of a path that matchit accepts.
    pub(crate) fn parse(path: String) -> Self {
        let segments = path.split('/').skip(1).map(Segment::parse).collect();
        Self { path, segments }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.path
    }

    /// The number of segments, and of slashes.
    pub(crate) fn depth(&self) -> usize {
        self.segments.len()
    }

    /// How many names it has.
    pub(crate) fn names(&self) -> usize {
        let is_named = |segment: &&Segment| !matches!(segment, Segment::Literal(_));
        self.segments.iter().filter(is_named).count()
    }

    /// Whether no request can be told from those of the other one, whatever the names are.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.depth() == other.depth() && self.pairs(other).all(|(one, two)| one.is_same(two))
    }

    /// Whether a request's path is this one or beneath it.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        // Nothing is beneath the path `*`.
        parts.next() == Some("")
            && (self.segments.iter()).all(|segment| {
                parts
                    .next()
                    .is_some_and(|part| segment.value_in(part).is_some())
            })
    }

    /// The names and their values in a path that this one [covers](Self::covers).
    pub(crate) fn values<'p>(&'p self, path: &'p str) -> impl Iterator<Item = (&'p str, &'p str)> {
        let parts = path.split('/').skip(1);
        iter::zip(&self.segments, parts).filter_map(|(segment, part)| match segment {
            Segment::Named { name, .. } => Some((name.as_str(), segment.value_in(part)?)),
            Segment::Literal(_) | Segment::Rest => None,
        })
    }

    /// How two paths that cover one request compare: the more specific one is greater.
    pub(crate) fn specificity(&self, other: &Self) -> Ordering {
        let ranks = self
            .pairs(other)
            .map(|(one, two)| one.rank().cmp(&two.rank()));
        let first = ranks.into_iter().find(|order| order.is_ne());
        first.unwrap_or_else(|| self.depth().cmp(&other.depth()))
    }

    /// Whether everything beneath this path is more specific than a route that matches it as well.
    pub(crate) fn is_more_specific_than(&self, route: &Self) -> bool {
        for (mine, theirs) in self.pairs(route) {
            match mine.rank().cmp(&theirs.rank()) {
                Ordering::Greater => return true,
                Ordering::Less => return false,
                Ordering::Equal if mine.is_same(theirs) => {}
                // No path matches both.
                Ordering::Equal => return false,
            }
        }
        false
    }

    fn pairs<'p>(&'p self, other: &'p Self) -> impl Iterator<Item = (&'p Segment, &'p Segment)> {
        iter::zip(&self.segments, &other.segments)
    }
}

impl Segment {
    fn parse(written: &str) -> Self {
        let literal = |text: &str| text.replace("{{", "{").replace("}}", "}");
        match name_in(written) {
            None => Self::Literal(literal(written)),
            Some(range) if written[range.clone()].starts_with("{*") => Self::Rest,
            Some(range) => Self::Named {
                before: literal(&written[..range.start]),
                name: written[range.start + 1..range.end - 1].to_owned(),
                after: literal(&written[range.end..]),
            },
        }
    }

    /// What stands in this segment of a request's path for the name, if the segment matches. A name
    /// does not stand for nothing.
    fn value_in<'p>(&self, part: &'p str) -> Option<&'p str> {
        match self {
            Self::Literal(text) => (text == part).then_some(part),
            Self::Named { before, after, .. } => {
                let value = part.strip_prefix(&**before)?.strip_suffix(&**after)?;
                (!value.is_empty()).then_some(value)
            }
            Self::Rest => Some(part),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Named { before, after, .. },
                Self::Named {
                    before: other_before,
                    after: other_after,
                    ..
                },
            ) => before == other_before && after == other_after,
            _ => self == other,
        }
    }

    /// A segment that is written out goes before one with a name, and of these the one that has more
    /// written around its name goes first.
    fn rank(&self) -> (u8, usize, usize) {
        match self {
            Self::Rest => (0, 0, 0),
            Self::Named { before, after, .. } => (1, before.len(), after.len()),
            Self::Literal(_) => (2, 0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(path: &str) -> Pattern {
        Pattern::parse(path.to_owned())
    }

    #[track_caller]
    fn check(path: &str, covered: &[&str], others: &[&str]) {
        for request in covered {
            assert!(pattern(path).covers(request), "{path} covers {request}");
        }
        for request in others {
            assert!(!pattern(path).covers(request), "{path}, not {request}");
        }
    }

    #[test]
    fn pattern_covers_its_path_and_all_paths_beneath_it() {
        check(
            "/a",
            &["/a", "/a/", "/a/b/c", "/a//"],
            &["/", "/ab", "//a", "*", ""],
        );
        check(
            "/a/{x}",
            &["/a/b", "/a/b/", "/a/b/c"],
            &["/a", "/a/", "/a//b"],
        );
        check("/{x}.json", &["/a.json/b"], &["/.json", "/a.jso"]);
        check("/{{a}}", &["/{a}"], &["/{{a}}", "/a"]);
    }

    #[test]
    fn parameters_have_values() {
        let pattern = pattern("/of/{user}/v{major}.x");
        let values: Vec<_> = pattern.values("/of/ada/v7.x/rest").collect();
        assert_eq!(values, [("user", "ada"), ("major", "7")]);
    }

    #[test]
    fn literal_text_is_more_specific() {
        let rising = [
            "/{a}",
            "/{a}/x",
            "/{a}.json",
            "/v{a}",
            "/v{a}.json",
            "/x",
            "/x/{a}",
            "/x/y",
        ];
        for pair in rising.windows(2) {
            let (one, two) = (pattern(pair[0]), pattern(pair[1]));
            assert_eq!(one.specificity(&two), Ordering::Less, "{pair:?}");
            assert_eq!(two.specificity(&one), Ordering::Greater, "{pair:?}");
        }
        assert!(pattern("/{a}/x").is_same(&pattern("/{b}/x")));
        assert!(!pattern("/{a}/x").is_same(&pattern("/{a}")));
    }

    #[test]
    fn routes_beneath_a_nested_path_are_more_specific() {
        for (nested, route, expected) in [
            ("/a", "/a", false),
            ("/a", "/a/{x}", false),
            ("/a", "/a/{*x}", false),
            ("/a", "/{*x}", true),
            ("/a", "/{x}/b", true),
            ("/{x}", "/a/{*x}", false),
            ("/{x}/b", "/{y}/{*z}", true),
            ("/a/b", "/a/{x}/c", true),
            ("/a/b", "/c/{*x}", false),
        ] {
            let is = pattern(nested).is_more_specific_than(&pattern(route));
            assert_eq!(is, expected, "{nested} and {route}");
        }
    }
}
