//! The normal form in which a router compares paths: only characters that must be percent-encoded
//! are encoded.

use std::borrow::Cow;
use std::ops::Range;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::message::path::normal_path;

/// The characters that a request can contain only percent-encoded.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'?').add(b'\\');

/// Normalizes the path of a request. It decodes reserved characters that have no meaning in a path,
/// because `ServeDir` and extractors do not distinguish them from their encoding. So no request
/// bypasses the layers of a nested router by its encoding. Layers around the router see the path as
/// it was sent.
pub(crate) fn normalize_request(path: &str) -> Cow<'_, str> {
    normal_path(path, is_unencoded)
}

/// Normalizes the path of a route.
pub(crate) fn normalize_route(path: &str) -> String {
    let encoded = encode(path);
    // A literal brace is written twice.
    let normal = normal_path(&encoded, |octet| {
        is_unencoded(octet) && !b"{}".contains(&octet)
    });
    normal.replace("%7B", "{{").replace("%7D", "}}")
}

/// The length of the first segments of a path as it was sent. `slashes` is the number of segments;
/// each begins with a slash.
pub(crate) fn prefix_length(slashes: usize, sent: &str) -> usize {
    let end = sent.match_indices('/').nth(slashes);
    end.map_or(sent.len(), |(end, _)| end)
}

fn is_unencoded(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"/%#?\\".contains(&octet)
}

fn encode(path: &str) -> String {
    let literal = |text| utf8_percent_encode(text, ENCODED).to_string();
    match find_parameter(path) {
        Some(parameter) => {
            literal(&path[..parameter.start])
                + &path[parameter.clone()]
                + &encode(&path[parameter.end..])
        }
        None => literal(path),
    }
}

/// Finds the first parameter, with its braces.
pub(crate) fn find_parameter(path: &str) -> Option<Range<usize>> {
    let mut from = 0;
    loop {
        let start = from + path[from..].find('{')?;
        if !path[start + 1..].starts_with('{') {
            let length = path[start..].find('}')? + 1;
            return Some(start..start + length);
        }
        from = start + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(route: &str, form: &str, sent: &[&str]) {
        assert_eq!(normalize_route(route), form);
        assert_eq!(
            normalize_route(form),
            form,
            "normalizing twice changes nothing"
        );
        let plain = form.replace("{{", "{").replace("}}", "}");
        for path in sent {
            assert_eq!(normalize_request(path), plain, "{path}");
        }
    }

    #[test]
    fn routes_match_every_encoding_of_their_path() {
        check("/café", "/caf%C3%A9", &["/caf%C3%A9", "/%63af%c3%a9"]);
        check("/a b?#", "/a%20b%3F%23", &["/a%20b%3f%23"]);
        check(
            "/c++/%7Eada",
            "/c++/~ada",
            &["/c++/~ada", "/c%2B%2b/%7eada"],
        );
        check("/a%2fb", "/a%2Fb", &["/a%2fb", "/%61%2Fb"]);
        check("/100%", "/100%25", &["/100%25", "/100%", "/%3100%"]);
        check(
            "/{{é}}|",
            "/{{%C3%A9}}|",
            &["/{%C3%A9}|", "/%7b%c3%a9%7D%7C"],
        );
        check("/%2e%2e", "/%2E%2E", &["/%2e%2e"]);
    }

    #[test]
    fn parameters_are_not_encoded() {
        assert_eq!(
            normalize_route("/é/{größe}/{{é}}/{*rest}"),
            "/%C3%A9/{größe}/{{%C3%A9}}/{*rest}"
        );
        assert_eq!(normalize_route("/{é"), "/{%C3%A9");
    }

    #[test]
    fn prefix_length_is_that_of_the_sent_path() {
        assert_eq!(prefix_length(1, "/c%2B%2B/x"), 8);
        assert_eq!(prefix_length(2, "/%61/b"), 6);
        assert_eq!(prefix_length(0, "/x"), 0);
    }
}
