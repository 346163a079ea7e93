//! Names and values of a query or a submitted form (`application/x-www-form-urlencoded`).

use percent_encoding::percent_decode;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_html_form::Deserializer;

use super::parse_error::{ParseError, missing_field};

/// Parses the pairs.
pub(crate) fn parse<T: DeserializeOwned>(input: &[u8]) -> Result<T, ParseError> {
    // The parser would replace invalid UTF-8 by U+FFFD.
    if percent_decode(input).decode_utf8().is_err() {
        return Err(ParseError::Client("it is not UTF-8".into()));
    }
    serde_path_to_error::deserialize(Deserializer::from_bytes(input)).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner().to_string());
        let (name, message) = match path.as_str() {
            // The error is about the whole input, or has no path.
            "." | "?" => match missing_field(&error) {
                Some(name) => (Some(name), format!("{name:?} is missing")),
                None => (None, error.clone()),
            },
            name if error == "unsupported value" && is_repeated(name, input) => {
                (Some(name), format!("{name:?} occurs more than once"))
            }
            name => (Some(name), format!("{name:?}: {error}")),
        };
        if is_about_type(&error) {
            return ParseError::Program(format!(
                "{message} (all values are text, also for the fields of a `flatten`ed struct: use two \
                 arguments instead of `flatten`, or `deserialize_with`)"
            ));
        }
        match name {
            Some(name) => ParseError::Named {
                name: name.into(),
                reason: message,
            },
            None => ParseError::Client(message),
        }
    })
}

/// Whether the error says that a type is never parsed from text. All values of a form are text, so
/// the error does not depend on the client.
fn is_about_type(error: &str) -> bool {
    ["string", "map"].iter().any(|found| {
        (error.strip_prefix("invalid type: ")).is_some_and(|rest| rest.starts_with(found))
    })
}

fn is_repeated(name: &str, input: &[u8]) -> bool {
    let all = serde_html_form::from_bytes::<Vec<(String, IgnoredAny)>>(input).unwrap_or_default();
    all.iter().filter(|(other, _)| other == name).count() > 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Page {
        from: u32,
        #[serde(default)]
        to: Option<u32>,
        #[serde(default)]
        tags: Vec<u8>,
    }

    #[track_caller]
    fn check(input: &str, expected: Result<(u32, Option<u32>, &[u8]), &str>) {
        let page = parse::<Page>(input.as_bytes());
        let page = page
            .as_ref()
            .map(|page| (page.from, page.to, &page.tags[..]));
        let page = page.map_err(ToString::to_string);
        assert_eq!(page, expected.map_err(str::to_owned), "{input}");
    }

    #[test]
    fn errors_name_the_value() {
        check("from=1", Ok((1, None, &[])));
        check("from=1&to=&tags=2&tags=3&else=4", Ok((1, None, &[2, 3])));
        check("from=x", Err("\"from\": invalid digit found in string"));
        check("from=1&to=x", Err("\"to\": invalid digit found in string"));
        check("from=1&from=2", Err("\"from\" occurs more than once"));
        check(
            "from=1&tags=1&tags=x",
            Err("\"tags[1]\": invalid digit found in string"),
        );
        check("to=1", Err("\"from\" is missing"));
    }

    #[test]
    fn input_that_is_not_utf_8_is_an_error() {
        let parse = parse::<HashMap<String, String>>;
        for input in [
            &b"a=%FF"[..],
            b"%FE=a",
            b"a=\xFF",
            b"a=%C3&b=%A9",
            b"a=%C3+%A9",
        ] {
            let error = parse(input).expect_err("the input is not UTF-8");
            assert_eq!(error.to_string(), "it is not UTF-8");
        }
        let read = parse("a=%C3%A9+%25FF&é=100%".as_bytes()).expect("the input is UTF-8");
        assert_eq!((&*read["a"], &*read["é"]), ("é %FF", "100%"));
    }

    #[test]
    fn names_from_clients_are_escaped_in_errors() {
        let error = parse::<HashMap<String, u8>>(b"a%0Ab=x").expect_err("x is not a number");
        assert_eq!(
            error.to_string(),
            "\"a\\nb\": invalid digit found in string"
        );
    }

    #[test]
    fn types_that_text_never_fits_are_program_errors() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "the test reads only errors")]
        struct Flat {
            #[serde(flatten)]
            page: Page,
        }
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "the test reads only errors")]
        struct Named {
            #[serde(flatten)]
            names: HashMap<String, String>,
        }
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "the test reads only errors")]
        struct Deep {
            page: Page,
        }
        #[track_caller]
        fn expect_program_error<T: DeserializeOwned + std::fmt::Debug>(input: &str, start: &str) {
            match parse::<T>(input.as_bytes()) {
                Err(ParseError::Program(error)) => assert!(error.starts_with(start), "{error}"),
                other => panic!("{input}: {other:?}"),
            }
        }
        let not_a_number = "invalid type: string \"1\", expected u32";
        expect_program_error::<Flat>("from=1", not_a_number);
        expect_program_error::<Deep>("page=1", "\"page\": invalid type: string \"1\"");
        expect_program_error::<u32>("a=1", "invalid type: map");
        // An error that another input would avoid is the client's.
        for input in ["", "from=1&from=2"] {
            let outcome = parse::<Flat>(input.as_bytes());
            assert!(
                matches!(
                    outcome,
                    Err(ParseError::Client(_) | ParseError::Named { .. })
                ),
                "{input}: {outcome:?}"
            );
        }
        let named = parse::<Named>(b"a=1").expect("text is parsed as text");
        assert_eq!(named.names["a"], "1");
    }
}
