//! The paths that a redirect or rewrite is for.

use super::encoding::{Part, normal};

/// One path, or all paths beneath a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The path in its normal form; beneath a folder, up to its slash.
    path: String,
    /// The name of the rest of the path, if there may be one.
    pub(super) capture: Option<String>,
}

impl Pattern {
    /// Parses `/path` or `/folder/{rest...}`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("not a path: it starts with a slash".into());
        }
        if text.contains(['?', '#']) {
            return Err("a path without ? and #: the query is not compared".into());
        }
        let (path, capture) = match text.split_once('{') {
            None => (text, None),
            Some((path, rest)) => match rest.strip_suffix("...}") {
                Some(name) if path.ends_with('/') && is_name(name) => (path, Some(name.to_owned())),
                _ => {
                    return Err(
                        "a brace begins {rest...}, which stands at the end, after a slash".into(),
                    );
                }
            },
        };
        let path = normal(path, Part::Path)?;
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err("has a segment of dots, which no request has".into());
        }
        Ok(Self { path, capture })
    }

    /// The rest of this path if it is one of these paths.
    pub(super) fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.path)?;
        (rest.is_empty() || self.capture.is_some()).then_some(rest)
    }

    /// A path that this is for, and its rest.
    pub(super) fn example(&self) -> &'static str {
        match self.capture {
            Some(_) => "x",
            None => "",
        }
    }
}

/// Whether this names the rest of a path.
pub(super) fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_paths_and_folders_match() {
        #[track_caller]
        fn check(pattern: &str, path: &str, expected: Option<&str>) {
            let pattern = Pattern::parse(pattern).expect("the pattern is valid");
            assert_eq!(pattern.rest(path), expected, "{pattern:?} {path}");
        }
        check("/a", "/a", Some(""));
        check("/a", "/a/", None);
        check("/a", "/ab", None);
        check("/a/{rest...}", "/a/", Some(""));
        check("/a/{rest...}", "/a/b/c", Some("b/c"));
        check("/a/{rest...}", "/a//b", Some("/b"));
        check("/a/{rest...}", "/a", None);
        check("/a/{rest...}", "/ab/c", None);
        check("/{all...}", "/", Some(""));
        check("/{all...}", "*", None);
        check("/caf\u{e9}", "/caf%C3%A9", Some(""));
        check("/%61", "/a", Some(""));
    }

    #[test]
    fn wrong_patterns_are_errors() {
        for (text, part) in [
            ("", "starts with a slash"),
            ("a", "starts with a slash"),
            ("https://example.org/", "starts with a slash"),
            ("/a?b", "without ? and #"),
            ("/a#b", "without ? and #"),
            ("/a{rest...}", "after a slash"),
            ("/{rest...}/b", "at the end"),
            ("/{rest}", "a brace begins {rest...}"),
            ("/{...}", "a brace begins {rest...}"),
            ("/{a...}{b...}", "a brace begins {rest...}"),
            ("/a/../b", "dots"),
            ("/%2e/b", "dots"),
            ("/100%", "%25"),
        ] {
            let error = Pattern::parse(text).expect_err("the pattern is wrong");
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
