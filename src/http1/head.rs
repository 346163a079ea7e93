//! Parses the request head: request line and headers (RFC 9112 sections 3 and 5).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HOST, HeaderName};
use http::uri::Uri;
use http::{HeaderMap, HeaderValue, Method, Version};

use super::framing::FramingFields;
use super::{Framing, Limits, RequestBuffer};
use crate::message::head::expectation::{self, Expectation};
use crate::message::head::host::{agree, is_host};
use crate::message::head::{MAX_FIELDS, repeats_a_single, target};
use crate::message::headers::list::lists;
use crate::message::request_error::RequestError;

/// What a request determines about its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseContext {
    /// The HTTP version of the client.
    pub version: Version,
    /// Whether the client keeps the connection open.
    pub persistence: Persistence,
    /// The method is HEAD: the body of the response is not sent.
    pub is_head: bool,
}

/// Whether the connection stays open (RFC 9112 section 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It stays open for another request.
    KeepAlive,
    /// It closes after this request.
    Close,
}

/// The parts of a head that the protocol needs; the rest is in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes.
    pub length: usize,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the client waits before it sends the body.
    pub expectation: Expectation,
}

impl Default for ResponseContext {
    /// The values before anything is known of a request: the plainest response, then close.
    fn default() -> Self {
        Self {
            version: Version::HTTP_11,
            persistence: Persistence::Close,
            is_head: false,
        }
    }
}

/// Parses a head from the start of `input` into `buffer`, which must be clear. `None` if the head is
/// incomplete.
pub(super) fn parse(
    input: &[u8],
    limits: &Limits,
    buffer: &mut RequestBuffer,
) -> Result<Option<Head>, RequestError> {
    // Bytes behind the limit must not decide, because they may not have arrived.
    let input = &input[..input.len().min(limits.head)];
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let length = match parsed.parse_with_uninit_headers(input, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Err(error) if !is_early(error, input) => return Err(request_error(error, input)),
        _ if input.len() < limits.head => return Ok(None),
        _ => return Err(too_large(input)),
    };
    if !ends_in_crlf(&input[..length], parsed.headers) {
        return Err(RequestError::LineEnd);
    }

    let at = Locator { input };
    let RequestBuffer {
        request, context, ..
    } = buffer;
    buffer.arena.extend_from_slice(&input[..length]);
    buffer.head = buffer.arena.split().freeze();
    let bytes = &buffer.head;

    let (method, target) = (
        parsed.method.unwrap_or_default(),
        parsed.path.unwrap_or_default(),
    );
    context.is_head = method == "HEAD";
    context.version = if parsed.version == Some(0) {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    *request.version_mut() = context.version;
    *request.method_mut() =
        Method::from_bytes(method.as_bytes()).map_err(|_| RequestError::RequestLine)?;
    if request.method() == Method::CONNECT {
        return Err(RequestError::Tunnel);
    }
    let path = target::check(request.method(), target)?;
    *request.uri_mut() = Uri::from_maybe_shared(at.share(bytes, target.as_bytes()))
        .map_err(|_| RequestError::RequestTarget)?;
    if path == target::Path::Unusual {
        target::normalize(request.uri_mut(), &mut buffer.arena)?;
    }

    let mut seen = Seen::default();
    let mut repeats = false;
    for field in parsed.headers.iter() {
        let name =
            HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| RequestError::FieldLine)?;
        let value = HeaderValue::from_maybe_shared(at.share(bytes, field.value))
            .map_err(|_| RequestError::FieldLine)?;
        seen.note(&name, &value);
        repeats |= request.headers_mut().append(name, value);
    }
    if repeats && repeats_a_single(request.headers()) {
        return Err(RequestError::Repeated);
    }
    context.persistence = persistence(context.version, seen.connection, request.headers());
    let framing = seen.framing.framing(context.version)?;
    match seen.host {
        None if context.version == Version::HTTP_11 => return Err(RequestError::Host),
        host => host.unwrap_or(Ok(()))?,
    }
    if let Some(authority) = request.uri().authority()
        && !agree(
            authority,
            request.uri().scheme(),
            request.headers().get(HOST),
        )
    {
        return Err(RequestError::Host);
    }
    // RFC 9110 section 10.1.1: an HTTP/1.0 client can't wait.
    let expectation = match (context.version, seen.expectation) {
        (Version::HTTP_11, Some(expectation)) => expectation?,
        _ => Expectation::None,
    };
    Ok(Some(Head {
        length,
        framing,
        expectation,
    }))
}

/// The headers that the protocol needs, recorded while they are parsed.
#[derive(Default)]
struct Seen {
    framing: FramingFields,
    host: Option<Result<(), RequestError>>,
    connection: bool,
    expectation: Option<Result<Expectation, RequestError>>,
}

impl Seen {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.framing.note(name, value);
        if name == HOST {
            self.host = match self.host {
                None if is_host(value.as_bytes()) => Some(Ok(())),
                _ => Some(Err(RequestError::Host)),
            };
        } else if name == CONNECTION {
            self.connection = true;
        } else if name == EXPECT {
            let so_far = self.expectation.take();
            self.expectation = Some(expectation::and(so_far, value.as_bytes()));
        }
    }
}

fn persistence(version: Version, stated: bool, fields: &HeaderMap) -> Persistence {
    match version {
        _ if stated && lists(fields, &CONNECTION, "close") => Persistence::Close,
        Version::HTTP_10 if !lists(fields, &CONNECTION, "keep-alive") => Persistence::Close,
        _ => Persistence::KeepAlive,
    }
}

/// Whether every line ends with CRLF. The parser accepts a bare LF, as RFC 9112 section 2.2 allows,
/// but a proxy in front may have seen other lines.
fn ends_in_crlf(head: &[u8], fields: &[httparse::Header<'_>]) -> bool {
    let at = Locator { input: head };
    head.ends_with(b"\r\n\r\n")
        && fields
            .iter()
            .all(|field| head[..at.start(field.name.as_bytes())].ends_with(b"\r\n"))
}

/// Which part of the head exceeds the limit: the request line alone, or the headers with it.
fn too_large(input: &[u8]) -> RequestError {
    if input.contains(&b'\n') {
        RequestError::HeadTooLarge
    } else {
        RequestError::TargetTooLong
    }
}

/// Whether more bytes could change the error. The version of a request line is known at its end,
/// and the response must not depend on where the bytes were split.
fn is_early(error: httparse::Error, input: &[u8]) -> bool {
    error == httparse::Error::Version && !input.contains(&b'\n')
}

fn request_error(error: httparse::Error, input: &[u8]) -> RequestError {
    match error {
        httparse::Error::TooManyHeaders => RequestError::HeadTooLarge,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => RequestError::FieldLine,
        httparse::Error::Version if names_a_version(input) => RequestError::Version,
        httparse::Error::NewLine => RequestError::LineEnd,
        _ => RequestError::RequestLine,
    }
}

/// Whether the request line has three parts and ends with `HTTP/` and a version: then the version
/// is unsupported rather than the line malformed (RFC 9112 section 2.3).
fn names_a_version(input: &[u8]) -> bool {
    let line = input
        .split(|byte| *byte == b'\r' || *byte == b'\n')
        .next()
        .unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ');
    let (version, before) = (parts.next_back().unwrap_or_default(), parts.count());
    before == 2
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Finds a parsed slice in the shared copy of the head.
struct Locator<'a> {
    input: &'a [u8],
}

impl Locator<'_> {
    fn share(&self, head: &Bytes, part: &[u8]) -> Bytes {
        let start = self.start(part);
        head.slice(start..start + part.len())
    }

    fn start(&self, part: &[u8]) -> usize {
        part.as_ptr().addr() - self.input.as_ptr().addr()
    }
}
