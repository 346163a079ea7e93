//! Names and values as forms send them, in a query or a body (`application/x-www-form-urlencoded`).

use percent_encoding::percent_decode;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_html_form::Deserializer;

/// What they say, or why they say nothing that was wanted.
pub(super) fn parse<T: DeserializeOwned>(input: &[u8]) -> Result<T, String> {
    // The parser would put the same character in the place of everything that is none.
    if percent_decode(input).decode_utf8().is_err() {
        return Err("it is not UTF-8".into());
    }
    serde_path_to_error::deserialize(Deserializer::from_bytes(input)).map_err(|error| {
        let (path, why) = (error.path().to_string(), error.into_inner());
        match path.as_str() {
            // It is about all of them, or none that has a name.
            "." | "?" => why.to_string(),
            name if why.to_string() == "unsupported value" && is_repeated(name, input) => {
                format!("{name:?} is there more than once")
            }
            name => format!("{name:?}: {why}"),
        }
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
        assert_eq!(page.map_err(String::as_str), expected, "{input}");
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
            assert_eq!(why, "it is not UTF-8");
        }
        let read = parse("a=%C3%A9+%25FF&é=100%".as_bytes()).expect("it is text");
        assert_eq!((&*read["a"], &*read["é"]), ("é %FF", "100%"));
    }

    #[test]
    fn a_name_that_a_client_chooses_is_shown_as_text() {
        let why = parse::<HashMap<String, u8>>(b"a%0Ab=x").expect_err("it is no number");
        assert_eq!(why, "\"a\\nb\": invalid digit found in string");
    }
}
