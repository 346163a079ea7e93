//! The fields and files of a submitted form.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::text_or_data;
use crate::message::headers::media_type::MediaType;
use crate::services::inspect::pairs::text_pairs;

/// The content of a submitted form.
pub(super) struct Submitted {
    pub(super) form: Form,
    pub(super) files: Vec<(String, String)>,
}

pub(super) enum Form {
    /// The body is not a form.
    None,
    Pairs(Vec<(String, String)>),
}

/// The most parts of a form that are read.
const MAX_PARTS: usize = 1000;

impl Submitted {
    /// Reads a form. A multipart body is read up to its first mistake.
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let none = Vec::new();
        let Some(media_type) = MediaType::of_content(headers) else {
            return Self {
                form: Form::None,
                files: none,
            };
        };
        if media_type.is("application/x-www-form-urlencoded") {
            return Self {
                form: Form::Pairs(text_pairs(body)),
                files: none,
            };
        }
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let boundary = content_type.and_then(|value| parameter(value, "boundary"));
        match boundary.filter(|_| media_type.is("multipart/form-data")) {
            Some(boundary) => Self::of_parts(&boundary, body),
            None => Self {
                form: Form::None,
                files: none,
            },
        }
    }

    fn of_parts(boundary: &str, body: &[u8]) -> Self {
        let (mut fields, mut files) = (Vec::new(), Vec::new());
        for part in parts(boundary, body).take(MAX_PARTS) {
            let Some(name) = part.disposition("name") else {
                continue;
            };
            match part.disposition("filename") {
                Some(_) => {
                    let media_type = part.header("content-type");
                    let media_type = media_type.unwrap_or("application/octet-stream");
                    files.push((name, text_or_data(part.content, media_type)));
                }
                None => {
                    fields.push((name, String::from_utf8_lossy(part.content).into_owned()));
                }
            }
        }
        Self {
            form: Form::Pairs(fields),
            files,
        }
    }
}

impl Form {
    pub(super) fn pairs(&self) -> &[(String, String)] {
        match self {
            Self::None => &[],
            Self::Pairs(pairs) => pairs,
        }
    }
}

/// One part of a multipart body (RFC 7578).
struct Part<'b> {
    head: &'b str,
    content: &'b [u8],
}

impl<'b> Part<'b> {
    fn header(&self, name: &str) -> Option<&'b str> {
        self.head.lines().find_map(|line| {
            let (other, value) = line.split_once(':')?;
            other.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn disposition(&self, name: &str) -> Option<String> {
        parameter(self.header("content-disposition")?, name)
    }
}

/// The parts between the boundaries. Only text is a head.
fn parts<'b>(boundary: &str, body: &'b [u8]) -> impl Iterator<Item = Part<'b>> {
    let delimiter = format!("\r\n--{boundary}");
    let start = delimiter.len() - 2;
    let mut rest = body
        .starts_with(&delimiter.as_bytes()[2..])
        .then(|| &body[start..]);
    if rest.is_none() {
        // There may be a preamble.
        rest = split(body, delimiter.as_bytes()).map(|(_, rest)| rest);
    }
    std::iter::from_fn(move || {
        let content = rest?.strip_prefix(b"\r\n")?;
        let (part, after) = split(content, delimiter.as_bytes())?;
        rest = Some(after);
        let (head, content) = match part.strip_prefix(b"\r\n") {
            Some(content) => (&b""[..], content),
            None => split(part, b"\r\n\r\n")?,
        };
        Some(Part {
            head: std::str::from_utf8(head).ok()?,
            content,
        })
    })
}

/// The bytes before and behind the first `delimiter`.
fn split<'b>(bytes: &'b [u8], delimiter: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = memchr::memmem::find(bytes, delimiter)?;
    Some((&bytes[..at], &bytes[at + delimiter.len()..]))
}

/// A parameter of a header's value, which may be quoted.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (other, after) = rest.split_once('=')?;
        let (value, after) = parameter_value(after.trim_start());
        if other.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.split_once(';')?.1;
    }
}

/// The value at the start of the text, and what follows.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let (mut value, mut is_escaped) = (String::new(), false);
    for (at, character) in quoted.char_indices() {
        match character {
            '"' if !is_escaped => return (value, &quoted[at + 1..]),
            '\\' if !is_escaped => is_escaped = true,
            _ => {
                value.push(character);
                is_escaped = false;
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submitted(content_type: &'static str, body: &[u8]) -> Submitted {
        let value = http::HeaderValue::from_static(content_type);
        Submitted::of(&[(CONTENT_TYPE, value)].into_iter().collect(), body)
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn multipart_has_fields_and_files() {
        let body = b"preamble\r\n--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
            --x\r\ncontent-disposition: form-data; name=f; filename=\"q\\\"q;.txt\"\r\n\
            Content-Type: text/plain\r\n\r\nhello\r\n\r\n--x\r\n\
            Content-Disposition: form-data; name=\"f\"; filename=\"b\"\r\n\r\n\xff\r\n--x--\r\n";
        let Submitted { form, files } = submitted("multipart/form-data; boundary=\"x\"", body);
        assert_eq!(form.pairs(), [pair("a", "1")]);
        let binary = "data:application/octet-stream;base64,/w==";
        assert_eq!(files, [pair("f", "hello\r\n"), pair("f", binary)]);
    }

    #[test]
    fn malformed_multipart_ends_early() {
        for body in [
            &b""[..],
            b"--x",
            b"--x\r\n",
            b"--x\r\n\r\n",
            b"--x\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--y--",
            b"--x\r\nname=a\r\n\r\n1\r\n--x--",
            b"--x--\r\n",
        ] {
            let Submitted { form, files } = submitted("multipart/form-data; boundary=x", body);
            assert!(form.pairs().is_empty() && files.is_empty(), "{body:?}");
        }
        let Submitted { form, .. } = submitted("multipart/form-data", b"--x\r\n");
        assert!(matches!(form, Form::None));
    }
}
