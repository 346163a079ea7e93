//! Forms to try: valid ones, ones that are almost right, and any other bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::reference_multipart::Part;

/// Material for bodies.
const FRAGMENTS: [&[u8]; 34] = [
    b"--b",
    b"\r\n--b",
    b"\r\n--b--",
    b"--",
    b"-",
    b"b",
    b"\r\n",
    b"\r\n\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b":",
    b";",
    b"=",
    b"\"",
    b"\\",
    b"\\\"",
    b"%22",
    b"%0D",
    b"\0",
    b"x",
    b"\xc3\xa9",
    b"\xff",
    b"\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
    b"Content-Disposition: form-data; name=\"a\"; filename=\"",
    b"\r\nContent-Disposition: form-data; name=a",
    b"; filename=\"",
    b"; filename*=utf-8''a",
    b"; name=\"",
    b"\r\nContent-Type: text/plain",
    b"\r\nContent-Transfer-Encoding: base64",
    b"\r\nContent-Transfer-Encoding: 8bit",
    b"\r\nA: b",
];

/// Any sequence of bytes that have a meaning.
pub fn any_form() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&FRAGMENTS[..]), 0..20).prop_map(|fragments| fragments.concat())
}

/// Parts as a browser has them: their names have no backslash, which browsers do not escape.
pub fn parts() -> impl Strategy<Value = Vec<Part>> {
    let name = || "[a-z\"\r\n;=é名 '%.&/]{0,10}";
    let content = vec(select(&FRAGMENTS[..]), 0..8)
        .prop_map(|fragments| fragments.concat())
        .prop_filter("a boundary does not occur in content", |content| {
            let from_line_start = [b"\r\n", &content[..]].concat();
            !from_line_start
                .windows(5)
                .any(|window| window == b"\r\n--b")
        });
    vec((name(), proptest::option::of(name()), content), 0..5)
}

/// Text that may surround the parts.
pub fn surroundings() -> impl Strategy<Value = [&'static str; 3]> {
    let preamble = select(&["", "\r\n", "a note\r\n", "--\r\n--a\r\n"][..]);
    let padding = select(&["", " ", "\t \t"][..]);
    let epilogue = select(&["", "\r\n", "\r\na note", "\r\n--b\r\n"][..]);
    (preamble, padding, epilogue)
        .prop_map(|(preamble, padding, epilogue)| [preamble, padding, epilogue])
}

/// Encodes parts as browsers do (RFC 7578, and the form encoding of the HTML standard).
pub fn encode(parts: &[Part], [preamble, padding, epilogue]: [&str; 3]) -> Vec<u8> {
    let escape = |name: &str| {
        let name = name.replace('"', "%22").replace('\r', "%0D");
        name.replace('\n', "%0A")
    };
    let mut body = preamble.as_bytes().to_vec();
    for (name, file_name, content) in parts {
        let file_name = file_name.as_deref().map(escape);
        let file_name = file_name.map_or(String::new(), |name| format!("; filename=\"{name}\""));
        let name = escape(name);
        let head = format!(
            "--b{padding}\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend(content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--b--{padding}{epilogue}").into_bytes());
    body
}
