//! Redirects.

use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, LOCATION};

use super::input::{Pairs, bad};
use super::table::Table;
use crate::message::{IntoResponse, Problem, Redirect, Response};
use crate::services::inspect::captured::Captured;
use crate::web::extract::Path;

/// Keeps search engines from a target that a client has chosen.
const ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

pub(super) fn add(table: Table) -> Table {
    table
        .get(
            "/redirect/{n}",
            "n redirects, then /get (?absolute=true)",
            redirect,
        )
        .get(
            "/relative-redirect/{n}",
            "the same with relative targets",
            relative,
        )
        .get(
            "/absolute-redirect/{n}",
            "the same with absolute targets",
            absolute,
        )
        .any(
            "/redirect-to",
            "a redirect to ?url=, which is relative, http or https (?status_code=)",
            redirect_to,
        )
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Relative,
    Absolute,
}

fn redirect(Path(count): Path<u64>, query: Pairs, captured: Captured) -> Result<Response, Problem> {
    let is_absolute = query
        .get("absolute")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let kind = if is_absolute {
        Kind::Absolute
    } else {
        Kind::Relative
    };
    next(kind, count, &captured)
}

fn relative(Path(count): Path<u64>, captured: Captured) -> Result<Response, Problem> {
    next(Kind::Relative, count, &captured)
}

fn absolute(Path(count): Path<u64>, captured: Captured) -> Result<Response, Problem> {
    next(Kind::Absolute, count, &captured)
}

/// The first of this many redirects.
fn next(kind: Kind, count: u64, captured: &Captured) -> Result<Response, Problem> {
    let target = match (kind, count) {
        (_, 0) => return Err(bad("the number of redirects is 1 or more")),
        (_, 1) => "/get".to_owned(),
        (Kind::Relative, _) => format!("/relative-redirect/{}", count - 1),
        (Kind::Absolute, _) => format!("/absolute-redirect/{}", count - 1),
    };
    Ok(found(&match kind {
        Kind::Relative => target,
        Kind::Absolute => format!("{}://{}{target}", captured.scheme(), captured.host()),
    }))
}

/// A 302 to this target.
pub(super) fn found(target: &str) -> Response {
    let mut response = Redirect::to(target).into_response();
    *response.status_mut() = StatusCode::FOUND;
    response
}

fn redirect_to(query: Pairs) -> Result<Response, Problem> {
    let target = query.get("url").ok_or_else(|| bad("?url= is missing"))?;
    check_target(target)?;
    let status = match query.get("status_code") {
        Some(code) => {
            let status = code.parse().ok().filter(StatusCode::is_redirection);
            status.ok_or_else(|| bad(format!("status_code={code:?} is not from 300 to 399")))?
        }
        None => StatusCode::FOUND,
    };
    let mut response = found(target);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ROBOTS_TAG, HeaderValue::from_static("noindex, nofollow"));
    debug_assert!(headers.contains_key(LOCATION));
    Ok(response)
}

/// Allows targets that every client understands as relative, or as of the schemes http and https.
/// Browsers drop tabs and line ends from URLs, so that `java\tscript:` is a scheme for them.
fn check_target(target: &str) -> Result<(), Problem> {
    if target
        .chars()
        .any(|character| character.is_control() || character == ' ')
    {
        return Err(bad("?url= has a space or a control character"));
    }
    let end = target.find([':', '/', '?', '#', '\\']);
    let scheme = end
        .filter(|end| target[*end..].starts_with(':'))
        .map(|end| &target[..end]);
    match scheme {
        None => Ok(()),
        Some(scheme)
            if ["http", "https"]
                .iter()
                .any(|is| scheme.eq_ignore_ascii_case(is)) =>
        {
            Ok(())
        }
        Some(_) => Err(bad(
            "?url= is neither relative nor of the schemes http and https",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{client, expect_bad, get};

    #[test]
    fn redirects_count_down() {
        for (target, location) in [
            ("/redirect/1", "/get"),
            ("/redirect/3", "/relative-redirect/2"),
            (
                "/redirect/3?absolute=true",
                "http://localhost/absolute-redirect/2",
            ),
            ("/redirect/1?absolute=True", "http://localhost/get"),
            ("/relative-redirect/2", "/relative-redirect/1"),
            (
                "/absolute-redirect/2",
                "http://localhost/absolute-redirect/1",
            ),
            ("/absolute-redirect/1", "http://localhost/get"),
        ] {
            let response = get(target);
            assert_eq!(response.status(), 302, "{target}");
            assert_eq!(response.header("location"), Some(location), "{target}");
        }
    }

    #[test]
    fn target_and_status_can_be_chosen() {
        for (query, status, location) in [
            ("url=/get", 302, "/get"),
            (
                "url=https%3A%2F%2Fexample.com%2Fa%3Fb&status_code=308",
                308,
                "https://example.com/a?b",
            ),
            ("URL=HTTP://a&Status_Code=307", 307, "HTTP://a"),
            ("url=a/b:c", 302, "a/b:c"),
            ("url=?a:b", 302, "?a:b"),
            ("url=/%C3%A9", 302, "/%C3%A9"),
        ] {
            let response = client().post(&format!("/redirect-to?{query}")).send();
            assert_eq!(response.status(), status, "{query}");
            assert_eq!(response.header("location"), Some(location), "{query}");
            assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
            assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        }
    }

    #[test]
    fn hostile_redirects_are_rejected() {
        expect_bad(&[
            "/redirect/0",
            "/redirect/-1",
            "/redirect/x",
            "/redirect/99999999999999999999",
            "/redirect-to",
            "/redirect-to?url=javascript:alert(1)",
            "/redirect-to?url=java%09script:alert(1)",
            "/redirect-to?url=%0Ajavascript:alert(1)",
            "/redirect-to?url=%20javascript:alert(1)",
            "/redirect-to?url=data:text/html,x",
            "/redirect-to?url=file:///etc/passwd",
            "/redirect-to?url=:x",
            "/redirect-to?url=/%0D%0ASet-Cookie:a=b",
            "/redirect-to?url=/%00",
            "/redirect-to?url=/&status_code=200",
            "/redirect-to?url=/&status_code=400",
            "/redirect-to?url=/&status_code=x",
        ]);
    }
}
