//! Forms with files, as a client encodes them (RFC 7578).

use bytes::Bytes;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Characters that a form encodes: all but those of the `application/x-www-form-urlencoded`
/// percent-encode set of the URL standard. A space becomes `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b' ');

/// A form with files, encoded as `multipart/form-data` as browsers do.
///
/// ```
/// use httpool::Request;
/// use httpool::testing::{Client, FormData};
///
/// let client = Client::new(|request: Request| request.into_body());
/// let form = FormData::new()
///     .text("title", "Holiday")
///     .file("photo", "beach.jpg", "image/jpeg", "content");
/// let response = client.post("/photos").multipart(&form).send();
/// assert!(response.text().contains("name=\"photo\"; filename=\"beach.jpg\""));
/// ```
#[derive(Debug, Clone, Default)]
pub struct FormData(Vec<Part>);

#[derive(Debug, Clone)]
struct Part {
    name: String,
    /// Name and media type of a file.
    file: Option<(String, HeaderValue)>,
    content: Bytes,
}

impl FormData {
    /// Creates a form without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text field.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push(Part {
            name: name.to_owned(),
            file: None,
            content: value.into().into(),
        });
        self
    }

    /// Adds a file. Several files may have the same name of a field.
    ///
    /// # Panics
    ///
    /// If the content type can't be a header.
    #[must_use]
    #[track_caller]
    pub fn file(
        mut self,
        name: &str,
        file_name: &str,
        content_type: &str,
        content: impl Into<Bytes>,
    ) -> Self {
        let content_type = HeaderValue::try_from(content_type).expect("valid content type");
        self.0.push(Part {
            name: name.to_owned(),
            file: Some((file_name.to_owned(), content_type)),
            content: content.into(),
        });
        self
    }

    /// Returns the `Content-Type` and the body of a request with this form, for tests with another
    /// client.
    ///
    /// ```
    /// use httpool::testing::FormData;
    ///
    /// let (content_type, body) = FormData::new().text("a", "b").encode();
    /// assert!(content_type.starts_with("multipart/form-data; boundary="));
    /// assert!(body.ends_with(b"--\r\n"));
    /// ```
    #[must_use]
    pub fn encode(&self) -> (String, Vec<u8>) {
        let boundary = self.boundary();
        let mut body = Vec::new();
        for part in &self.0 {
            body.extend_from_slice(part.head(&boundary).as_bytes());
            body.extend_from_slice(&part.content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), body)
    }

    /// A boundary that no part contains.
    fn boundary(&self) -> String {
        let mut boundaries = (0_u64..).map(|number| format!("httpool-form-{number}"));
        let is_free = |boundary: &String| {
            let finder = memchr::memmem::Finder::new(boundary);
            (self.0.iter()).all(|part| finder.find(&part.content).is_none())
        };
        boundaries.find(is_free).expect("there are enough numbers")
    }
}

impl Part {
    fn head(&self, boundary: &str) -> String {
        let name = quoted(&self.name);
        let mut head = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"");
        if let Some((file_name, content_type)) = &self.file {
            let content_type = String::from_utf8_lossy(content_type.as_bytes());
            let file_name = quoted(file_name);
            head += &format!("; filename=\"{file_name}\"\r\ncontent-type: {content_type}");
        }
        head + "\r\n\r\n"
    }
}

/// A name in quotes, as browsers escape it (HTML standard, "multipart/form-data encoding algorithm").
fn quoted(name: &str) -> String {
    name.replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace('"', "%22")
}

/// The pairs as `application/x-www-form-urlencoded`.
pub(super) fn urlencoded(
    pairs: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
) -> String {
    let encode = |text: &str| {
        let encoded = percent_encode(text.as_bytes(), ENCODED);
        encoded.to_string().replace(' ', "+")
    };
    let pairs = pairs.into_iter();
    let pairs = pairs.map(|(name, value)| encode(name.as_ref()) + "=" + &encode(value.as_ref()));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_encoded_as_by_browsers() {
        let form =
            FormData::new()
                .text("a\"b\r\n", "é")
                .file("f", "x \"y\".txt", "text/plain", "hello");
        let (content_type, body) = form.encode();
        assert_eq!(content_type, "multipart/form-data; boundary=httpool-form-0");
        let expected = "--httpool-form-0\n\
             content-disposition: form-data; name=\"a%22b%0D%0A\"\n\né\n\
             --httpool-form-0\n\
             content-disposition: form-data; name=\"f\"; filename=\"x %22y%22.txt\"\n\
             content-type: text/plain\n\nhello\n\
             --httpool-form-0--\n";
        assert_eq!(
            String::from_utf8_lossy(&body),
            expected.replace('\n', "\r\n")
        );
    }

    #[test]
    fn boundary_is_in_no_part() {
        let form = FormData::new().text("a", "--httpool-form-0--httpool-form-1");
        assert_eq!(form.boundary(), "httpool-form-2");
    }

    #[test]
    fn pairs_are_urlencoded() {
        assert_eq!(
            urlencoded([("a b", "é&=+"), ("*-._", "~")]),
            "a+b=%C3%A9%26%3D%2B&*-._=%7E"
        );
        assert_eq!(urlencoded([("", ""); 0]), "");
    }
}
