//! The headers that a client may choose for a response to it.

use http::{HeaderName, HeaderValue};

use crate::message::headers::connection::is_of_the_connection;

/// Headers that protect a browser from the content of a response.
const PROTECTING: [&str; 2] = ["content-security-policy", "x-content-type-options"];

/// Headers by which a browser treats later requests in another way, or leaves the page.
const KEPT_BY_BROWSERS: [&str; 17] = [
    "accept-ch",
    "alt-svc",
    "clear-site-data",
    "critical-ch",
    "expect-ct",
    "nel",
    "origin-agent-cluster",
    "origin-trial",
    "permissions-policy",
    "public-key-pins",
    "public-key-pins-report-only",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-login",
    "strict-transport-security",
];

/// The start of the names of headers by which a page of another site may read a response (CORS), or
/// share a process with it.
const OPENING: [&str; 3] = ["access-control-", "cross-origin-", "timing-allow-origin"];

/// Checks a header of `/response-headers`, whose content shows nothing else.
///
/// # Errors
///
/// If the client may not choose it, with the reason.
pub(super) fn check(name: &HeaderName) -> Result<(), &'static str> {
    if is_of_the_connection(name) {
        return Err("the server sets it");
    }
    let name = name.as_str();
    if PROTECTING.contains(&name) {
        return Err("it protects browsers from the content");
    }
    if KEPT_BY_BROWSERS.contains(&name) {
        return Err("it has effects beyond this response in a browser");
    }
    Ok(())
}

/// Checks a header of a fault, which any response may get.
///
/// # Errors
///
/// If no client may choose it, with the reason.
pub(super) fn check_for_fault(name: &HeaderName, value: &HeaderValue) -> Result<(), &'static str> {
    check(name)?;
    match name.as_str() {
        "set-cookie" | "set-cookie2" => {
            Err("a cookie is valid for every server of this host; /cookies/set sets one")
        }
        "location" if !is_path(value) => {
            Err("it leads to a path of this server only; /redirect-to leads to others")
        }
        name if OPENING.iter().any(|start| name.starts_with(start)) => {
            Err("pages of other sites could read what this server shows")
        }
        _ => Ok(()),
    }
}

/// Whether this target is a path of the same server. Browsers take `\` for `/`, and two of them begin a
/// host.
fn is_path(target: &HeaderValue) -> bool {
    match target.as_bytes() {
        [b'/', b'/' | b'\\', ..] => false,
        target => target.first() == Some(&b'/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_both(name: &'static str, value: &'static str) -> (bool, bool) {
        let (name, value) = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        let chosen = check(&name).is_ok();
        (chosen, check_for_fault(&name, &value).is_ok())
    }

    #[test]
    fn harmful_headers_are_refused() {
        for name in [
            "connection",
            "transfer-encoding",
            "content-security-policy",
            "strict-transport-security",
            "refresh",
        ] {
            assert_eq!(check_both(name, "x"), (false, false), "{name}");
        }
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("timing-allow-origin", "*"),
            ("set-cookie", "a=1"),
            ("location", "https://evil.example/"),
            ("location", "//evil.example/"),
            ("location", "/\\evil.example/"),
            ("location", "x"),
            ("location", ""),
        ] {
            assert_eq!(check_both(name, value), (true, false), "{name}: {value}");
        }
        for (name, value) in [
            ("retry-after", "1"),
            ("content-type", "text/html"),
            ("www-authenticate", "Basic"),
            ("location", "/"),
            ("location", "/a//b?c"),
        ] {
            assert_eq!(check_both(name, value), (true, true), "{name}: {value}");
        }
    }
}
