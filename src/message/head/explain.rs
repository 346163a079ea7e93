//! Explains which byte makes a request target malformed.

use std::str;

use http::Method;
use http::uri::PathAndQuery;

use super::percent::is_percent_encoded;
use crate::message::request_error::RequestError;

/// The error in the target of the request that begins with these bytes, in words for its
/// author. `None` if no single byte is the cause.
pub(crate) fn explain(error: RequestError, head: &[u8]) -> Option<String> {
    if !matches!(
        error,
        RequestError::RequestTarget | RequestError::RequestLine
    ) {
        return None;
    }
    let target = target(head)?;
    let start = path_start(target);
    let query = target.iter().position(|byte| *byte == b'?');
    let index = (start..target.len()).find(|index| {
        let in_query = query.is_some_and(|query| *index > query);
        !is_taken(&target[*index..], in_query)
    })?;
    // An incomplete request line may later be rejected for other bytes, and the response must not
    // depend on how the bytes were split. A line with one space too many is read to its end.
    let is_known = error == RequestError::RequestTarget || target[index] == b' ';
    is_known.then(|| describe(&target[index..]))
}

/// The text between the method and the version.
fn target(head: &[u8]) -> Option<&[u8]> {
    // Empty lines before the request line are ignored (RFC 9112 section 2.2).
    let mut lines = head.split(|byte| matches!(byte, b'\r' | b'\n'));
    let line = lines.find(|line| !line.is_empty())?;
    let first = memchr::memchr(b' ', line)?;
    let last = memchr::memrchr(b' ', line)?;
    let is_line = line[last..].starts_with(b" HTTP/");
    let is_line = is_line && Method::from_bytes(&line[..first]).is_ok();
    is_line.then(|| line.get(first + 1..last)).flatten()
}

/// The part after scheme and authority, if there are any. A target of another form has no path.
fn path_start(target: &[u8]) -> usize {
    if target.starts_with(b"/") {
        return 0;
    }
    let Some(authority) = memchr::memmem::find(target, b"://").map(|at| at + 3) else {
        return target.len();
    };
    let length = memchr::memchr2(b'/', b'?', &target[authority..]);
    length.map_or(target.len(), |length| authority + length)
}

/// Whether a target may have the first of these bytes there.
fn is_taken(rest: &[u8], in_query: bool) -> bool {
    match rest[0] {
        b'#' | 0x80.. => false,
        b'%' if !in_query => is_percent_encoded(&rest[..rest.len().min(3)]),
        b'\\' if !in_query => false,
        byte if in_query => PathAndQuery::try_from(&[b'/', b'?', byte][..]).is_ok(),
        byte => PathAndQuery::try_from(&[b'/', byte][..]).is_ok(),
    }
}

fn describe(rest: &[u8]) -> String {
    const WHY: &str = "the request target is malformed";
    if rest.starts_with(b"%00") {
        return format!("{WHY}: it contains %00");
    }
    let character = str::from_utf8(&rest[..rest.len().min(4)])
        .or_else(|error| str::from_utf8(&rest[..error.valid_up_to()]))
        .unwrap_or_default()
        .chars()
        .next();
    match character {
        Some('%') => format!("{WHY}: two hexadecimal digits must follow %, or write it as %25"),
        Some(' ') => format!("{WHY}: write a space as %20"),
        Some(character) => {
            let encoded = encode(character.encode_utf8(&mut [0; 4]).as_bytes());
            // Invisible and combining characters are shown by their number.
            match character.is_ascii_graphic() || character.is_alphanumeric() {
                true => format!("{WHY}: write {character} as {encoded}"),
                false => format!("{WHY}: write U+{:04X} as {encoded}", u32::from(character)),
            }
        }
        None => format!(
            "{WHY}: write the byte 0x{:02X} as {}",
            rest[0],
            encode(&rest[..1])
        ),
    }
}

fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &[u8], expected: Option<&str>) {
        let head = [b"GET ", target, b" HTTP/1.1\r\nHost: it\r\n\r\n"].concat();
        let text = explain(RequestError::RequestTarget, &head);
        let detail = text.as_deref().map(|text| {
            text.strip_prefix("the request target is malformed: ")
                .expect("it begins like this")
        });
        assert_eq!(detail, expected, "{target:?}");
    }

    #[test]
    fn malformed_byte_is_named_with_its_encoding() {
        check("/caf\u{e9}".as_bytes(), Some("write \u{e9} as %C3%A9"));
        check(
            "/?q=\u{1f600}".as_bytes(),
            Some("write U+1F600 as %F0%9F%98%80"),
        );
        check(b"/caf\xe9", Some("write the byte 0xE9 as %E9"));
        check("/\u{202e}".as_bytes(), Some("write U+202E as %E2%80%AE"));
        check(b"/?q=\"a\"", Some("write \" as %22"));
        check(b"/?q=<a>", Some("write < as %3C"));
        check(b"/?q=a>b", Some("write > as %3E"));
        check(b"/<a", Some("write < as %3C"));
        check(b"/a\\b", Some("write \\ as %5C"));
        check(b"/?a\\b#c", Some("write # as %23"));
        check(b"/a b", Some("write a space as %20"));
        check(
            b"/100%",
            Some("two hexadecimal digits must follow %, or write it as %25"),
        );
        check(
            b"/%zz",
            Some("two hexadecimal digits must follow %, or write it as %25"),
        );
        check(b"/%00", Some("it contains %00"));
        check(b"http://it/a\\b", Some("write \\ as %5C"));
    }

    #[test]
    fn errors_without_a_single_wrong_byte_are_not_explained() {
        check(b"a", None);
        check(b"ftp://x", None);
        check(b"/a?100%", None);
        check(b"http://it", None);
        assert_eq!(explain(RequestError::RequestTarget, b"GET /\xe9"), None);
        for line in ["nonsense", "GET /\"\u{1} HTTP/1.1", "G\u{1}T /a b HTTP/1.1"] {
            let head = format!("{line}\r\n\r\n");
            assert_eq!(explain(RequestError::RequestLine, head.as_bytes()), None);
        }
        assert_eq!(
            explain(RequestError::Host, b"GET /\" HTTP/1.1\r\n\r\n"),
            None
        );
    }
}
