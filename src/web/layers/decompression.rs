//! Requests whose content comes in fewer bytes.

use std::fmt;
use std::io::Read as _;

use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};

use crate::message::headers::list;
use crate::message::{BodyMode, Problem, Request, Response};
use crate::web::content_coding::ContentCoding;
use crate::web::{Layer, Next};

/// Undoes the coding of requests' content (`Content-Encoding`), so that handlers see what was meant:
/// zstd, brotli or gzip, of those whose features are on.
///
/// Content of more than a [limit](Self::new) when it is undone is answered 413, whatever it was
/// on the wire: no more than that is ever undone. What is in another coding or in several is
/// answered 415 with `Accept-Encoding`, and what is broken, or has more
/// behind its end, 400.
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
/// A request without content passes, whatever coding it names, and the field that names it is
/// removed.
///
/// A body that is [streamed](crate::BodyMode::Streaming) is left in its coding, and so is the field that
/// says so.
///
/// For zstd and brotli, whoever undoes them has to keep what may be repeated: up to 8 MiB and 16 MiB
/// while it does.
#[derive(Debug, Clone, Copy)]
pub struct Decompression {
    max_body: usize,
}

impl Decompression {
    /// With a limit for the largest content in bytes, undone. A server's own
    /// [`max_body`](crate::Builder::max_body) is of what comes over the wire.
    #[must_use]
    pub fn new(max_body: usize) -> Self {
        Self { max_body }
    }

    /// What these bytes in the coding are.
    fn decode(self, coding: ContentCoding, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
        let (mut content, mut rest) = (Vec::new(), bytes);
        let limit = (self.max_body as u64).saturating_add(1);
        let mut decoder = coding.decode(&mut rest);
        let mut end = decoder.by_ref().take(limit).read_to_end(&mut content);
        if end.is_ok() && content.len() <= self.max_body {
            // Whether it has read what is not its own, a decoder says when it is asked once more.
            end = decoder.read(&mut [0]);
        }
        drop(decoder);
        let coding = coding.name();
        let broken = |why: &dyn fmt::Display| {
            Problem::new(StatusCode::BAD_REQUEST)
                .detail(format!("the content is not in the coding {coding}: {why}"))
        };
        end.map_err(|error| broken(&error))?;
        if content.len() > self.max_body {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE)
                .detail("the content is too large when its coding is undone"));
        }
        if !rest.is_empty() {
            return Err(broken(&"more follows its end"));
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
            // Clients name a coding in every request. Without content there is none to undo.
            request.headers_mut().remove(CONTENT_ENCODING);
            return next.handle(request);
        }
        let coding = match coding(request.headers()) {
            Ok(None) => return next.handle(request),
            // It has not come, for what is behind this layer needs none of it.
            Ok(Some(_)) if request.body().as_withheld().is_some() => return next.handle(request),
            Ok(Some(coding)) => coding,
            Err(problem) => {
                let mut response = problem.to_response(request.headers());
                let fields = response.headers_mut();
                fields.insert(ACCEPT_ENCODING, known());
                return response;
            }
        };
        match self.decode(coding, request.body().as_bytes()) {
            Ok(content) => request.body_mut().replace_content(content),
            Err(problem) => return problem.to_response(request.headers()),
        }
        let fields = request.headers_mut();
        fields.remove(CONTENT_ENCODING);
        // What was announced is the length of something else now.
        fields.remove(CONTENT_LENGTH);
        next.handle(request)
    }

    /// A coding that is not known is refused before its content is sent.
    fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        match behind {
            BodyMode::Buffered if coding(request.headers()).is_err() => BodyMode::HeadOnly,
            _ => behind,
        }
    }
}

/// The coding that a request's content is in.
fn coding(request: &HeaderMap) -> Result<Option<ContentCoding>, Problem> {
    let unknown = |why| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(why);
    let mut found = None;
    for line in request.get_all(CONTENT_ENCODING) {
        let line = line
            .to_str()
            .map_err(|_| unknown("the coding has no name"))?;
        for name in list::text_items(line).filter(|name| !name.is_empty()) {
            if name.eq_ignore_ascii_case("identity") {
                continue;
            }
            let coding = ContentCoding::from_name(name);
            let coding = coding.ok_or_else(|| unknown("the content is in an unknown coding"))?;
            if found.replace(coding).is_some() {
                return Err(unknown("the content is in several codings"));
            }
        }
    }
    Ok(found)
}

/// The codings that are known, as a list.
fn known() -> HeaderValue {
    let names: Vec<_> = ContentCoding::FASTEST_FIRST
        .iter()
        .map(|coding| coding.name())
        .collect();
    HeaderValue::try_from(names.join(", ")).expect("they are tokens")
}
