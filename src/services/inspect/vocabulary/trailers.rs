//! Trailers that the client chooses.

use http::header::{HeaderMap, HeaderName, HeaderValue, TRAILER};

use super::document;
use super::input::{Pairs, bad};
use super::table::Table;
use crate::message::headers::trailers::allowed;
use crate::message::{Body, Problem, Response};
use crate::services::inspect::captured::Captured;

pub(super) fn add(table: Table) -> Table {
    table.any(
        "/trailers",
        "your request, with the pairs of the query as trailers",
        respond,
    )
}

fn respond(query: Pairs, captured: Captured) -> Result<Response, Problem> {
    let trailers = parse(&query)?;
    let names: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
    let names = names.join(", ");
    let mut response = document::respond(document::of_all(&captured));
    let content = std::mem::take(response.body_mut()).into_bytes();
    *response.body_mut() = Body::from(content).with_trailers(move || trailers);
    if !names.is_empty() {
        let names = HeaderValue::try_from(names).map_err(|error| bad(error.to_string()))?;
        response.headers_mut().insert(TRAILER, names);
    }
    Ok(response)
}

/// The pairs as trailers, if all of them may be sent (RFC 9110 section 6.5.1).
fn parse(query: &Pairs) -> Result<HeaderMap, Problem> {
    let mut trailers = HeaderMap::new();
    for (name, value) in &query.0 {
        let invalid = |_| bad(format!("{name:?}: {value:?} is not a valid trailer"));
        let header = HeaderName::try_from(name).map_err(|error| invalid(error.to_string()))?;
        let value = HeaderValue::try_from(value).map_err(|error| invalid(error.to_string()))?;
        trailers.append(header, value);
    }
    match allowed(&trailers).count() == trailers.len() {
        true => Ok(trailers),
        false => Err(bad(
            "a header of framing, routing or authentication can't be a trailer",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{client, expect_bad, get, member};

    #[test]
    fn trailers_follow_the_content() {
        let response = client()
            .post("/trailers?X-Sum=1&x-sum=2&b=c")
            .body("hello")
            .send();
        assert_eq!(member(&response, "/data"), "hello");
        assert_eq!(response.header("trailer"), Some("x-sum, b"));
        assert!(response.trailers().get_all("x-sum").iter().eq(["1", "2"]));
        assert_eq!(response.trailers()["b"], "c");
        let response = get("/trailers");
        assert!(response.trailers().is_empty() && response.header("trailer").is_none());
    }

    #[test]
    fn hostile_trailers_are_rejected() {
        expect_bad(&[
            "/trailers?content-length=1",
            "/trailers?Set-Cookie=a",
            "/trailers?a%20b=c",
            "/trailers?a=b%0D%0Ac:d",
            "/trailers?a=%00",
        ]);
    }
}
