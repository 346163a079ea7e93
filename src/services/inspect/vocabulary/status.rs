//! Responses with any status.

use http::StatusCode;
use http::header::{
    ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, PROXY_AUTHENTICATE, WWW_AUTHENTICATE,
};

use super::input::{Pairs, bad, status};
use super::table::Table;
use crate::message::{IntoResponse, Problem, Response};
use crate::services::inspect::random::Random;
use crate::web::extract::Path;

/// The challenge of a 401 and a 407.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"httpool\"");

pub(super) fn add(table: Table) -> Table {
    table.any(
        "/status/{codes}",
        "this status, or one of several by weight: /status/200:9,503:1 (?seed=)",
        respond,
    )
}

fn respond(Path(codes): Path<String>, query: Pairs) -> Result<Response, Problem> {
    let choices = codes
        .split(',')
        .map(choice)
        .collect::<Result<Vec<_>, _>>()?;
    let random = query.random()?;
    match choices[..] {
        [(status, _)] => Ok(with_status(status)),
        _ => choose(&choices, random).map(with_status),
    }
}

/// A status with its weight.
fn choice(text: &str) -> Result<(StatusCode, f64), Problem> {
    let (code, weight) = text.split_once(':').unwrap_or((text, "1"));
    let weight = weight
        .parse()
        .ok()
        .filter(|weight: &f64| weight.is_finite() && *weight >= 0.0);
    let weight = weight.ok_or_else(|| bad(format!("{text:?} has no weight of 0 or more")))?;
    Ok((status(code)?, weight))
}

fn choose(choices: &[(StatusCode, f64)], mut random: Random) -> Result<StatusCode, Problem> {
    let total: f64 = choices.iter().map(|(_, weight)| weight).sum();
    if !(total.is_finite() && total > 0.0) {
        return Err(bad("the sum of the weights is not a number above 0"));
    }
    let mut left = random.fraction() * total;
    let found = choices.iter().find(|(_, weight)| {
        left -= weight;
        left < 0.0
    });
    let found = found.or_else(|| choices.iter().rfind(|(_, weight)| *weight > 0.0));
    found
        .map(|(status, _)| *status)
        .ok_or_else(|| bad("there is no status"))
}

/// The status with the headers without which it would be malformed, or which clients act on.
fn with_status(status: StatusCode) -> Response {
    let mut response = status.into_response();
    let header: Option<(HeaderName, HeaderValue)> = match status.as_u16() {
        300..=303 | 305 | 307 | 308 => Some((LOCATION, HeaderValue::from_static("/redirect/1"))),
        401 => Some((WWW_AUTHENTICATE, CHALLENGE)),
        405 => Some((ALLOW, HeaderValue::from_static("GET, HEAD"))),
        407 => Some((PROXY_AUTHENTICATE, CHALLENGE)),
        418 => {
            *response.body_mut() = "I'm a teapot\n".into();
            Some((CONTENT_TYPE, HeaderValue::from_static("text/plain")))
        }
        _ => None,
    };
    response.headers_mut().extend(header);
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::{client, expect_bad, get};

    #[test]
    fn status_is_the_one_that_is_asked_for() {
        for status in [200, 204, 304, 404, 418, 451, 500, 503, 599, 799, 999] {
            let target = format!("/status/{status}");
            assert_eq!(get(&target).status(), status);
            assert_eq!(client().delete(&target).send().status(), status);
        }
        assert_eq!(get("/status/302").header("location"), Some("/redirect/1"));
        assert_eq!(
            get("/status/401").header("www-authenticate"),
            Some("Basic realm=\"httpool\"")
        );
    }

    #[test]
    fn statuses_are_chosen_by_weight() {
        let counted = |weights: &str| {
            let client = client();
            let status = |seed| {
                client
                    .get(&format!("/status/{weights}?seed={seed}"))
                    .send()
                    .status()
            };
            (0..200)
                .map(|seed| status(seed).as_u16())
                .collect::<Vec<_>>()
        };
        let all = counted("200:3,503:1");
        assert_eq!(all, counted("200:3,503:1"), "a seed fixes the choice");
        let ok = all.iter().filter(|status| **status == 200).count();
        assert!((120..180).contains(&ok), "{ok}");
        assert_eq!(
            BTreeSet::from_iter(counted("200:0,404,503:0")),
            BTreeSet::from([404])
        );
    }

    #[test]
    fn malformed_statuses_are_rejected() {
        expect_bad(&[
            "/status/x",
            "/status/99",
            "/status/100",
            "/status/199",
            "/status/1000",
            "/status/-200",
            "/status/2e2",
            "/status/200,",
            "/status/,",
            "/status/200:x",
            "/status/200:-1,201",
            "/status/200:NaN,201",
            "/status/200:inf,201",
            "/status/200:0,201:0",
            "/status/200:1e308,201:1e308",
            "/status/200,201?seed=x",
            "/status/%00",
            "/status/200%0D%0Aa:b",
        ]);
    }
}
