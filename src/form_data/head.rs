//! The headers of a part.

use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::error::{Limit, Malformed, ScanError};
use super::file_name;
use super::parameters::{self, Value};

/// Most header lines of a part. RFC 7578 section 4.8 gives two headers a meaning, and some clients
/// send a third and a fourth.
const MOST_LINES: usize = 20;

/// Obsolete for forms (RFC 7578 section 4.7).
const CONTENT_TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// The name of a part, its file name if it is a file, and its headers. All of it is chosen by the
/// client.
#[cfg_attr(
    feature = "multipart",
    doc = r#"
```
use httpool::multipart::{FileBytes, MultipartForm};
use httpool::Router;

#[derive(serde::Deserialize)]
struct Upload {
    photo: FileBytes,
}

let router: Router = Router::new().post("/", |MultipartForm(upload): MultipartForm<Upload>| {
    let photo = upload.photo;
    format!("{}: {:?}, {:?}", photo.name(), photo.file_name(), photo.content_type())
});
```
"#
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    name: String,
    file_name: Option<String>,
    headers: HeaderMap,
}

impl PartHead {
    /// The name of the form's field.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file name as the client sent it: any text, perhaps a path, with control characters or
    /// characters that change the direction of text. Show it as text, and never use it as a path:
    /// [`safe_file_name`](Self::safe_file_name) is for that.
    ///
    /// `None` if the part is not a file. Browsers send an empty name for a file input without a file.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// A name for a file that is never a path: the part of the client's file name behind its last
    /// slash or backslash.
    ///
    /// It has no control characters and none that change the direction of text; characters that a
    /// file system or a shell gives a meaning are `_`. It begins with none of `.`, `-` and space,
    /// does not end in a dot or space, is not a device name of Windows, and has at most 200 bytes
    /// of UTF-8, with the extension. `None` if nothing is left.
    ///
    /// Two clients may send equal names. Programs that keep files usually choose names of their own
    /// and store this one beside them.
    #[must_use]
    pub fn safe_file_name(&self) -> Option<String> {
        file_name::safe(self.file_name()?)
    }

    /// The `Content-Type`, if it is text. Clients derive it from the name of the file; the content
    /// may be something else.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.headers.get(CONTENT_TYPE)?.to_str().ok()
    }

    /// The headers of the part.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether the part is a file input in which no file was chosen.
    #[cfg(feature = "multipart")]
    pub(crate) fn is_no_file(&self) -> bool {
        self.file_name.as_deref() == Some("")
    }

    /// Whether the content type says that the content is not UTF-8.
    #[cfg(feature = "multipart")]
    pub(crate) fn has_other_charset(&self) -> bool {
        let Some(content_type) = self.headers.get(CONTENT_TYPE) else {
            return false;
        };
        let (_, parameters) = parameters::split(content_type.as_bytes());
        match parameters::find(parameters, "charset") {
            Ok(None) => false,
            Ok(Some(charset)) => {
                let charset = charset.unescape();
                !["utf-8", "us-ascii"]
                    .iter()
                    .any(|name| charset.eq_ignore_ascii_case(name.as_bytes()))
            }
            Err(()) => true,
        }
    }

    /// Parses the header lines of part number `part`, each with its CRLF.
    pub(super) fn parse(lines: &[u8], part: usize) -> Result<Self, ScanError> {
        let headers = headers(lines, part)?;
        let malformed = |reason| Malformed::new(part, reason);
        let mut dispositions = headers.get_all(CONTENT_DISPOSITION).iter();
        let disposition = dispositions
            .next()
            .ok_or(malformed("it has no Content-Disposition"))?;
        if dispositions.next().is_some() {
            return Err(malformed("it has two Content-Dispositions").into());
        }
        if headers.get_all(CONTENT_TYPE).iter().nth(1).is_some() {
            return Err(malformed("it has two Content-Types").into());
        }
        let encodings = headers.get_all(CONTENT_TRANSFER_ENCODING).iter();
        if !encodings.into_iter().all(is_identity) {
            return Err(ScanError::TransferEncoding { part });
        }
        let (name, file_name) = names(disposition.as_bytes()).map_err(malformed)?;
        Ok(Self {
            name,
            file_name,
            headers,
        })
    }
}

/// Parses lines that end in CRLF.
fn headers(lines: &[u8], part: usize) -> Result<HeaderMap, ScanError> {
    let malformed = || Malformed::new(part, "a header line is malformed");
    let mut headers = HeaderMap::with_capacity(4);
    let mut rest = lines;
    while !rest.is_empty() {
        if headers.len() == MOST_LINES {
            return Err(ScanError::TooLarge {
                limit: Limit::PartHeaderLines,
                most: MOST_LINES as u64,
            });
        }
        let end = memchr::memmem::find(rest, b"\r\n").ok_or_else(malformed)?;
        let (line, after) = (&rest[..end], &rest[end + 2..]);
        let colon = memchr::memchr(b':', line).ok_or_else(malformed)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| malformed())?;
        let value = trim(&line[colon + 1..]);
        let value = HeaderValue::from_bytes(value).map_err(|_| malformed())?;
        headers.append(name, value);
        rest = after;
    }
    Ok(headers)
}

/// Removes spaces and tabs, but no other line ends, around a value.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether this content transfer encoding leaves the content as it is.
fn is_identity(encoding: &HeaderValue) -> bool {
    ["7bit", "8bit", "binary"]
        .iter()
        .any(|name| encoding.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
}

/// The name and the file name in a `Content-Disposition`.
fn names(disposition: &[u8]) -> Result<(String, Option<String>), &'static str> {
    let (kind, parameters) = parameters::split(disposition);
    if !kind.eq_ignore_ascii_case(b"form-data") {
        return Err("its Content-Disposition is not form-data");
    }
    let find = |name| {
        let found = parameters::find(parameters, name);
        found.map_err(|()| "the parameters of Content-Disposition are malformed or repeated")
    };
    let name = find("name")?.ok_or("it has no name")?;
    let name = decode(name).ok_or("its name is not UTF-8")?;
    let file_name = match find("filename")? {
        Some(file_name) => Some(decode(file_name).ok_or("its file name is not UTF-8")?),
        None if find("filename*")?.is_some() => {
            return Err("its file name is in filename*, which RFC 7578 forbids: use filename");
        }
        None => None,
    };
    Ok((name, file_name))
}

/// The text of a name. Browsers encode these three characters, and no others, not even `%`.
fn decode(value: Value<'_>) -> Option<String> {
    let text = String::from_utf8(value.unescape().into_owned()).ok()?;
    if matches!(value, Value::Plain(_)) || !text.contains('%') {
        return Some(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        let (character, length) = match from.get(..3) {
            Some("%22") => ('"', 3),
            Some("%0D") => ('\r', 3),
            Some("%0A") => ('\n', 3),
            _ => ('%', 1),
        };
        decoded.push_str(before);
        decoded.push(character);
        rest = &from[length..];
    }
    decoded.push_str(rest);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &str) -> Result<PartHead, ScanError> {
        PartHead::parse(lines.as_bytes(), 7)
    }

    #[track_caller]
    fn check_names(disposition: &str, name: &str, file_name: Option<&str>) {
        let head = parse(&format!("Content-Disposition: {disposition}\r\n"));
        let head = head.expect("the head is valid");
        assert_eq!((head.name(), head.file_name()), (name, file_name));
    }

    #[track_caller]
    fn check_error(lines: &str, expected: &str) {
        let error = parse(lines).expect_err("the head is invalid");
        assert_eq!(error.to_string(), expected, "{lines}");
    }

    #[test]
    fn names_are_read_as_browsers_write_them() {
        check_names("form-data; name=\"a\"", "a", None);
        check_names("form-data; name=\"\"", "", None);
        check_names("FORM-DATA;Name=a;FileName=\"\"", "a", Some(""));
        check_names(
            "form-data; name=\"%22%0D%0A\"; filename=\"100%25 %0d.txt\"",
            "\"\r\n",
            Some("100%25 %0d.txt"),
        );
        check_names(
            "form-data; name=\"é[]\"; filename=\"名.txt\"",
            "é[]",
            Some("名.txt"),
        );
        check_names(
            r#"form-data; name="a"; filename="C:\me\%22.txt""#,
            "a",
            Some(r#"C:\me\".txt"#),
        );
        check_names(
            "form-data; name=\"a\"; filename=\"../a\"; filename*=utf-8''b",
            "a",
            Some("../a"),
        );
        check_names(
            "form-data; name=\"%\"; filename=\"%é%2\"",
            "%",
            Some("%é%2"),
        );
        check_names("form-data; name=%22", "%22", None);
    }

    #[test]
    fn headers_have_names_and_values() {
        let head = parse(
            "content-disposition: form-data; name=\"a\"\r\nX-Empty:\r\n\
             Content-Type:  text/plain \t\r\nContent-Transfer-Encoding: 8BIT\r\n",
        );
        let head = head.expect("the head is valid");
        assert_eq!(head.content_type(), Some("text/plain"));
        assert_eq!(head.headers()["x-empty"], "");
        assert_eq!(head.headers().len(), 4);
    }

    #[test]
    fn malformed_heads_name_the_part_and_the_reason() {
        const NAMED: &str = "Content-Disposition: form-data; name=\"a\"\r\n";
        let line = "part 7: a header line is malformed";
        for wrong in [
            "nonsense\r\n",
            "a b: c\r\n",
            "A : c\r\n",
            ": c\r\n",
            "A: \0\r\n",
            "A: b\nB: c\r\n",
            "A: b\rB: c\r\n",
            "A: b\r\r\n",
            "A: b\n\r\n",
            " A: b\r\n",
            "A: \u{1b}\r\n",
            "--x--\r\n",
        ] {
            check_error(&format!("{NAMED}{wrong}"), line);
        }
        check_error("", "part 7: it has no Content-Disposition");
        check_error(&NAMED.repeat(2), "part 7: it has two Content-Dispositions");
        check_error(
            &format!("{NAMED}Content-Type: a/b\r\nContent-Type: a/b\r\n"),
            "part 7: it has two Content-Types",
        );
        check_error(
            "Content-Disposition: attachment; name=a\r\n",
            "part 7: its Content-Disposition is not form-data",
        );
        check_error(
            "Content-Disposition: form-data; filename=a\r\n",
            "part 7: it has no name",
        );
        let parameters = "part 7: the parameters of Content-Disposition are malformed or repeated";
        check_error("Content-Disposition: form-data; name=\"a\r\n", parameters);
        check_error(
            "Content-Disposition: form-data; name=a; name=a\r\n",
            parameters,
        );
        check_error(
            "Content-Disposition: form-data; name=a; filename*=UTF-8''b\r\n",
            "part 7: its file name is in filename*, which RFC 7578 forbids: use filename",
        );
        check_error(
            &format!("{NAMED}Content-Transfer-Encoding: base64\r\n"),
            "part 7: Content-Transfer-Encoding must be binary or absent",
        );
        let latin_1 = b"Content-Disposition: form-data; name=\"\xe9\"\r\n";
        let error = PartHead::parse(latin_1, 1).expect_err("the name is not UTF-8");
        assert_eq!(error.to_string(), "part 1: its name is not UTF-8");
    }

    #[test]
    fn header_lines_are_limited() {
        let lines = "A: b\r\n".repeat(MOST_LINES);
        check_error(&lines, "part 7: it has no Content-Disposition");
        let error = parse(&lines.repeat(2)).expect_err("there are too many lines");
        assert!(matches!(
            error,
            ScanError::TooLarge {
                limit: Limit::PartHeaderLines,
                most: 20,
            }
        ));
    }
}
