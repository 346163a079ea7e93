//! Names and values as forms send them, in a query or a body (`application/x-www-form-urlencoded`).

use percent_encoding::percent_decode;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_html_form::Deserializer;

use super::parameters::Mismatch;

/// What they say, or why they say nothing that was wanted.
pub(crate) fn parse<T: DeserializeOwned>(input: &[u8]) -> Result<T, Mismatch> {
    // The parser would put the same character in the place of everything that is none.
    if percent_decode(input).decode_utf8().is_err() {
        return Err(Mismatch::OfValue("it is not UTF-8".into()));
    }
    serde_path_to_error::deserialize(Deserializer::from_bytes(input)).map_err(|error| {
        let (path, why) = (error.path().to_string(), error.into_inner().to_string());
        let said = match path.as_str() {
            // It is about all of them, or none that has a name.
            "." | "?" => why.clone(),
            name if why == "unsupported value" && is_repeated(name, input) => {
                format!("{name:?} is there more than once")
            }
            name => format!("{name:?}: {why}"),
        };
        if fits_no_text(&why) {
            return Mismatch::OfProgram(format!(
                "{said} (values are text, and a field with `flatten` is given them as text: write \
                 two arguments in the place of `flatten`, or a `deserialize_with`)"
            ));
        }
        Mismatch::OfValue(said)
    })
}

/// Whether the type of a value, or of all, is one that is never read from text. Every value of a form
/// is text, so no client could send another one.
fn fits_no_text(why: &str) -> bool {
    ["string", "map"].iter().any(|found| {
        (why.strip_prefix("invalid type: ")).is_some_and(|rest| rest.starts_with(found))
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
        let expected = expected.map_err(|why| Mismatch::OfValue(why.to_owned()));
        assert_eq!(page, expected.as_ref().copied(), "{input}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("from=1", Ok((1, None, &[])));
        check("from=1&to=&tags=2&tags=3&else=4", Ok((1, None, &[2, 3])));
        check("from=x", Err("\"from\": invalid digit found in string"));
        check("from=1&to=x", Err("\"to\": invalid digit found in string"));
        check("from=1&from=2", Err("\"from\" is there more than once"));
        check(
            "from=1&tags=1&tags=x",
            Err("\"tags[1]\": invalid digit found in string"),
        );
        check("to=1", Err("missing field `from`"));
    }

    #[test]
    fn what_is_not_utf_8_is_nothing() {
        let parse = parse::<HashMap<String, String>>;
        for input in [
            &b"a=%FF"[..],
            b"%FE=a",
            b"a=\xFF",
            b"a=%C3&b=%A9",
            b"a=%C3+%A9",
        ] {
            let why = parse(input).expect_err("it is no text");
            assert_eq!(why.to_string(), "it is not UTF-8");
        }
        let read = parse("a=%C3%A9+%25FF&é=100%".as_bytes()).expect("it is text");
        assert_eq!((&*read["a"], &*read["é"]), ("é %FF", "100%"));
    }

    #[test]
    fn a_name_that_a_client_chooses_is_shown_as_text() {
        let why = parse::<HashMap<String, u8>>(b"a%0Ab=x").expect_err("it is no number");
        assert_eq!(why.to_string(), "\"a\\nb\": invalid digit found in string");
    }

    #[test]
    fn a_type_that_is_never_read_from_text_is_a_mistake_of_the_program() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "only errors are looked at")]
        struct Flat {
            #[serde(flatten)]
            page: Page,
        }
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "only errors are looked at")]
        struct Named {
            #[serde(flatten)]
            names: HashMap<String, String>,
        }
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "only errors are looked at")]
        struct Deep {
            page: Page,
        }
        #[track_caller]
        fn expect_mistake<T: DeserializeOwned + std::fmt::Debug>(input: &str, why: &str) {
            match parse::<T>(input.as_bytes()) {
                Err(Mismatch::OfProgram(said)) => assert!(said.starts_with(why), "{said}"),
                other => panic!("{input}: {other:?}"),
            }
        }
        let no_number = "invalid type: string \"1\", expected u32";
        expect_mistake::<Flat>("from=1", no_number);
        expect_mistake::<Deep>("page=1", "\"page\": invalid type: string \"1\"");
        expect_mistake::<u32>("a=1", "invalid type: map");
        // What the client can send otherwise is the client's.
        for input in ["", "from=1&from=2"] {
            let outcome = parse::<Flat>(input.as_bytes());
            assert!(
                matches!(outcome, Err(Mismatch::OfValue(_))),
                "{input}: {outcome:?}"
            );
        }
        let named = parse::<Named>(b"a=1").expect("text stays text");
        assert_eq!(named.names["a"], "1");
    }
}
