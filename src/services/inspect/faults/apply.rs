//! Applies faults to a response.

use std::mem;
use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    TRAILER,
};
use http::{HeaderName, HeaderValue, StatusCode, Version};

use super::choice::Chosen;
use super::content::{Chunks, Limited, Nothing, Parts, dripping};
use super::spec::{ChunkDefect, Code, Defect, Place};
use crate::message::body::PolledSource;
use crate::message::broken::{Broken, BrokenEnd, BrokenHead};
use crate::message::{Body, IntoResponse as _, Later, Response};

/// The status that observers see of a response that is not sent at all. nginx logs the same one.
const NO_RESPONSE: u16 = 444;

/// The number of HTTP/2's PROTOCOL_ERROR.
const PROTOCOL_ERROR: Code = Code(1);

/// The middle of content of unknown length.
const UNKNOWN_MIDDLE: u64 = 64;

/// The header that lists the faults of a response.
pub(super) const FAULT: HeaderName = HeaderName::from_static("fault");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The headers that describe content, and do not hold for other content.
const CONTENT_HEADERS: [HeaderName; 6] = [
    ACCEPT_RANGES,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ETAG,
    TRAILER,
];

/// The most characters of a list of faults that a history keeps. A request may ask for many.
const MOST_KEPT: usize = 1000;

/// The faults of a response, in the form of its header, for the history. A response that is not sent has
/// them, too.
#[derive(Debug, Clone)]
pub(in crate::services::inspect) struct AppliedFaults(Arc<str>);

impl AppliedFaults {
    fn new(faults: &str) -> Self {
        let kept = match faults.char_indices().nth(MOST_KEPT) {
            Some((end, _)) => format!("{}…", &faults[..end]).into(),
            None => faults.into(),
        };
        Self(kept)
    }

    pub(in crate::services::inspect) fn of(response: &Response) -> Option<Arc<str>> {
        let applied = response.extensions().get::<Self>();
        applied.map(|Self(faults)| Arc::clone(faults))
    }
}

impl Chosen {
    /// Applies all but `never`, at once or when a later response arrives.
    pub(super) fn apply(self, response: Response, version: Version) -> Response {
        Later::map(response, move |response| match self.delay {
            Some(delay) => {
                let response = self.change(response, version);
                Later::after(delay, response).into_response()
            }
            None => self.change(response, version),
        })
    }

    fn change(self, mut response: Response, version: Version) -> Response {
        let list = self.to_string();
        if let Some(end) = self.defect.and_then(Defect::without_head) {
            return nothing(end, &list);
        }
        // Another protocol follows this response, and ends in its own way.
        if response.body().protocol().is_some() {
            return response;
        }
        if let Some(bytes) = self.size {
            replace_content(&mut response, bytes);
        }
        if let Some(status) = self.status {
            *response.status_mut() = status;
        }
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if let Ok(list) = HeaderValue::try_from(&list) {
            headers.insert(FAULT, list);
        }
        // Without this, a client takes what follows for the next response. In HTTP/2, it would end the
        // whole connection.
        if self.defect.is_some_and(Defect::blurs_the_end) && version != Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let applied = AppliedFaults::new(&list);
        response.extensions_mut().insert(applied);
        let mut body = mem::take(response.body_mut());
        let length = body.length();
        if let (Some(time), Some(length)) = (self.drip, length) {
            body = dripping(body, length, time);
        }
        *response.body_mut() = match self.defect {
            Some(defect) => defect.body(Parts::of(body), length, version),
            None => body,
        };
        response
    }
}

/// A response of which nothing is sent, because of these faults.
pub(super) fn nothing(end: BrokenEnd, faults: &str) -> Response {
    let broken = Broken {
        head: BrokenHead::Omitted,
        length: Some(0),
        content: Box::new(Nothing),
        end,
    };
    let mut response = Response::new(broken.into());
    *response.status_mut() = StatusCode::from_u16(NO_RESPONSE).expect("the number is a status");
    let applied = AppliedFaults::new(faults);
    response.extensions_mut().insert(applied);
    response
}

fn replace_content(response: &mut Response, bytes: u64) {
    let headers = response.headers_mut();
    for name in &CONTENT_HEADERS {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, TEXT);
    *response.body_mut() = match bytes {
        0 => Body::empty(),
        _ => Body::from_sized_reader(std::io::repeat(b'x'), bytes),
    };
}

impl Defect {
    /// Whether the client can't know where the response ends.
    fn blurs_the_end(self) -> bool {
        matches!(self, Self::Length(_) | Self::Chunk(_))
    }

    /// How a response ends that is not even begun.
    fn without_head(self) -> Option<BrokenEnd> {
        match self {
            Self::Truncate(Place::Before) => Some(BrokenEnd::Finish),
            Self::Reset(Place::Before) => Some(BrokenEnd::Reset),
            Self::StreamReset(Code(code), Place::Before) => Some(BrokenEnd::ResetStream(code)),
            Self::Goaway(Code(code)) => Some(BrokenEnd::Goaway(code)),
            _ => None,
        }
    }

    /// The body with this defect, of content of this length.
    fn body(
        self,
        content: impl PolledSource + 'static,
        length: Option<u64>,
        version: Version,
    ) -> Body {
        match self {
            Self::Truncate(place) => cut(content, length, place, BrokenEnd::Finish, version),
            Self::Reset(place) => cut(content, length, place, BrokenEnd::Reset, version),
            Self::StreamReset(Code(code), place) => cut(
                content,
                length,
                place,
                BrokenEnd::ResetStream(code),
                version,
            ),
            Self::Length(announced) => broken(content, Some(announced), BrokenEnd::Finish),
            Self::Chunk(defect) => match version {
                Version::HTTP_11 => broken(Chunks::new(content, defect), None, BrokenEnd::Finish),
                Version::HTTP_2 => {
                    let Code(code) = PROTOCOL_ERROR;
                    let end = BrokenEnd::ResetStream(code);
                    cut(content, length, Place::Middle, end, version)
                }
                _ => cut(content, length, Place::Middle, BrokenEnd::Finish, version),
            },
            // These have no body.
            Self::Goaway(_) | Self::Never => Body::empty(),
        }
    }
}

/// Content that ends early.
fn cut(
    content: impl PolledSource + 'static,
    length: Option<u64>,
    place: Place,
    end: BrokenEnd,
    version: Version,
) -> Body {
    let bytes = match place {
        Place::Before | Place::Head => 0,
        Place::Middle => length.map_or(UNKNOWN_MIDDLE, |length| length / 2),
        Place::Byte(bytes) => bytes,
    };
    let content = Limited::new(content, bytes);
    match (length, version) {
        // A stream would end with a head that announces nothing.
        (Some(0), Version::HTTP_2) => broken(content, None, end),
        (None, Version::HTTP_11) => broken(Chunks::new(content, ChunkDefect::End), None, end),
        _ => broken(content, length, end),
    }
}

fn broken(content: impl PolledSource + 'static, length: Option<u64>, end: BrokenEnd) -> Body {
    Broken {
        head: BrokenHead::Sent,
        length,
        content: Box::new(content),
        end,
    }
    .into()
}
