//! What a file is, by its name.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use http::HeaderValue;

/// What nothing is known of.
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The media type of a file with this name. Text is UTF-8: a browser that is told nothing guesses,
/// and what it guesses depends on the reader's country.
pub(super) fn of(path: &[u8]) -> HeaderValue {
    let extension = Path::new(OsStr::from_bytes(path)).extension();
    let guess = extension
        .and_then(OsStr::to_str)
        .map(mime_guess::from_ext)
        .and_then(|guess| guess.first_raw());
    match guess {
        None => BYTES,
        Some("text/html") => HeaderValue::from_static("text/html; charset=utf-8"),
        Some("text/css") => HeaderValue::from_static("text/css; charset=utf-8"),
        Some("text/javascript" | "application/javascript") => {
            HeaderValue::from_static("text/javascript; charset=utf-8")
        }
        Some(text) if text.starts_with("text/") => {
            HeaderValue::try_from(format!("{text}; charset=utf-8")).unwrap_or(BYTES)
        }
        Some(other) => HeaderValue::from_static(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_type() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.min.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("STYLE.CSS", "text/css; charset=utf-8"),
            ("notes.txt", "text/plain; charset=utf-8"),
            ("notes.md", "text/markdown; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.wasm", "application/wasm"),
            ("a.woff2", "font/woff2"),
            ("a.tar.gz", "application/gzip"),
            ("LICENSE", "application/octet-stream"),
            ("a.unheard-of", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(of(path.as_bytes()), expected, "{path}");
        }
        assert_eq!(of(b"\xff.txt"), "text/plain; charset=utf-8");
        assert_eq!(of(b"a.\xff"), "application/octet-stream");
    }
}
