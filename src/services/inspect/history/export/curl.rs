//! The command of curl that sends a request again, for bash, zsh and ksh. If nothing has to be escaped,
//! every shell of POSIX can run it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json::readable;
use crate::logging::is_unsafe;
use crate::services::inspect::history::entry::{Entry, text};
use crate::services::inspect::masking::{Secrets, is_secret, mask};

/// Headers that curl adds unless an option removes them.
const ADDED: [&str; 4] = ["User-Agent", "Accept", "Content-Type", "Expect"];

/// The body of a command.
enum Body<'a> {
    /// No option; the headers may announce an empty body.
    None,
    Text(&'a str),
    /// Bytes that no argument can have.
    Binary(&'a [u8]),
}

/// The words of a command, each with its options.
#[derive(Default)]
struct Words {
    words: Vec<String>,
    /// Whether one is quoted in the way that the standard has since 2024, and older shells do not.
    has_escapes: bool,
}

/// The command. It sends the same method, target, version, headers and body to the host that the client
/// has named. Of masked secrets it sends the masks. Comments say what curl can't repeat.
pub(crate) fn command(entry: &Entry, secrets: Secrets) -> String {
    if entry.captured.raw.head().is_empty() {
        return "# The server could not read the head of this request, so nothing can repeat it.\n"
            .into();
    }
    let body = Body::of(entry);
    let mut words = Words::default();
    words.push("curl");
    words.push(version(entry));
    words.push("--globoff --path-as-is");
    push_method(entry, &body, &mut words);
    push_address(entry, &mut words);
    push_headers(entry, &body, secrets, &mut words);
    let mut input = String::new();
    match body {
        Body::None => {}
        Body::Text(text) => words.push_quoted("--data-raw ", text.as_bytes()),
        Body::Binary(bytes) => {
            input = format!("printf %s '{}' | base64 -d | ", STANDARD.encode(bytes));
            words.push("--data-binary @-");
        }
    }
    let mut command = String::new();
    for comment in comments(entry, &body) {
        let _ = writeln!(command, "# {comment}");
    }
    if words.has_escapes {
        command.push_str("# This needs bash, zsh or ksh.\n");
    }
    let _ = writeln!(command, "{input}{}", words.words.join(" \\\n  "));
    command
}

impl Words {
    fn push(&mut self, words: &str) {
        self.words.push(words.into());
    }

    fn push_quoted(&mut self, option: &str, argument: &[u8]) {
        let quoted = quoted(argument);
        self.has_escapes |= quoted.starts_with('$');
        self.words.push(format!("{option}{quoted}"));
    }
}

/// What the command does not repeat.
fn comments(entry: &Entry, body: &Body<'_>) -> Vec<String> {
    let raw = &entry.captured.raw;
    let mut comments = Vec::new();
    if entry.is_truncated() {
        let (kept, length) = (entry.captured.body.len(), entry.body_length);
        comments.push(format!(
            "Only the first {kept} of {length} bytes of the body were kept."
        ));
    }
    let chunks = raw.chunks().count() as u64 + raw.unkept_chunks();
    if chunks > 0 && !is_one_chunk(entry) {
        let content = chunks.saturating_sub(1);
        comments.push(format!(
            "The body came in {content} chunks. curl divides it in its own way."
        ));
    }
    let trailers = raw.trailer_lines().map(|(name, _)| text(name));
    let trailers: Vec<_> = trailers.collect();
    if !trailers.is_empty() {
        comments.push(format!("curl can't send trailers: {}", trailers.join(", ")));
    }
    if entry.captured.method() == "HEAD" && !matches!(body, Body::None) {
        comments.push("curl waits for content, which a response to HEAD never has.".into());
    }
    comments
}

/// Whether the chunks are those that curl makes of a short body.
fn is_one_chunk(entry: &Entry) -> bool {
    let length = entry.body_length;
    let content = (length > 0).then(|| format!("{length:x}").into_bytes());
    let expected = content.into_iter().chain([b"0".to_vec()]);
    (entry.captured.raw.chunks().map(|chunk| chunk.line.to_vec())).eq(expected)
}

impl<'a> Body<'a> {
    fn of(entry: &'a Entry) -> Self {
        let body = &entry.captured.body[..];
        let is_whole = |text: &&str| text.len() == body.len();
        match readable(entry).filter(is_whole) {
            // Without an option, curl would send no last chunk.
            Some("") if !is_chunked(entry) => Self::None,
            Some(text) => Self::Text(text),
            None => Self::Binary(body),
        }
    }
}

fn is_chunked(entry: &Entry) -> bool {
    entry.captured.header("transfer-encoding").is_some()
}

fn is_http2(entry: &Entry) -> bool {
    entry.captured.version() == "HTTP/2.0"
}

fn version(entry: &Entry) -> &'static str {
    match (entry.captured.version(), entry.scheme()) {
        ("HTTP/1.0", _) => "--http1.0",
        ("HTTP/2.0", "https") => "--http2",
        ("HTTP/2.0", _) => "--http2-prior-knowledge",
        _ => "--http1.1",
    }
}

fn push_method(entry: &Entry, body: &Body<'_>, words: &mut Words) {
    match (entry.captured.method(), body) {
        // It also tells curl that the response has no content.
        ("HEAD", Body::None) => words.push("--head"),
        ("HEAD", _) => words.push("--request HEAD --max-time 2"),
        ("GET", Body::None) | ("POST", Body::Text(_) | Body::Binary(_)) => {}
        (method, _) => words.push_quoted("--request ", method.as_bytes()),
    }
}

/// The host of the address. A request without one goes to this machine.
fn address_host(entry: &Entry) -> &[u8] {
    let host = entry.captured.header("host");
    host.filter(|host| !host.is_empty()).unwrap_or(b"localhost")
}

/// The address, and the target if no address has it.
fn push_address(entry: &Entry, words: &mut Words) {
    let target = entry.captured.target();
    let host = text(address_host(entry));
    let path = if target.starts_with('/') { target } else { "/" };
    if path != target || target.contains('#') {
        words.push_quoted("--request-target ", target.as_bytes());
    }
    let address = format!("{}://{host}{path}", entry.scheme());
    words.push_quoted("", address.as_bytes());
}

/// The header lines as they were sent. curl keeps their order if it is given all of them, also those that
/// it would write itself.
fn push_headers(entry: &Entry, body: &Body<'_>, secrets: Secrets, words: &mut Words) {
    let mut push = |line: &[u8]| words.push_quoted("--header ", line);
    let writes_host = curl_writes_host(entry);
    if !writes_host {
        // Without its own line, curl writes ours at its place.
        push(b"Host:");
    }
    for name in ADDED {
        if entry.captured.header(name).is_none() {
            push(format!("{name}:").as_bytes());
        }
    }
    let has_length = entry.captured.header("content-length").is_some();
    if !has_length && !is_chunked(entry) && !matches!(body, Body::None) {
        push(b"Content-Length:");
    }
    for line in header_lines(entry) {
        let (name, value) = split(line);
        let is_host = name.eq_ignore_ascii_case(b"host");
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        if (is_host && writes_host) || (is_length && entry.is_truncated()) {
            continue;
        }
        if secrets == Secrets::Masked && is_secret(name) {
            push(&[name, b": ", mask(name, value).as_bytes()].concat());
        } else if value.is_empty() {
            // curl takes `name:` as an order to leave the header out.
            push(&[name, b";"].concat());
        } else {
            push(line);
        }
    }
}

/// Whether the line that curl makes of the address is the one that was sent: the first, and written in the
/// usual way. HTTP/2 does not have this header.
fn curl_writes_host(entry: &Entry) -> bool {
    let usual = [b"Host: ", address_host(entry)].concat();
    is_http2(entry) || header_lines(entry).next() == Some(&usual)
}

/// The header lines without their ends.
fn header_lines(entry: &Entry) -> impl Iterator<Item = &[u8]> {
    let head = entry.captured.raw.head();
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = line.iter().position(|byte| *byte == b':');
    match colon {
        Some(colon) => (&line[..colon], line[colon + 1..].trim_ascii()),
        None => (line, b""),
    }
}

/// An argument with these bytes. A quote ends the quotes for a moment. Bytes that are not text, and
/// characters that a terminal acts on or that change how a text looks, are escaped.
fn quoted(bytes: &[u8]) -> String {
    let is_escaped = |character| is_unsafe(character) && !matches!(character, '\n' | '\t');
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(is_escaped) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let mut quoted = String::from("$'");
            for chunk in bytes.utf8_chunks() {
                for character in chunk.valid().chars() {
                    match character {
                        '\\' | '\'' => quoted.extend(['\\', character]),
                        unsafe_one if is_escaped(unsafe_one) => {
                            push_octal(unsafe_one.encode_utf8(&mut [0; 4]).as_bytes(), &mut quoted);
                        }
                        plain => quoted.push(plain),
                    }
                }
                push_octal(chunk.invalid(), &mut quoted);
            }
            quoted.push('\'');
            quoted
        }
    }
}

fn push_octal(bytes: &[u8], quoted: &mut String) {
    for byte in bytes {
        let _ = write!(quoted, "\\{byte:03o}");
    }
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
            (b"\xe9%\\'!", r"$'\351%\\\'!'"),
            (b"a\x1b[0m", r"$'a\033[0m'"),
            ("é\u{202e}a\r\n".as_bytes(), "$'é\\342\\200\\256a\\015\n'"),
        ] {
            assert_eq!(quoted(bytes), argument);
        }
    }
}
