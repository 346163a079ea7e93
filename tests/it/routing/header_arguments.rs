//! Headers as arguments, parsed into types.

use httpool::Router;
use httpool::extract::TypedHeader;
use httpool::headers_core::{Error, Header};
use httpool::http::{HeaderName, HeaderValue};

use super::Protocol;
use crate::support::TestServer;

/// A number in the header `x-stars`.
#[derive(Debug)]
struct Stars(u8);

/// All numbers of the header `x-numbers`.
#[derive(Debug)]
struct Numbers(Vec<u8>);

static STARS: HeaderName = HeaderName::from_static("x-stars");
static NUMBERS: HeaderName = HeaderName::from_static("x-numbers");

fn number(value: &HeaderValue) -> Result<u8, Error> {
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.ok_or_else(Error::invalid)
}

impl Header for Stars {
    fn name() -> &'static HeaderName {
        &STARS
    }

    fn decode<'v, I: Iterator<Item = &'v HeaderValue>>(values: &mut I) -> Result<Self, Error> {
        number(values.next().ok_or_else(Error::invalid)?).map(Self)
    }

    fn encode<E: Extend<HeaderValue>>(&self, values: &mut E) {
        values.extend([HeaderValue::from(u16::from(self.0))]);
    }
}

impl Header for Numbers {
    fn name() -> &'static HeaderName {
        &NUMBERS
    }

    fn decode<'v, I: Iterator<Item = &'v HeaderValue>>(values: &mut I) -> Result<Self, Error> {
        values.map(number).collect::<Result<_, _>>().map(Self)
    }

    fn encode<E: Extend<HeaderValue>>(&self, values: &mut E) {
        let all = self.0.iter();
        values.extend(all.map(|number| HeaderValue::from(u16::from(*number))));
    }
}

#[test]
fn headers_are_parsed_and_sent() {
    let router: Router = Router::new()
        .get("/", |TypedHeader(Stars(stars)): TypedHeader<Stars>| {
            (TypedHeader(Numbers(vec![stars, stars + 1])), "ok")
        })
        .get("/maybe", |stars: Option<TypedHeader<Stars>>| {
            format!("{stars:?}")
        })
        .get("/all", |numbers: TypedHeader<Numbers>| {
            format!("{numbers:?}")
        });
    let server = TestServer::spawn(|builder| builder, router);
    for protocol in Protocol::BOTH {
        let send = |target, headers: &[_]| protocol.send(&server, ("GET", target), headers, b"");
        let response = send("/", &[("x-stars", "4")]);
        let numbers = response
            .headers
            .iter()
            .filter(|(name, _)| name == "x-numbers");
        let numbers: Vec<_> = numbers.map(|(_, value)| &**value).collect();
        assert_eq!(
            (response.status, numbers),
            (200, vec!["4", "5"]),
            "{protocol:?}"
        );
        for (target, headers, status, text) in [
            (
                "/",
                vec![],
                400,
                "400 Bad Request: the header x-stars is missing\n",
            ),
            (
                "/",
                vec![("x-stars", "many")],
                400,
                "400 Bad Request: the header x-stars is invalid\n",
            ),
            // Another reader might use the second value.
            (
                "/",
                vec![("x-stars", "1"), ("x-stars", "2")],
                400,
                "400 Bad Request: the header x-stars is invalid\n",
            ),
            ("/maybe", vec![], 200, "None"),
            (
                "/maybe",
                vec![("x-stars", "4")],
                200,
                "Some(TypedHeader(Stars(4)))",
            ),
            (
                "/maybe",
                vec![("x-stars", "")],
                400,
                "400 Bad Request: the header x-stars is invalid\n",
            ),
            (
                "/all",
                vec![("x-numbers", "1"), ("x-numbers", "2")],
                200,
                "TypedHeader(Numbers([1, 2]))",
            ),
        ] {
            let response = send(target, &headers);
            let is = (response.status, &*response.text());
            assert_eq!(is, (status, text), "{protocol:?} {target} {headers:?}");
        }
    }
}
