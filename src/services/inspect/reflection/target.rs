//! The target of a request, as sent and as understood.

use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::fields::Field;
use crate::services::inspect::captured::understand;

/// A request target.
#[derive(Debug, Serialize)]
pub(super) struct Target {
    /// As it was sent.
    pub(super) sent: String,
    /// The path that routers and handlers see: its dot segments are resolved, and characters that need
    /// no encoding have none.
    pub(super) path: String,
    /// The parts of that path, decoded.
    segments: Vec<String>,
    /// The query as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
}

impl Target {
    pub(super) fn of(sent: &str) -> Self {
        let uri = understand(sent);
        let path = uri.path();
        let segments = path.strip_prefix('/').unwrap_or(path).split('/');
        Self {
            sent: sent.to_owned(),
            path: path.to_owned(),
            segments: segments
                .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
                .collect(),
            query: uri.query().map(str::to_owned),
        }
    }

    /// The pairs of the query, in their order.
    pub(super) fn query(&self) -> Vec<Field> {
        Field::pairs(self.query.as_deref().unwrap_or_default().as_bytes())
    }

    /// The first value of this name in the query.
    pub(super) fn query_value(&self, name: &str) -> Option<String> {
        let mut pairs = self.query().into_iter();
        pairs.find(|pair| pair.name == name).map(|pair| pair.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sent: &str, path: &str, segments: &[&str]) {
        let target = Target::of(sent);
        assert_eq!((&*target.sent, &*target.path), (sent, path));
        assert_eq!(target.segments, segments);
    }

    #[test]
    fn path_is_that_of_handlers() {
        check("/", "/", &[""]);
        check("/a/%62/../c%2Fd?x=%62", "/a/c%2Fd", &["a", "c/d"]);
        check("http://it/%7Eada/", "/~ada/", &["~ada", ""]);
        check("*", "*", &["*"]);
        check("/caf%C3%A9", "/caf%C3%A9", &["café"]);
    }

    #[test]
    fn query_stays_as_sent() {
        let target = Target::of("/a/../b?x=%62&x=&y");
        assert_eq!(target.query.as_deref(), Some("x=%62&x=&y"));
        assert_eq!(target.query_value("x").as_deref(), Some("b"));
        assert_eq!(target.query().len(), 3);
        assert_eq!(Target::of("/").query_value("x"), None);
    }
}
