//! Responses that browsers save as files.

use std::fmt::Write as _;

use http::header::{CONTENT_DISPOSITION, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::has_failed;
use crate::logging::is_unsafe;
use crate::message::{IntoResponse, Later, Response};

/// All characters but `attr-char` (RFC 8187 section 3.2.1).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The name of a file whose own name is empty or stands for a folder.
const NAMELESS: &str = "download";

/// Lets the browser save a response under a name instead of showing it (`Content-Disposition:
/// attachment`, RFC 6266).
///
/// ```
/// use httpool::http::header::CONTENT_TYPE;
/// use httpool::{Attachment, IntoResponse, Request};
///
/// let report = |_: Request| ([(CONTENT_TYPE, "text/csv")], Attachment::new("report.csv", "a,b\n"));
///
/// let response = Attachment::new("Größe.txt", "7").into_response();
/// assert_eq!(
///     response.headers()["content-disposition"],
///     "attachment; filename=\"Gr__e.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt"
/// );
/// ```
///
/// The name may come from a user. Of a path only the part behind the last `/` or `\` stays. Control
/// characters and marks that change the direction of text are removed, because with them a name can
/// look as if it had another extension. An empty name becomes `download`. Characters that are not ASCII
/// are sent in the encoding of RFC 8187, and as `_` for clients that do not know it.
///
/// Any response can be the content, for example a [`File`](std::fs::File) or a `Result`: an error
/// stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment<T> {
    disposition: HeaderValue,
    content: T,
}

impl<T> Attachment<T> {
    /// Creates a response with this content, to be saved under this name.
    pub fn new(file_name: &str, content: T) -> Self {
        Self {
            disposition: disposition(file_name),
            content,
        }
    }
}

impl<T: IntoResponse> IntoResponse for Attachment<T> {
    fn into_response(self) -> Response {
        let disposition = self.disposition;
        Later::map(self.content.into_response(), |mut response| {
            if response.status().is_success() && !has_failed(&response) {
                let headers = response.headers_mut();
                headers.insert(CONTENT_DISPOSITION, disposition);
            }
            response
        })
    }
}

fn disposition(file_name: &str) -> HeaderValue {
    let name = safe_name(file_name);
    let fallback: String = name
        .chars()
        .map(|character| match character {
            // Some browsers decode `%`, and read `\` in their own way (RFC 6266 appendix D).
            '"' | '\\' | '%' => '_',
            ' '..='~' => character,
            _ => '_',
        })
        .collect();
    let mut disposition = format!("attachment; filename=\"{fallback}\"");
    if fallback != name {
        let encoded = utf8_percent_encode(&name, ENCODED);
        let written = write!(disposition, "; filename*=UTF-8''{encoded}");
        debug_assert!(written.is_ok(), "writing to a String can't fail");
    }
    HeaderValue::try_from(disposition).expect("it is printable ASCII")
}

/// The name without folders and without characters that are not shown.
fn safe_name(file_name: &str) -> String {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|one| !is_unsafe(*one)).collect();
    match name.trim() {
        "" | "." | ".." => NAMELESS.to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;

    use http::StatusCode;

    use super::*;

    #[track_caller]
    fn check(file_name: &str, expected: &str) {
        let response = Attachment::new(file_name, "content").into_response();
        let disposition = response.headers()[CONTENT_DISPOSITION].to_str();
        let disposition = disposition.expect("it is ASCII");
        assert_eq!(
            disposition,
            format!("attachment; {expected}"),
            "{file_name:?}"
        );
    }

    #[test]
    fn plain_names_stay() {
        check("report.pdf", "filename=\"report.pdf\"");
        check("my report (1).pdf", "filename=\"my report (1).pdf\"");
        check(".profile", "filename=\".profile\"");
        check("a;b='c'.txt", "filename=\"a;b='c'.txt\"");
    }

    #[test]
    fn other_characters_are_encoded() {
        check(
            "Zoë.txt",
            "filename=\"Zo_.txt\"; filename*=UTF-8''Zo%C3%AB.txt",
        );
        check(
            "\"100%\".txt",
            "filename=\"_100__.txt\"; filename*=UTF-8''%22100%25%22.txt",
        );
        check(
            "a'b(é)*",
            "filename=\"a'b(_)*\"; filename*=UTF-8''a%27b%28%C3%A9%29%2A",
        );
    }

    #[test]
    fn names_are_never_paths() {
        check("/etc/passwd", "filename=\"passwd\"");
        check("..\\..\\boot.ini", "filename=\"boot.ini\"");
        check("C:\\a/b", "filename=\"b\"");
        for nameless in ["", ".", "..", "/", "a/", "  ", "a/..", "\u{202e}", "\r\n"] {
            check(nameless, "filename=\"download\"");
        }
    }

    #[test]
    fn names_can_neither_add_headers_nor_hide_extensions() {
        check("a\r\nset-cookie: b\0", "filename=\"aset-cookie: b\"");
        check("a\u{202e}fdp.exe", "filename=\"afdp.exe\"");
    }

    #[test]
    fn errors_are_no_attachments() {
        let missing = |kind: io::ErrorKind| Err::<File, _>(io::Error::from(kind));
        for response in [
            Attachment::new("a", None::<&str>).into_response(),
            Attachment::new("a", Err::<&str, _>(StatusCode::FORBIDDEN)).into_response(),
            Attachment::new("a", missing(io::ErrorKind::NotFound)).into_response(),
        ] {
            assert!(!response.headers().contains_key(CONTENT_DISPOSITION));
        }
    }
}
