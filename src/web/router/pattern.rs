//! The segments of a route's path, and which of two paths is more specific.
//!
//! matchit chooses between routes. A nested fallback is not a route, because matchit rejects a
//! catch-all beside a route with a parameter in the same place, for example `/static/{name}`. So
//! nested routers are compared with routes here, in matchit's own order.

use std::cmp::Ordering;
use std::iter;

use super::path::find_parameter;
use crate::message::MatchedPath;

/// The path of a route in normal form.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    path: MatchedPath,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `{name}`, with the literal text before and after it in the same segment.
    Parameter {
        prefix: String,
        name: String,
        suffix: String,
    },
    /// `{*name}`.
    CatchAll {
        name: String,
    },
}

impl Pattern {
    /// Parses a path that matchit accepts.
    pub(crate) fn parse(path: &str) -> Self {
        let segments = path.split('/').skip(1).map(Segment::parse).collect();
        Self {
            path: MatchedPath::new(path),
            segments,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.path.as_str()
    }

    /// The path, for functions and observers.
    pub(crate) fn matched_path(&self) -> &MatchedPath {
        &self.path
    }

    /// The number of segments, which is the number of slashes.
    pub(crate) fn depth(&self) -> usize {
        self.segments.len()
    }

    /// The number of parameters.
    pub(crate) fn parameter_count(&self) -> usize {
        let is_parameter = |segment: &&Segment| !matches!(segment, Segment::Literal(_));
        self.segments.iter().filter(is_parameter).count()
    }

    /// The names of the parameters.
    pub(crate) fn parameter_names(&self) -> Vec<String> {
        let names = self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter { name, .. } | Segment::CatchAll { name } => Some(name.clone()),
            Segment::Literal(_) => None,
        });
        names.collect()
    }

    /// Whether both match the same requests, regardless of the names of parameters.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.depth() == other.depth() && self.pairs(other).all(|(one, two)| one.is_same(two))
    }

    /// Whether this pattern matches the path of a request or a prefix of its segments.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        // The path `*` has no segments.
        parts.next() == Some("")
            && (self.segments.iter()).all(|segment| {
                parts
                    .next()
                    .is_some_and(|part| segment.value_in(part).is_some())
            })
    }

    /// The parameters and their values in a path that this pattern [covers](Self::covers).
    pub(crate) fn values<'p>(&'p self, path: &'p str) -> impl Iterator<Item = (&'p str, &'p str)> {
        let parts = path.split('/').skip(1);
        iter::zip(&self.segments, parts).filter_map(|(segment, part)| match segment {
            Segment::Parameter { name, .. } => Some((name.as_str(), segment.value_in(part)?)),
            Segment::Literal(_) | Segment::CatchAll { .. } => None,
        })
    }

    /// Compares two patterns that cover the same request. The more specific one is greater.
    pub(crate) fn specificity(&self, other: &Self) -> Ordering {
        let ranks = self
            .pairs(other)
            .map(|(one, two)| one.rank().cmp(&two.rank()));
        let first = ranks.into_iter().find(|order| order.is_ne());
        first.unwrap_or_else(|| self.depth().cmp(&other.depth()))
    }

    /// Whether all paths beneath this one are more specific than a route that also matches them.
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
        match find_parameter(written) {
            None => Self::Literal(literal(written)),
            Some(range) if written[range.clone()].starts_with("{*") => Self::CatchAll {
                name: written[range.start + 2..range.end - 1].to_owned(),
            },
            Some(range) => Self::Parameter {
                prefix: literal(&written[..range.start]),
                name: written[range.start + 1..range.end - 1].to_owned(),
                suffix: literal(&written[range.end..]),
            },
        }
    }

    /// The value of the parameter in this segment of a request's path, if the segment matches. A
    /// value is not empty.
    fn value_in<'p>(&self, part: &'p str) -> Option<&'p str> {
        match self {
            Self::Literal(text) => (text == part).then_some(part),
            Self::Parameter { prefix, suffix, .. } => {
                let value = part.strip_prefix(&**prefix)?.strip_suffix(&**suffix)?;
                (!value.is_empty()).then_some(value)
            }
            Self::CatchAll { .. } => Some(part),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Parameter { prefix, suffix, .. },
                Self::Parameter {
                    prefix: other_prefix,
                    suffix: other_suffix,
                    ..
                },
            ) => prefix == other_prefix && suffix == other_suffix,
            (Self::CatchAll { .. }, Self::CatchAll { .. }) => true,
            _ => self == other,
        }
    }

    /// Literal segments rank above segments with a parameter. Of these, the one with more literal
    /// text ranks higher.
    fn rank(&self) -> (u8, usize, usize) {
        match self {
            Self::CatchAll { .. } => (0, 0, 0),
            Self::Parameter { prefix, suffix, .. } => (1, prefix.len(), suffix.len()),
            Self::Literal(_) => (2, 0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(path: &str) -> Pattern {
        Pattern::parse(path)
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
