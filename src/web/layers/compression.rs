//! Compresses responses.

use std::io;
use std::mem;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH,
};
use http::{Method, StatusCode};

use super::is_in_memory;
use crate::message::headers::list::lists;
use crate::message::headers::media_type::essence;
use crate::message::headers::vary::vary;
use crate::message::problem::attached_problem;
use crate::message::{Body, Later, Request, Response};
use crate::web::content_coding::{ContentCoding, Flush};
use crate::web::{Layer, Next};

/// Default for the shortest content that is compressed. Shorter content fits into one packet either
/// way.
const DEFAULT_SHORTEST: u64 = 1024;

/// The longest content in memory that is compressed before it is sent. Longer content is compressed
/// while it is sent: its compressed form is never whole in memory, and the client receives the
/// first bytes sooner.
const MAX_AT_ONCE: usize = 256 * 1024;

/// Headers with a digest of the uncompressed content (RFC 9530).
const DIGESTS: [HeaderName; 3] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
];

/// Compresses responses with zstd, brotli or gzip, if the client accepts one of them and its
/// feature is enabled. If the client accepts several equally, this order decides.
///
/// The layer compresses text and text-based types (JSON, XML, SVG, scripts), uncompressed fonts,
/// and WebAssembly, from 1 KiB on. It does not compress partial responses (206), responses that
/// have a content coding or a digest, and responses with `Cache-Control: no-transform`. Nor does it
/// compress server-sent events: each of their streams stays open for long and would hold the memory
/// described below. Error responses from a [`Problem`](crate::Problem) stay uncompressed too,
/// because their content is chosen after all layers.
///
/// Each response that could be compressed has `Vary: accept-encoding`; so do 304 and 206 responses
/// for such content. Compression makes a strong `ETag` weak, because a strong one identifies exact
/// bytes, and removes `Accept-Ranges`. A 304 has the weak tag if the client sent that one (RFC 9110
/// section 15.4.5).
///
/// Bodies from readers are compressed while they are sent, in bounded memory. The result of each
/// read is compressed and sent at once, so lines of a log or of JSON arrive without delay. Short
/// reads compress less well: with 4 KiB a read, the content is 5 % longer, and with 64 bytes a
/// read, twice as long. What other threads have [sent](crate::BodySender) is compressed and sent
/// when there is no more for now, and no worker waits for it. Files and content in memory are
/// compressed as well as the coding allows. The compressor's memory, up to 4.6 MiB beside the
/// content, counts in [`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory) until
/// the client has received the response.
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
/// let response = handler.handle(&mut request);
/// assert!(response.headers().contains_key("content-encoding"));
/// assert!(response.body().length() < Some(200));
/// # Ok::<(), http::Error>(())
/// ```
///
/// Compression can leak secrets (BREACH). If an attacker can place text on a page beside a secret
/// and observe the page's compressed length, the attacker can guess the secret piece by piece. Do
/// not compress pages that contain both.
#[derive(Debug, Clone, Copy)]
pub struct Compression {
    shortest: u64,
}

impl Compression {
    /// Creates the layer with the defaults described above.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shortest: DEFAULT_SHORTEST,
        }
    }

    /// Sets the shortest content that is compressed, in bytes. Default: 1024.
    #[must_use]
    pub fn shortest(mut self, bytes: u64) -> Self {
        self.shortest = bytes;
        self
    }

    fn scope(self, response: &Response) -> Scope {
        // It says what is sent, byte for byte.
        #[cfg(feature = "inspect")]
        if response.body().broken().is_some() {
            return Scope::None;
        }
        let (status, headers) = (response.status(), response.headers());
        let is_fixed = headers.contains_key(CONTENT_ENCODING)
            || DIGESTS.iter().any(|name| headers.contains_key(name))
            || lists(headers, &CACHE_CONTROL, "no-transform");
        if is_fixed || attached_problem(response).is_some() {
            return Scope::None;
        }
        let essence = essence(headers);
        match status {
            // A 304 may omit the type of the content that the client has.
            StatusCode::NOT_MODIFIED if essence.is_none_or(is_compressible) => Scope::Headers,
            StatusCode::PARTIAL_CONTENT
                if essence.is_some_and(|of| is_compressible(of) || is_multipart(of)) =>
            {
                Scope::Headers
            }
            StatusCode::NOT_MODIFIED
            | StatusCode::PARTIAL_CONTENT
            | StatusCode::NO_CONTENT
            | StatusCode::RESET_CONTENT => Scope::None,
            _ if status.is_informational() || headers.contains_key(CONTENT_RANGE) => Scope::None,
            _ if length(response).is_some_and(|length| length < self.shortest) => Scope::None,
            _ if essence.is_some_and(is_compressible) => Scope::Content,
            _ => Scope::None,
        }
    }
}

/// The changes that compression makes to a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    None,
    /// Its headers: it is a 304 or a part, and refers to content that would be compressed.
    Headers,
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
        let if_none_match = request.headers().get_all(IF_NONE_MATCH);
        let if_none_match: Vec<_> = if_none_match.iter().cloned().collect();
        let layer = *self;
        Later::map(next.handle(request), move |response| {
            layer.compress(response, coding, is_head, &if_none_match)
        })
    }
}

impl Compression {
    fn compress(
        self,
        mut response: Response,
        coding: Option<ContentCoding>,
        is_head: bool,
        if_none_match: &[HeaderValue],
    ) -> Response {
        let scope = self.scope(&response);
        if scope == Scope::None {
            return response;
        }
        vary(response.headers_mut(), "accept-encoding");
        let Some(coding) = coding else {
            return response;
        };
        if scope == Scope::Headers {
            if response.status() == StatusCode::NOT_MODIFIED {
                weaken_not_modified(if_none_match, response.headers_mut());
            }
            return response;
        }
        let body = response.body_mut();
        // A response to HEAD may omit the content.
        let is_complete = is_in_memory(body) && !(is_head && body.as_bytes().is_empty());
        *body = if is_complete && body.as_bytes().len() <= MAX_AT_ONCE {
            match compress(coding, body.as_bytes()) {
                Some(compressed) => compressed.into(),
                None => return response,
            }
        } else if is_head {
            // The compressed length would be known only after compression.
            Body::from_reader(io::empty())
        } else {
            let flush = match body.is_live() {
                true => Flush::PerRead,
                false => Flush::WhenFull,
            };
            coding.encode(mem::take(body), flush)
        };
        update_headers(coding, response.headers_mut());
        response
    }
}

/// The length of the content, if it is known. A response to HEAD may state it without content.
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

/// Whether content of this type usually gets shorter.
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

fn is_multipart(essence: &[u8]) -> bool {
    essence.eq_ignore_ascii_case(b"multipart/byteranges")
}

/// Changes the headers of a compressed response: adds the coding, and removes or weakens headers
/// that no longer hold.
fn update_headers(coding: ContentCoding, headers: &mut HeaderMap) {
    headers.insert(CONTENT_ENCODING, coding.value());
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    if let Some(weak) = weakened(headers) {
        headers.insert(ETAG, weak);
    }
}

/// The weak form of a strong `ETag`.
fn weakened(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(ETAG)?.as_bytes();
    let weak = tag.starts_with(b"\"").then(|| [b"W/", tag].concat())?;
    Some(HeaderValue::try_from(weak).expect("two letters before a valid value are valid"))
}

/// Weakens the `ETag` of a 304 if the client asked with the weak tag, that is, has the compressed
/// content.
fn weaken_not_modified(if_none_match: &[HeaderValue], headers: &mut HeaderMap) {
    let Some(weak) = weakened(headers) else {
        return;
    };
    let has_weak = |line: &HeaderValue| {
        let mut windows = line.as_bytes().windows(weak.len());
        windows.any(|window| window == weak.as_bytes())
    };
    if if_none_match.iter().any(has_weak) {
        headers.insert(ETAG, weak);
    }
}

/// The compressed bytes. `None` if they are not fewer.
fn compress(coding: ContentCoding, bytes: &[u8]) -> Option<Vec<u8>> {
    let compressed = coding.compress(bytes).ok()?;
    (compressed.len() < bytes.len()).then_some(compressed)
}
