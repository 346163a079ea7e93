//! Decompresses request bodies.

use std::fmt;
use std::io::Read as _;

use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};

use crate::message::headers::list;
use crate::message::{BodyMode, Problem, Request, Response};
use crate::web::content_coding::ContentCoding;
use crate::web::{Layer, Next};

/// Decompresses request bodies (`Content-Encoding`) with zstd, brotli or gzip, if the feature is
/// enabled, so that handlers see the decoded content.
///
/// Content that is larger than the [limit](Self::new) after decoding gets a 413, and is never
/// decoded beyond it. An unknown coding, or several codings, get a 415 with
/// `Accept-Encoding`. Content that is invalid, or is followed by other bytes, gets a 400.
///
/// ```
/// use httpool::http::{self, StatusCode};
/// use httpool::layers::Decompression;
/// use httpool::{Handler, Layered, Request};
///
/// let handler = Layered::new(|request: Request| request.into_body())
///     .layer(Decompression::new(1024));
/// let mut request = http::Request::post("/")
///     .header("content-encoding", "rot13")
///     .body("grn".into())?;
/// assert_eq!(handler.handle(&mut request).status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
/// # Ok::<(), http::Error>(())
/// ```
///
/// A request without content is passed on, whatever its coding, with `Content-Encoding` removed.
///
/// A [streamed](crate::BodyMode::Streaming) body is passed on encoded, with its `Content-Encoding`.
///
/// The zstd decoder needs up to 8 MiB of memory while it works, and the brotli decoder up to 16
/// MiB.
#[derive(Debug, Clone, Copy)]
pub struct Decompression {
    max_body: usize,
}

impl Decompression {
    /// Creates the layer with a limit for decoded content, in bytes. The server's
    /// [`max_body`](crate::Builder::max_body) limits the encoded content.
    #[must_use]
    pub fn new(max_body: usize) -> Self {
        Self { max_body }
    }

    /// Decodes the content.
    fn decode(self, coding: ContentCoding, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
        let (mut content, mut rest) = (Vec::new(), bytes);
        let limit = (self.max_body as u64).saturating_add(1);
        let mut decoder = coding.decode(&mut rest);
        let mut end = decoder.by_ref().take(limit).read_to_end(&mut content);
        if end.is_ok() && content.len() <= self.max_body {
            // A decoder checks the end of its input only when it is read once more.
            end = decoder.read(&mut [0]);
        }
        drop(decoder);
        let coding = coding.name();
        let invalid = |reason: &dyn fmt::Display| {
            Problem::new(StatusCode::BAD_REQUEST)
                .detail(format!("the content is not valid {coding}: {reason}"))
        };
        end.map_err(|error| invalid(&error))?;
        if content.len() > self.max_body {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE)
                .detail("the decoded content is too large"));
        }
        if !rest.is_empty() {
            return Err(invalid(&"other bytes follow its end"));
        }
        Ok(content)
    }
}

impl Layer for Decompression {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        if !request.headers().contains_key(CONTENT_ENCODING) || request.body().is_live() {
            return next.handle(request);
        }
        if request.body().length() == Some(0) {
            // Some clients name a coding in every request, even without content.
            request.headers_mut().remove(CONTENT_ENCODING);
            return next.handle(request);
        }
        let coding = match coding(request.headers()) {
            Ok(None) => return next.handle(request),
            // The body has not arrived, because neither the handler nor a layer behind this one
            // needs it.
            Ok(Some(_)) if request.body().as_withheld().is_some() => return next.handle(request),
            Ok(Some(coding)) => coding,
            Err(problem) => {
                let mut response = problem.to_response(request.headers());
                let headers = response.headers_mut();
                headers.insert(ACCEPT_ENCODING, supported());
                return response;
            }
        };
        match self.decode(coding, request.body().as_bytes()) {
            Ok(content) => request.body_mut().replace_content(content),
            Err(problem) => return problem.to_response(request.headers()),
        }
        let headers = request.headers_mut();
        headers.remove(CONTENT_ENCODING);
        // It was the length of the encoded content.
        headers.remove(CONTENT_LENGTH);
        next.handle(request)
    }

    /// Rejects an unknown coding before the client sends the content.
    fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        match behind {
            BodyMode::Buffered | BodyMode::BufferedUpTo { .. }
                if coding(request.headers()).is_err() =>
            {
                BodyMode::HeadOnly
            }
            _ => behind,
        }
    }
}

/// The coding of the request's content.
fn coding(request: &HeaderMap) -> Result<Option<ContentCoding>, Problem> {
    let unsupported = |reason| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(reason);
    let mut found = None;
    for line in request.get_all(CONTENT_ENCODING) {
        let line = line
            .to_str()
            .map_err(|_| unsupported("Content-Encoding is invalid"))?;
        for name in list::text_items(line).filter(|name| !name.is_empty()) {
            if name.eq_ignore_ascii_case("identity") {
                continue;
            }
            let coding = ContentCoding::from_name(name);
            let coding = coding.ok_or_else(|| unsupported("the content coding is unknown"))?;
            if found.replace(coding).is_some() {
                return Err(unsupported("the content has several codings"));
            }
        }
    }
    Ok(found)
}

/// The enabled codings, as a list for `Accept-Encoding`.
fn supported() -> HeaderValue {
    let names: Vec<_> = ContentCoding::FASTEST_FIRST
        .iter()
        .map(|coding| coding.name())
        .collect();
    HeaderValue::try_from(names.join(", ")).expect("names of codings are tokens")
}
