//! Responses with a file or other content, or parts of it.

use std::any::Any;
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
use crate::fs::folder::OpenFile;
use crate::fs::shared_file::SharedFile;
use crate::message::{Body, Problem, Request, Response};
use crate::web::content_coding::ContentCoding;

const BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// Most headers of such a response, so that the map is allocated once.
const MAX_HEADERS: usize = 8;

/// The selected representation (RFC 9110 section 3.2).
#[derive(Debug)]
pub(crate) struct Representation<C = Arc<SharedFile>> {
    content: C,
    length: u64,
    description: Arc<Description>,
}

/// How content is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) media_type: HeaderValue,
    pub(crate) coding: Option<ContentCoding>,
    pub(crate) cache_control: HeaderValue,
    pub(crate) vary: Option<HeaderValue>,
}

/// The parts that all responses with a representation have in common.
#[derive(Debug)]
struct Description {
    form: Form,
    validators: Validators,
    /// The headers of a response with the whole content.
    headers: HeaderMap,
}

impl Representation {
    /// Describes a file. The description is kept with the file, if time does not change it. A file
    /// that is served in several forms keeps the first one.
    pub(crate) fn new(file: &OpenFile, form: Form, tags: &Digests) -> Self {
        let kept = file.derived.get().cloned();
        let kept = kept.and_then(|kept| kept.downcast::<Description>().ok());
        if let Some(description) = kept.filter(|kept| kept.form == form) {
            return Self::described(file, description);
        }
        let now = SystemTime::now();
        let validators = Validators::new(file, form.coding, tags, now);
        let description = Arc::new(Description::new(form, validators));
        if tags.are_of_metadata() && Validators::are_lasting(&file.metadata, now) {
            let kept: Arc<dyn Any + Send + Sync> = description.clone();
            let _ = file.derived.set(kept);
        }
        Self::described(file, description)
    }

    fn described(file: &OpenFile, description: Arc<Description>) -> Self {
        Self {
            content: Arc::clone(&file.file),
            length: file.metadata.len(),
            description,
        }
    }
}

impl<C: Content> Representation<C> {
    /// Content of this length that is no file.
    #[cfg(feature = "inspect")]
    pub(crate) fn of_content(content: C, length: u64, form: Form, validators: Validators) -> Self {
        Self {
            content,
            length,
            description: Arc::new(Description::new(form, validators)),
        }
    }

    /// Responds to a GET or HEAD request.
    pub(crate) fn respond(self, request: &Request) -> Response {
        let headers = request.headers();
        let validators = &self.description.validators;
        match conditions::evaluate(headers, Some(validators)) {
            Precondition::Send => {}
            Precondition::NotModified => return self.not_modified(),
            Precondition::Failed => {
                return Problem::new(StatusCode::PRECONDITION_FAILED).to_response(headers);
            }
        }
        // Ranges apply to GET only.
        let allows_ranges =
            request.method() == Method::GET && conditions::allow_ranges(headers, validators);
        let ranges = if allows_ranges {
            RangeRequest::parse(headers, self.length)
        } else {
            RangeRequest::Whole
        };
        match ranges {
            RangeRequest::Part(part) => self.part(part),
            // A client that decodes a multipart response would decode the boundaries, too.
            RangeRequest::Parts(parts) if self.description.form.coding.is_none() => {
                self.parts(&parts)
            }
            RangeRequest::Whole | RangeRequest::Parts(_) => self.whole(),
            RangeRequest::Unsatisfiable => self.unsatisfiable(headers),
        }
    }

    fn whole(self) -> Response {
        let headers = self.description.headers.clone();
        response(StatusCode::OK, headers, self.content.part(0..self.length))
    }

    fn part(self, part: Range<u64>) -> Response {
        let mut headers = self.description.headers.clone();
        let bytes = format!("{}-{}", part.start, part.end - 1);
        headers.insert(CONTENT_RANGE, content_range(&bytes, self.length));
        response(
            StatusCode::PARTIAL_CONTENT,
            headers,
            self.content.part(part),
        )
    }

    fn parts(self, parts: &[Range<u64>]) -> Response {
        let boundary = Boundary::new();
        let mut headers = self.description.headers.clone();
        headers.insert(CONTENT_TYPE, boundary.media_type());
        let media_type = &self.description.form.media_type;
        let body = multipart::body(self.content, self.length, media_type, parts, &boundary);
        response(StatusCode::PARTIAL_CONTENT, headers, body)
    }

    /// A 304 has the validators and caching headers of a 200 (RFC 9110 section 15.4.5), but no
    /// content headers.
    fn not_modified(&self) -> Response {
        let Description {
            form, validators, ..
        } = &*self.description;
        let headers = form.validator_headers(validators);
        response(StatusCode::NOT_MODIFIED, headers, Body::empty())
    }

    fn unsatisfiable(&self, request: &HeaderMap) -> Response {
        let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE).to_response(request);
        let headers = response.headers_mut();
        headers.insert(CONTENT_RANGE, content_range("*", self.length));
        headers.insert(ACCEPT_RANGES, BYTES);
        response
    }
}

impl Description {
    fn new(form: Form, validators: Validators) -> Self {
        let mut headers = form.validator_headers(&validators);
        headers.insert(CONTENT_TYPE, form.media_type.clone());
        headers.insert(ACCEPT_RANGES, BYTES);
        if let Some(coding) = form.coding {
            headers.insert(CONTENT_ENCODING, coding.value());
        }
        Self {
            form,
            validators,
            headers,
        }
    }
}

impl Form {
    fn validator_headers(&self, validators: &Validators) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(MAX_HEADERS);
        headers.insert(ETAG, validators.etag());
        if let Some(modified) = validators.last_modified() {
            headers.insert(LAST_MODIFIED, modified);
        }
        headers.insert(CACHE_CONTROL, self.cache_control.clone());
        if let Some(vary) = &self.vary {
            headers.insert(VARY, vary.clone());
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
