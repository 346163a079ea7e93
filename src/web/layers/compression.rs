//! Answers in fewer bytes.

use std::io;
use std::mem;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH,
};
use http::{Method, StatusCode};

use super::is_here;
use crate::message::headers::list::lists;
use crate::message::headers::media_type::essence;
use crate::message::headers::vary::vary;
use crate::message::problem::told;
use crate::message::{Body, Request, Response};
use crate::web::content_coding::{ContentCoding, Flush};
use crate::web::{Layer, Next};

/// Content that is shorter is sent as it is: it fits into a packet either way.
const SHORTEST: u64 = 1024;

/// Content in memory that is longer is compressed while it is sent, so that what is compressed is
/// not all in memory, too, and the client does not wait for the whole.
const LONGEST_AT_ONCE: usize = 256 * 1024;

/// Fields with a digest of the content as it was (RFC 9530).
const DIGESTS: [HeaderName; 3] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
];

/// Compresses answers, as far as the client accepts it: in zstd, brotli or gzip, of those whose
/// features are on, and in this order where the client likes several alike.
///
/// What is compressed is text, and what is written in it (JSON, XML, SVG, scripts), fonts that are
/// not compressed yet, and WebAssembly, of 1 KiB and more. What is not: a part of something (206),
/// what is in a coding already or has a digest, what says `Cache-Control: no-transform`, and
/// server-sent events: each of these streams stays open for long and would keep as much memory as is
/// said below. Error answers that tell a [`Problem`](crate::Problem) are not compressed either, for
/// their content is settled last.
///
/// Each answer that could be compressed says `Vary: accept-encoding`. A strong `ETag` becomes a weak
/// one, as one is of the bytes, and `Accept-Ranges` is left out. A 304 says `Vary`, too, and has the
/// weak tag for whom asked with it (RFC 9110 section 15.4.5), and so does a part say `Vary`.
///
/// Bodies from readers are compressed while they are sent, in bounded memory, and what the reader
/// gives at a time is compressed and sent at once: lines of a log or of JSON arrive as they come. A
/// reader that gives little at a time is compressed less well for that: where each read gives 4 KiB,
/// the content is 5 % longer, and where it gives 64 bytes, twice as long. Files and content in memory, which nobody waits for, are
/// compressed as well as the coding can. What is kept for that, up to 4.6 MiB beside the content,
/// counts in [`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory)
/// while the client does not take it.
///
/// ```
/// use httpool::http;
/// use httpool::layers::Compression;
/// use httpool::{Handler, Layered, Request};
///
/// let handler = Layered::new(|_: Request| "tea ".repeat(1000)).layer(Compression::new());
/// let mut request = http::Request::get("/")
///     .header("accept-encoding", "gzip, br, zstd")
///     .body(Default::default())?;
/// let answer = handler.handle(&mut request);
/// assert!(answer.headers().contains_key("content-encoding"));
/// assert!(answer.body().length() < Some(200));
/// # Ok::<(), http::Error>(())
/// ```
///
/// Compression tells of secrets: who can have a page show something of his own beside a secret, and
/// sees how long the compressed page is, finds out the secret piece by piece (BREACH). Leave pages
/// out that have both.
#[derive(Debug, Clone, Copy)]
pub struct Compression {
    shortest: u64,
}

impl Compression {
    /// With what is said above.
    #[must_use]
    pub fn new() -> Self {
        Self { shortest: SHORTEST }
    }

    /// Sends content of fewer bytes as it is. Default: 1024.
    #[must_use]
    pub fn shortest(mut self, bytes: u64) -> Self {
        self.shortest = bytes;
        self
    }

    fn concern(self, response: &Response) -> Concern {
        let (status, fields) = (response.status(), response.headers());
        let is_settled = fields.contains_key(CONTENT_ENCODING)
            || DIGESTS.iter().any(|name| fields.contains_key(name))
            || lists(fields, &CACHE_CONTROL, "no-transform");
        if is_settled || told(response).is_some() {
            return Concern::None;
        }
        let essence = essence(fields);
        match status {
            // It need not say of which type that is which the client has.
            StatusCode::NOT_MODIFIED if essence.is_none_or(is_compressible) => Concern::Whole,
            StatusCode::PARTIAL_CONTENT
                if essence.is_some_and(|of| is_compressible(of) || is_several_parts(of)) =>
            {
                Concern::Whole
            }
            StatusCode::NOT_MODIFIED
            | StatusCode::PARTIAL_CONTENT
            | StatusCode::NO_CONTENT
            | StatusCode::RESET_CONTENT => Concern::None,
            _ if status.is_informational() || fields.contains_key(CONTENT_RANGE) => Concern::None,
            _ if length(response).is_some_and(|length| length < self.shortest) => Concern::None,
            _ if essence.is_some_and(is_compressible) => Concern::Content,
            _ => Concern::None,
        }
    }
}

/// What is to be compressed of what an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concern {
    None,
    /// What it tells of, not what it has: it is a 304 or a part.
    Whole,
    Content,
}

impl Default for Compression {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for Compression {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let coding = ContentCoding::preferred(request.headers());
        let is_head = *request.method() == Method::HEAD;
        let asked = request.headers().get_all(IF_NONE_MATCH);
        let asked: Vec<_> = asked.iter().cloned().collect();
        let mut response = next.handle(request);
        let concern = self.concern(&response);
        if concern == Concern::None {
            return response;
        }
        vary(response.headers_mut(), "accept-encoding");
        let Some(coding) = coding else {
            return response;
        };
        if concern == Concern::Whole {
            if response.status() == StatusCode::NOT_MODIFIED {
                match_weakly(&asked, response.headers_mut());
            }
            return response;
        }
        let body = response.body_mut();
        // To HEAD a handler may answer without making the content.
        let is_made = is_here(body) && !(is_head && body.as_bytes().is_empty());
        *body = if is_made && body.as_bytes().len() <= LONGEST_AT_ONCE {
            match compress(coding, body.as_bytes()) {
                Some(compressed) => compressed.into(),
                None => return response,
            }
        } else if is_head {
            // How long it would be only compressing would tell.
            Body::from_reader(io::empty())
        } else {
            let flush = match body.is_live() {
                true => Flush::PerRead,
                false => Flush::WhenFull,
            };
            coding.encode(mem::take(body), flush)
        };
        label(coding, response.headers_mut());
        response
    }
}

/// How long its content is, as far as is known. To HEAD a handler may state it without making it.
fn length(response: &Response) -> Option<u64> {
    let stated = || {
        let stated = response.headers().get(CONTENT_LENGTH)?;
        stated.to_str().ok()?.parse().ok()
    };
    match response.body().length() {
        Some(0) => stated().or(Some(0)),
        length => length,
    }
}

/// Whether content of this type gets shorter, as a rule.
fn is_compressible(essence: &[u8]) -> bool {
    let essence = essence.to_ascii_lowercase();
    match &essence[..] {
        b"text/event-stream" => false,
        b"application/javascript"
        | b"application/json"
        | b"application/vnd.ms-fontobject"
        | b"application/wasm"
        | b"application/x-javascript"
        | b"application/x-ndjson"
        | b"application/xml"
        | b"application/yaml"
        | b"font/otf"
        | b"font/ttf"
        | b"image/bmp"
        | b"image/vnd.microsoft.icon"
        | b"image/x-icon" => true,
        other => {
            other.starts_with(b"text/") || other.ends_with(b"+json") || other.ends_with(b"+xml")
        }
    }
}

fn is_several_parts(essence: &[u8]) -> bool {
    essence.eq_ignore_ascii_case(b"multipart/byteranges")
}

/// Says of an answer that it is in this coding, and takes back what is not true of it any more.
fn label(coding: ContentCoding, fields: &mut HeaderMap) {
    fields.insert(CONTENT_ENCODING, coding.value());
    fields.remove(CONTENT_LENGTH);
    fields.remove(ACCEPT_RANGES);
    if let Some(weak) = weakened(fields) {
        fields.insert(ETAG, weak);
    }
}

/// The weak form of the tag of an answer that has a strong one.
fn weakened(fields: &HeaderMap) -> Option<HeaderValue> {
    let tag = fields.get(ETAG)?.as_bytes();
    let weak = tag.starts_with(b"\"").then(|| [b"W/", tag].concat())?;
    Some(HeaderValue::try_from(weak).expect("it is a valid value with two letters more"))
}

/// Has a 304 name the weak tag, if the client has what was compressed under that one.
fn match_weakly(asked: &[HeaderValue], fields: &mut HeaderMap) {
    let Some(weak) = weakened(fields) else {
        return;
    };
    let is_in = |line: &HeaderValue| {
        let mut places = line.as_bytes().windows(weak.len());
        places.any(|place| place == weak.as_bytes())
    };
    if asked.iter().any(is_in) {
        fields.insert(ETAG, weak);
    }
}

/// These bytes in this coding, unless that makes them more.
fn compress(coding: ContentCoding, bytes: &[u8]) -> Option<Vec<u8>> {
    let compressed = coding.compress(bytes).ok()?;
    (compressed.len() < bytes.len()).then_some(compressed)
}
