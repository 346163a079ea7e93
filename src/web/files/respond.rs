//! What is answered with a file that was found.

use std::fs::{File, Metadata};
use std::ops::Range;
use std::time::SystemTime;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderValue, LAST_MODIFIED, VARY,
};
use http::{Method, StatusCode};

use super::coding::FileCoding;
use super::conditions;
use super::conditions::Precondition;
use super::digests::Digests;
use super::multipart;
use super::multipart::Boundary;
use super::ranges::Wanted;
use super::validators::Validators;
use crate::message::{Body, Problem, Request, Response};

const IN_BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// Fields that one answer has, so that their map is made once.
const FIELDS: usize = 8;

/// What was chosen to be sent (RFC 9110 section 3.2).
#[derive(Debug)]
pub(crate) struct Representation {
    file: File,
    length: u64,
    media_type: HeaderValue,
    coding: Option<FileCoding>,
    validators: Validators,
}

/// What caches are told.
#[derive(Debug)]
pub(crate) struct Caching<'a> {
    pub(crate) control: &'a HeaderValue,
    pub(crate) vary: Option<HeaderValue>,
}

impl Representation {
    pub(crate) fn new(
        file: File,
        metadata: &Metadata,
        media_type: HeaderValue,
        coding: Option<FileCoding>,
        tags: &Digests,
    ) -> Self {
        let validators = Validators::new(&file, metadata, coding, tags, SystemTime::now());
        Self {
            file,
            length: metadata.len(),
            media_type,
            coding,
            validators,
        }
    }

    /// The answer to a GET or HEAD.
    pub(crate) fn answer(self, request: &Request, caching: Caching<'_>) -> Response {
        let fields = request.headers();
        match conditions::evaluate(fields, Some(&self.validators)) {
            Precondition::Send => {}
            Precondition::NotModified => return self.not_modified(caching),
            Precondition::Failed => {
                return Problem::new(StatusCode::PRECONDITION_FAILED).answer(fields);
            }
        }
        // Ranges are of GET alone.
        let may_be_part =
            request.method() == Method::GET && conditions::allow_ranges(fields, &self.validators);
        let wanted = if may_be_part {
            Wanted::read(fields, self.length)
        } else {
            Wanted::Whole
        };
        match wanted {
            Wanted::Part(part) => self.part(part, caching),
            // What decodes such an answer would decode what stands between the parts, too.
            Wanted::Parts(parts) if self.coding.is_none() => self.parts(&parts, caching),
            Wanted::Whole | Wanted::Parts(_) => self.whole(caching),
            Wanted::Nothing => self.nothing(fields),
        }
    }

    fn whole(self, caching: Caching<'_>) -> Response {
        let fields = self.fields(self.media_type.clone(), caching);
        let body = Body::from_file(self.file, 0..self.length);
        respond(StatusCode::OK, fields, body)
    }

    fn part(self, part: Range<u64>, caching: Caching<'_>) -> Response {
        let mut fields = self.fields(self.media_type.clone(), caching);
        let bytes = format!("{}-{}", part.start, part.end - 1);
        fields.insert(CONTENT_RANGE, content_range(&bytes, self.length));
        let body = Body::from_file(self.file, part);
        respond(StatusCode::PARTIAL_CONTENT, fields, body)
    }

    fn parts(self, parts: &[Range<u64>], caching: Caching<'_>) -> Response {
        let boundary = Boundary::new();
        let fields = self.fields(boundary.media_type(), caching);
        let body = multipart::body(self.file, self.length, &self.media_type, parts, &boundary);
        respond(StatusCode::PARTIAL_CONTENT, fields, body)
    }

    /// The fields that tell which state of the file it is are those of a 200 (RFC 9110 section
    /// 15.4.5); those of the content are left out.
    fn not_modified(&self, caching: Caching<'_>) -> Response {
        respond(StatusCode::NOT_MODIFIED, self.state(caching), Body::empty())
    }

    fn nothing(&self, request: &HeaderMap) -> Response {
        let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE).answer(request);
        let fields = response.headers_mut();
        fields.insert(CONTENT_RANGE, content_range("*", self.length));
        fields.insert(ACCEPT_RANGES, IN_BYTES);
        response
    }

    /// The fields of an answer with content of this type.
    fn fields(&self, media_type: HeaderValue, caching: Caching<'_>) -> HeaderMap {
        let mut fields = self.state(caching);
        fields.insert(CONTENT_TYPE, media_type);
        fields.insert(ACCEPT_RANGES, IN_BYTES);
        if let Some(coding) = self.coding {
            fields.insert(CONTENT_ENCODING, coding.value());
        }
        fields
    }

    fn state(&self, caching: Caching<'_>) -> HeaderMap {
        let mut fields = HeaderMap::with_capacity(FIELDS);
        fields.insert(ETAG, self.validators.etag());
        fields.insert(LAST_MODIFIED, self.validators.last_modified());
        fields.insert(CACHE_CONTROL, caching.control.clone());
        if let Some(vary) = caching.vary {
            fields.insert(VARY, vary);
        }
        fields
    }
}

fn respond(status: StatusCode, fields: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    response
}

fn content_range(bytes: &str, length: u64) -> HeaderValue {
    let text = format!("bytes {bytes}/{length}");
    HeaderValue::try_from(text).expect("digits are valid in a field")
}
