//! Cookies: shown, set and deleted.

use http::StatusCode;
use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use serde_json::json;

use super::document;
use super::input::{Pairs, bad};
use super::redirects::found;
use super::table::Table;
use crate::message::{Problem, Response};
use crate::services::inspect::captured::Captured;
use crate::services::inspect::live::is_cross_site;
use crate::web::extract::Path;

pub(super) fn add(table: Table) -> Table {
    table
        .get("/cookies", "your cookies", show)
        .get(
            "/cookies/set",
            "sets a cookie for each pair of the query, then /cookies",
            set,
        )
        .get(
            "/cookies/set/{name}/{value}",
            "sets this cookie, then /cookies",
            set_one,
        )
        .get(
            "/cookies/delete",
            "deletes the cookies of the query, then /cookies",
            delete,
        )
}

fn show(headers: HeaderMap) -> Response {
    document::respond(json!({"cookies": document::pairs(&sent(&headers))}))
}

/// The names and values of all cookies of a request.
pub(super) fn sent(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.get_all(COOKIE).iter().flat_map(pairs).collect()
}

/// The names and values of a `Cookie` header.
fn pairs(header: &HeaderValue) -> Vec<(String, String)> {
    let header = String::from_utf8_lossy(header.as_bytes());
    let pair = |pair: &str| {
        let (name, value) = pair.trim().split_once('=')?;
        let value = value.trim();
        let quoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        Some((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()))
    };
    header.split(';').filter_map(pair).collect()
}

fn set(query: Pairs, captured: Captured) -> Result<Response, Problem> {
    redirect(&query.0, &captured, set_cookie)
}

fn set_one(Path(pair): Path<(String, String)>, captured: Captured) -> Result<Response, Problem> {
    redirect(&[pair], &captured, set_cookie)
}

fn delete(query: Pairs, captured: Captured) -> Result<Response, Problem> {
    redirect(&query.0, &captured, |name, _, secure| {
        set_cookie(
            name,
            "",
            &format!("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT{secure}"),
        )
    })
}

/// A redirect to `/cookies` with a `Set-Cookie` for each pair.
fn redirect(
    pairs: &[(String, String)],
    captured: &Captured,
    cookie: impl Fn(&str, &str, &str) -> Result<HeaderValue, Problem>,
) -> Result<Response, Problem> {
    check_site(&captured.headers())?;
    let secure = if captured.scheme() == "https" {
        "; Secure"
    } else {
        ""
    };
    let mut response = found("/cookies");
    for (name, value) in pairs {
        response
            .headers_mut()
            .append(SET_COOKIE, cookie(name, value, secure)?);
    }
    Ok(response)
}

/// Rejects a request that a page of another site made. Ports do not separate cookies, so it would set
/// cookies for all servers of this host.
pub(super) fn check_site(headers: &HeaderMap) -> Result<(), Problem> {
    match is_cross_site(headers) {
        true => {
            let detail = "pages of other sites may not set cookies here";
            Err(Problem::new(StatusCode::FORBIDDEN).detail(detail))
        }
        false => Ok(()),
    }
}

/// A cookie of this host (RFC 6265 section 4.1.1). A value with spaces or commas is quoted, if it is
/// not given in quotes.
fn set_cookie(name: &str, value: &str, attributes: &str) -> Result<HeaderValue, Problem> {
    let is_name = HeaderName::from_bytes(name.as_bytes()).is_ok();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let is_value = unquoted
        .unwrap_or(value)
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && !b"\";\\".contains(&byte));
    if !is_name || !is_value {
        return Err(bad(format!("{name:?}={value:?} is not a valid cookie")));
    }
    let needs_quotes = unquoted.is_none() && value.contains([' ', ',']);
    let quote = if needs_quotes { "\"" } else { "" };
    HeaderValue::try_from(format!("{name}={quote}{value}{quote}; Path=/{attributes}"))
        .map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{client, expect_bad, get, member};

    #[test]
    fn cookies_are_shown() {
        let response = client()
            .get("/cookies")
            .header("cookie", "a=1; b=\"x y\"; c=; d; a=2")
            .send();
        assert_eq!(
            member(&response, "/cookies"),
            json!({"a": ["1", "2"], "b": "x y", "c": ""})
        );
        assert_eq!(member(&get("/cookies"), "/cookies"), json!({}));
    }

    #[test]
    fn cookies_are_set_and_deleted() {
        for (target, expected) in [
            (
                "/cookies/set?a=1&b=x%20y",
                &["a=1; Path=/", "b=\"x y\"; Path=/"][..],
            ),
            ("/cookies/set/a/1%3D2", &["a=1=2; Path=/"]),
            (
                "/cookies/set?a=%22b:c%20d%22&e=%22%22",
                &["a=\"b:c d\"; Path=/", "e=\"\"; Path=/"],
            ),
            (
                "/cookies/delete?a=&b",
                &[
                    "a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                    "b=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                ],
            ),
        ] {
            let response = get(target);
            assert_eq!(
                (response.status().as_u16(), response.header("location")),
                (302, Some("/cookies"))
            );
            let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
            assert_eq!(cookies, expected, "{target}");
        }
    }

    #[test]
    fn hostile_cookies_are_rejected() {
        expect_bad(&[
            "/cookies/set?a=1%0D%0Ab:c",
            "/cookies/set?a=1%3B%20Domain%3Dexample.com",
            "/cookies/set?a%3B=1",
            "/cookies/set?=1",
            "/cookies/set?a=%C3%A9",
            "/cookies/set?a=%00",
            "/cookies/set/a%20b/1",
            "/cookies/set/a/%22",
            "/cookies/set/a/%22b",
            "/cookies/set/a/%22b%22c%22",
            "/cookies/delete?a%0D%0Ab",
        ]);
        for site in ["cross-site", "same-site"] {
            let request = client();
            let request = request
                .get("/cookies/set?a=1")
                .header("sec-fetch-site", site);
            assert_eq!(request.send().status(), 403);
        }
    }
}
