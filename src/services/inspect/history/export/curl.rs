//! The command of curl that sends a request again, for a shell of POSIX.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json::readable;
use crate::services::inspect::history::entry::{Entry, text};
use crate::services::inspect::masking::{Secrets, is_secret, mask};

/// Headers that curl adds unless an option removes them.
const ADDED: [&str; 4] = ["User-Agent", "Accept", "Content-Type", "Expect"];

/// Headers that curl derives from its other options.
const MADE: [&str; 2] = ["Content-Length", "Host"];

/// The command. It sends the same method, target, version, headers and body to the host that the client
/// has named. Of masked secrets it sends the masks.
pub(crate) fn command(entry: &Entry, secrets: Secrets) -> String {
    let mut arguments = vec![String::from("curl")];
    arguments.push(version(entry).into());
    arguments.push("--globoff --path-as-is".into());
    push_method(entry, &mut arguments);
    push_address(entry, &mut arguments);
    push_headers(entry, secrets, &mut arguments);
    let mut command = String::new();
    if entry.is_truncated() {
        let (kept, length) = (entry.captured.body.len(), entry.body_length);
        let _ = writeln!(
            command,
            "# Only the first {kept} of {length} bytes of the body were kept."
        );
    }
    if let Some(body) = binary_body(entry) {
        let _ = write!(
            command,
            "printf %s {} | base64 -d | ",
            quoted(body.as_bytes())
        );
        arguments.push("--data-binary @-".into());
    } else if let Some(body) = text_body(entry) {
        arguments.push(format!("--data-raw {}", quoted(body.as_bytes())));
    }
    command.push_str(&arguments.join(" \\\n  "));
    command.push('\n');
    command
}

fn version(entry: &Entry) -> &'static str {
    match (entry.captured.version(), entry.scheme()) {
        ("HTTP/1.0", _) => "--http1.0",
        ("HTTP/2.0", "https") => "--http2",
        ("HTTP/2.0", _) => "--http2-prior-knowledge",
        _ => "--http1.1",
    }
}

/// `--head` also tells curl that the response has no content.
fn push_method(entry: &Entry, arguments: &mut Vec<String>) {
    let method = entry.captured.method();
    let has_body = binary_body(entry).is_some() || text_body(entry).is_some();
    match method {
        "HEAD" if !has_body => arguments.push("--head".into()),
        "GET" if !has_body => {}
        _ => arguments.push(format!("--request {}", quoted(method.as_bytes()))),
    }
}

/// The address, and the target if no address has it.
fn push_address(entry: &Entry, arguments: &mut Vec<String>) {
    let target = entry.captured.target();
    let host = entry
        .captured
        .header("host")
        .filter(|host| !host.is_empty());
    let host = text(host.unwrap_or(b"localhost"));
    let path = if target.starts_with('/') { target } else { "/" };
    if path != target || target.contains('#') {
        arguments.push(format!("--request-target {}", quoted(target.as_bytes())));
    }
    let address = format!("{}://{host}{path}", entry.scheme());
    arguments.push(quoted(address.as_bytes()));
}

fn push_headers(entry: &Entry, secrets: Secrets, arguments: &mut Vec<String>) {
    for (name, value) in entry.captured.header_lines() {
        if MADE
            .iter()
            .any(|made| name.eq_ignore_ascii_case(made.as_bytes()))
        {
            continue;
        }
        let masked = (secrets == Secrets::Masked && is_secret(name)).then(|| mask(name, value));
        let value = masked.as_ref().map_or(value, |masked| masked.as_bytes());
        // Without a value, curl takes `name:` as an order to leave the header out.
        let line = match value {
            b"" => [name, b";"].concat(),
            _ => [name, b": ", value].concat(),
        };
        arguments.push(format!("--header {}", quoted(&line)));
    }
    for name in ADDED {
        if entry.captured.header(name).is_none() {
            arguments.push(format!("--header '{name}:'"));
        }
    }
    if entry.captured.header("host").is_none() {
        arguments.push("--header 'Host:'".into());
    }
}

/// The body as text, if an argument can have it. An empty body with a length is one.
fn text_body(entry: &Entry) -> Option<&str> {
    let is_announced = entry.captured.header("content-length").is_some()
        || entry.captured.header("transfer-encoding").is_some();
    let body = as_argument(entry)?;
    (is_announced || !body.is_empty()).then_some(body)
}

fn binary_body(entry: &Entry) -> Option<String> {
    let body = &entry.captured.body;
    as_argument(entry).is_none().then(|| STANDARD.encode(body))
}

/// The body, if it is text that quotes can hold as it is.
fn as_argument(entry: &Entry) -> Option<&str> {
    let is_whole = |text: &&str| text.len() == entry.captured.body.len();
    readable(entry)
        .filter(is_whole)
        .filter(|text| !text.contains(is_unprintable))
}

/// An argument with these bytes. A quote ends the quotes for a moment. Bytes that are not printable go
/// through `printf`, because a terminal can't show them.
fn quoted(bytes: &[u8]) -> String {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(is_unprintable) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => {
            let mut format = String::new();
            for byte in bytes {
                match byte {
                    b'%' => format.push_str("%%"),
                    b'\\' => format.push_str(r"\\"),
                    b'\'' => format.push_str(r"\047"),
                    byte if is_plain(byte) => format.push(char::from(*byte)),
                    byte => {
                        let _ = write!(format, "\\{byte:03o}");
                    }
                }
            }
            format!("\"$(printf '{format}')\"")
        }
    }
}

/// A terminal would act on these characters when they are pasted.
fn is_unprintable(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_any_bytes() {
        for (bytes, argument) in [
            (&b"plain"[..], "'plain'"),
            (b"", "''"),
            (b"it's $HOME `x` \\n", r"'it'\''s $HOME `x` \n'"),
            ("é\n".as_bytes(), "'é\n'"),
            (b"\xe9%\\'", "\"$(printf '\\351%%\\\\\\047')\""),
            (b"a\x1b[0m", "\"$(printf 'a\\033[0m')\""),
        ] {
            assert_eq!(quoted(bytes), argument);
        }
    }
}
