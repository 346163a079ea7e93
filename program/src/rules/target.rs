//! The places that redirects and rewrites lead to.

use httpool::http::uri::Authority;

use super::encoding::{Part, as_query_value, normal};
use super::pattern::is_name;

/// A path or an address, with a place for the rest of the request's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Up to the rest of the path, or all without one.
    before: String,
    /// The rest, and the text after it.
    after: Option<(Part, String)>,
    fragment: Option<String>,
    /// The query of the request is kept if there is none here.
    has_query: bool,
}

/// What a target may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetKind {
    /// A path of the same host, or an address.
    Redirect,
    /// A path.
    Rewrite,
}

impl Target {
    /// Parses `/path`, `https://host/path` and the same with `{rest}`, the rest that `from` captures.
    pub(super) fn parse(
        text: &str,
        kind: TargetKind,
        capture: Option<&str>,
    ) -> Result<Self, String> {
        let (origin, local) = split_origin(text, kind)?;
        let (local, fragment) = match (local.split_once('#'), kind) {
            (None, _) => (local, None),
            (Some((local, fragment)), TargetKind::Redirect) => {
                if fragment.contains(['{', '}']) {
                    return Err("{rest} can't stand after a #".into());
                }
                (local, Some(normal(fragment, Part::Query)?))
            }
            (Some(_), TargetKind::Rewrite) => return Err("a path without #".into()),
        };
        let (before, after) = split_capture(local, capture)?;
        let (literal, mut part) = normal_local(before, Part::Path)?;
        let before = format!("{origin}{literal}");
        let after = match after {
            None => None,
            Some(after) => {
                let place = part;
                let (literal, last) = normal_local(after, place)?;
                part = last;
                Some((place, literal))
            }
        };
        let target = Self {
            before,
            after,
            fragment,
            has_query: part == Part::Query,
        };
        match target.has_dots() {
            true => Err("has a segment of dots".into()),
            false => Ok(target),
        }
    }

    fn has_dots(&self) -> bool {
        let after = self.after.as_ref().map_or("", |(_, after)| after);
        let path = |text: &str| -> bool {
            let path = text.split('?').next().unwrap_or_default();
            path.split('/').any(|segment| matches!(segment, "." | ".."))
        };
        path(&self.before) || path(after)
    }

    /// The target of a request with this rest of the path, which is in its normal form, and this
    /// query.
    pub(super) fn expand(&self, rest: &str, query: Option<&str>) -> String {
        let mut text = self.before.clone();
        match &self.after {
            None => {}
            Some((Part::Path, after)) => {
                // Browsers take a path that begins with two slashes for another host.
                let is_first = text == "/";
                text.push_str(if is_first {
                    rest.trim_start_matches('/')
                } else {
                    rest
                });
                text.push_str(after);
            }
            Some((Part::Query, after)) => {
                text.push_str(&as_query_value(rest));
                text.push_str(after);
            }
        }
        if let Some(query) = query.filter(|_| !self.has_query) {
            text.push('?');
            text.push_str(query);
        }
        if let Some(fragment) = &self.fragment {
            text.push('#');
            text.push_str(fragment);
        }
        text
    }
}

/// The scheme and host of an address, and the text after them, which begins with a slash.
fn split_origin(text: &str, kind: TargetKind) -> Result<(&str, &str), String> {
    let form = || match kind {
        TargetKind::Redirect => {
            "not a path, which starts with one slash, or an address with https://"
        }
        TargetKind::Rewrite => "not a path: it starts with one slash",
    };
    if let Some(rest) = text.strip_prefix('/') {
        // Browsers take a backslash for a slash.
        return match rest.starts_with(['/', '\\']) {
            true => Err(form().into()),
            false => Ok(("", text)),
        };
    }
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| text.starts_with(scheme))
        .filter(|_| kind == TargetKind::Redirect)
        .ok_or_else(form)?;
    let rest = &text[scheme.len()..];
    let end = rest.find(['/', '?', '#', '{', '\\']).unwrap_or(rest.len());
    let (host, local) = rest.split_at(end);
    let is_host = host.parse::<Authority>().is_ok() && !host.contains('@');
    if !is_host {
        return Err(format!("{host:?} is not a host"));
    }
    match local {
        "" => Ok((text, "")),
        local if local.starts_with('/') => Ok((&text[..scheme.len() + end], local)),
        _ => Err("a slash ends the host".into()),
    }
}

/// The parts before and after the captured rest.
fn split_capture<'a>(
    text: &'a str,
    capture: Option<&str>,
) -> Result<(&'a str, Option<&'a str>), String> {
    let Some((before, rest)) = text.split_once('{') else {
        return match text.contains('}') {
            true => Err("a closing brace is written %7D".into()),
            false => Ok((text, None)),
        };
    };
    let Some((name, after)) = rest.split_once('}') else {
        return Err("an opening brace is written %7B".into());
    };
    if after.contains(['{', '}']) {
        return Err("the rest of the path may stand once".into());
    }
    match capture {
        Some(capture) if capture == name => Ok((before, Some(after))),
        Some(capture) => Err(format!(
            "{{{name}}} is not {{{capture}}}, which from captures"
        )),
        None if is_name(name) => Err(format!("{{{name}}} needs {{{name}...}} in from")),
        None => Err("an opening brace is written %7B".into()),
    }
}

/// The normal form of a text that begins in a path or a query, and the part that it ends in.
fn normal_local(text: &str, begin: Part) -> Result<(String, Part), String> {
    match (begin, text.split_once('?')) {
        (Part::Path, Some((path, query))) => {
            let path = normal(path, Part::Path)?;
            let query = normal(query, Part::Query)?;
            Ok((format!("{path}?{query}"), Part::Query))
        }
        _ => Ok((normal(text, begin)?, begin)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn target(text: &str) -> Target {
        let target = Target::parse(text, TargetKind::Redirect, Some("rest"));
        target.expect("the target is valid")
    }

    #[test]
    fn rest_and_query_are_kept_encoded() {
        #[track_caller]
        fn check(text: &str, rest: &str, query: Option<&str>, expected: &str) {
            assert_eq!(target(text).expand(rest, query), expected);
        }
        check("/new", "x", None, "/new");
        check("/new/{rest}", "a/b%2Fc", None, "/new/a/b%2Fc");
        check("/new/{rest}", "a", Some("q=1&r"), "/new/a?q=1&r");
        check("/new/{rest}.html", "a", None, "/new/a.html");
        check("/new?x=1", "", Some("q=1"), "/new?x=1");
        check(
            "/find?path={rest}&x=1",
            "a&b=c",
            None,
            "/find?path=a%26b%3Dc&x=1",
        );
        check("/new#part", "", Some("q"), "/new?q#part");
        check("https://example.org", "", None, "https://example.org");
        check(
            "https://example.org/{rest}",
            "a",
            Some("q"),
            "https://example.org/a?q",
        );
        check("http://[::1]:80/{rest}", "/a", None, "http://[::1]:80//a");
        check("/caf\u{e9}?a b", "", None, "/caf%C3%A9?a%20b");
    }

    #[test]
    fn rest_never_names_another_host() {
        for rest in ["/evil.org", "//evil.org", "///evil.org/a"] {
            let expanded = target("/{rest}").expand(rest, None);
            assert!(expanded.starts_with("/evil.org"), "{expanded}");
            let expanded = target("/a/{rest}").expand(rest, None);
            assert!(expanded.starts_with("/a/"), "{expanded}");
        }
    }

    #[test]
    fn wrong_targets_are_errors() {
        for (text, part) in [
            ("", "not a path"),
            ("new", "not a path"),
            ("//evil.org", "one slash"),
            ("/\\evil.org", "one slash"),
            ("ftp://example.org/", "not a path"),
            ("javascript:alert(1)", "not a path"),
            ("https://", "\"\" is not a host"),
            ("https:///a", "\"\" is not a host"),
            ("https://user@example.org/", "is not a host"),
            ("https://a b/", "is not a host"),
            ("https://example.org{rest}", "a slash ends the host"),
            ("https://example.org\\evil.org/", "a slash ends the host"),
            ("https://example.org?{rest}", "a slash ends the host"),
            ("https://{rest}/", "\"\" is not a host"),
            ("/a/{other}", "{other} is not {rest}"),
            ("/{rest}/{rest}", "once"),
            ("/{rest", "%7B"),
            ("/rest}", "%7D"),
            ("/a#{rest}", "after a #"),
            ("/a/../b", "dots"),
            ("/a/%2E%2e", "dots"),
            ("/100%", "%25"),
        ] {
            let error = Target::parse(text, TargetKind::Redirect, Some("rest"));
            let error = error.expect_err("the target is wrong");
            assert!(error.contains(part), "{text}: {error}");
        }
        let rewrite = |text| Target::parse(text, TargetKind::Rewrite, None);
        for (text, part) in [
            (
                "https://example.org/",
                "not a path: it starts with one slash",
            ),
            ("/a#b", "without #"),
            ("/{rest}", "{rest} needs {rest...} in from"),
        ] {
            let error = rewrite(text).expect_err("the target is wrong");
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(rewrite("/a?b").is_ok());
    }
}
