//! Responses with a file or other content, or parts of it.

use std::fs::{File, Metadata};
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderValue, LAST_MODIFIED, VARY,
};
use http::{Method, StatusCode};

use super::conditions;
use super::conditions::Precondition;
use super::content::Content;
use super::digests::Digests;
use super::multipart;
use super::multipart::Boundary;
use super::ranges::RangeRequest;
use super::validators::Validators;
use crate::message::{Body, Problem, Request, Response};
use crate::web::content_coding::ContentCoding;

const BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// Most headers of such a response, so that the map is allocated once.
const MAX_HEADERS: usize = 8;

/// The selected representation (RFC 9110 section 3.2).
#[derive(Debug)]
pub(crate) struct Representation<C = Arc<File>> {
    content: C,
    length: u64,
    media_type: HeaderValue,
    coding: Option<ContentCoding>,
    validators: Validators,
}

/// The caching headers of a response.
#[derive(Debug)]
pub(crate) struct Caching<'a> {
    pub(crate) control: &'a HeaderValue,
    pub(crate) vary: Option<HeaderValue>,
}

impl Representation {
    pub(crate) fn new(
        file: Arc<File>,
        metadata: &Metadata,
        media_type: HeaderValue,
        coding: Option<ContentCoding>,
        tags: &Digests,
    ) -> Self {
        let validators = Validators::new(&file, metadata, coding, tags, SystemTime::now());
        Self {
            coding,
            ..Self::of_content(file, metadata.len(), media_type, validators)
        }
    }
}

impl<C: Content> Representation<C> {
    /// Content of this length that is not encoded.
    pub(crate) fn of_content(
        content: C,
        length: u64,
        media_type: HeaderValue,
        validators: Validators,
    ) -> Self {
        Self {
            content,
            length,
            media_type,
            coding: None,
            validators,
        }
    }

    /// Responds to a GET or HEAD request.
    pub(crate) fn respond(self, request: &Request, caching: Caching<'_>) -> Response {
        let headers = request.headers();
        match conditions::evaluate(headers, Some(&self.validators)) {
            Precondition::Send => {}
            Precondition::NotModified => return self.not_modified(caching),
            Precondition::Failed => {
                return Problem::new(StatusCode::PRECONDITION_FAILED).to_response(headers);
            }
        }
        // Ranges apply to GET only.
        let allows_ranges =
            request.method() == Method::GET && conditions::allow_ranges(headers, &self.validators);
        let ranges = if allows_ranges {
            RangeRequest::parse(headers, self.length)
        } else {
            RangeRequest::Whole
        };
        match ranges {
            RangeRequest::Part(part) => self.part(part, caching),
            // A client that decodes a multipart response would decode the boundaries, too.
            RangeRequest::Parts(parts) if self.coding.is_none() => self.parts(&parts, caching),
            RangeRequest::Whole | RangeRequest::Parts(_) => self.whole(caching),
            RangeRequest::Unsatisfiable => self.unsatisfiable(headers),
        }
    }

    fn whole(self, caching: Caching<'_>) -> Response {
        let headers = self.content_headers(self.media_type.clone(), caching);
        let body = self.content.part(0..self.length);
        response(StatusCode::OK, headers, body)
    }

    fn part(self, part: Range<u64>, caching: Caching<'_>) -> Response {
        let mut headers = self.content_headers(self.media_type.clone(), caching);
        let bytes = format!("{}-{}", part.start, part.end - 1);
        headers.insert(CONTENT_RANGE, content_range(&bytes, self.length));
        let body = self.content.part(part);
        response(StatusCode::PARTIAL_CONTENT, headers, body)
    }

    fn parts(self, parts: &[Range<u64>], caching: Caching<'_>) -> Response {
        let boundary = Boundary::new();
        let headers = self.content_headers(boundary.media_type(), caching);
        let body = multipart::body(
            self.content,
            self.length,
            &self.media_type,
            parts,
            &boundary,
        );
        response(StatusCode::PARTIAL_CONTENT, headers, body)
    }

    /// A 304 has the validators and caching headers of a 200 (RFC 9110 section 15.4.5), but no
    /// content headers.
    fn not_modified(&self, caching: Caching<'_>) -> Response {
        response(
            StatusCode::NOT_MODIFIED,
            self.validator_headers(caching),
            Body::empty(),
        )
    }

    fn unsatisfiable(&self, request: &HeaderMap) -> Response {
        let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE).to_response(request);
        let headers = response.headers_mut();
        headers.insert(CONTENT_RANGE, content_range("*", self.length));
        headers.insert(ACCEPT_RANGES, BYTES);
        response
    }

    /// The headers of a response with content of this type.
    fn content_headers(&self, media_type: HeaderValue, caching: Caching<'_>) -> HeaderMap {
        let mut headers = self.validator_headers(caching);
        headers.insert(CONTENT_TYPE, media_type);
        headers.insert(ACCEPT_RANGES, BYTES);
        if let Some(coding) = self.coding {
            headers.insert(CONTENT_ENCODING, coding.value());
        }
        headers
    }

    fn validator_headers(&self, caching: Caching<'_>) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(MAX_HEADERS);
        headers.insert(ETAG, self.validators.etag());
        if let Some(modified) = self.validators.last_modified() {
            headers.insert(LAST_MODIFIED, modified);
        }
        headers.insert(CACHE_CONTROL, caching.control.clone());
        if let Some(vary) = caching.vary {
            headers.insert(VARY, vary);
        }
        headers
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn content_range(bytes: &str, length: u64) -> HeaderValue {
    let text = format!("bytes {bytes}/{length}");
    HeaderValue::try_from(text).expect("digits and - are valid in a header value")
}
