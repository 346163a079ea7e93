//! The form in which a router compares paths: nothing is percent-encoded that need not be.

use std::borrow::Cow;
use std::ops::Range;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::message::path::normal_path;

/// What a request can't have as it is.
const UNSENDABLE: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'?').add(b'\\');

/// The path of a request. Of reserved characters, those that have no meaning in a path are not told
/// from their encoding: neither `ServeDir` nor an argument tells them apart, and so nobody gets past a
/// nested router's layers by the one or the other. Layers around it see which of them was sent.
pub(crate) fn of_request(path: &str) -> Cow<'_, str> {
    normal_path(path, is_plain)
}

/// The path of a route, as somebody has written it in a program.
pub(crate) fn of_route(path: &str) -> String {
    let sendable = encode(path);
    // A brace that is none of a name's is written twice.
    let normal = normal_path(&sendable, |octet| {
        is_plain(octet) && !b"{}".contains(&octet)
    });
    normal.replace("%7B", "{{").replace("%7D", "}}")
}

/// How long the first segments of a path are as they were sent: so many, each with its slash.
pub(crate) fn length_of(slashes: usize, sent: &str) -> usize {
    let end = sent.match_indices('/').nth(slashes);
    end.map_or(sent.len(), |(end, _)| end)
}

fn is_plain(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"/%#?\\".contains(&octet)
}

fn encode(path: &str) -> String {
    let literal = |text| utf8_percent_encode(text, UNSENDABLE).to_string();
    match name_in(path) {
        Some(name) => {
            literal(&path[..name.start]) + &path[name.clone()] + &encode(&path[name.end..])
        }
        None => literal(path),
    }
}

/// Where the first name stands, with its braces.
pub(crate) fn name_in(path: &str) -> Option<Range<usize>> {
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
        assert_eq!(of_route(route), form);
        assert_eq!(of_route(form), form, "once and twice is the same");
        let plain = form.replace("{{", "{").replace("}}", "}");
        for path in sent {
            assert_eq!(of_request(path), plain, "{path}");
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
            of_route("/é/{größe}/{{é}}/{*rest}"),
            "/%C3%A9/{größe}/{{%C3%A9}}/{*rest}"
        );
        assert_eq!(of_route("/{é"), "/{%C3%A9");
    }

    #[test]
    fn prefix_length_is_that_of_the_sent_path() {
        assert_eq!(length_of(1, "/c%2B%2B/x"), 8);
        assert_eq!(length_of(2, "/%61/b"), 6);
        assert_eq!(length_of(0, "/x"), 0);
    }
}
