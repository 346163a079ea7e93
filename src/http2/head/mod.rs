//! The heads of requests and responses (RFC 9113 section 8).

mod fields;
mod names;
mod pseudo;
mod request_buffer;
mod response;
#[cfg(test)]
mod tests;
mod text;
mod trailers;

use std::ops::ControlFlow;

use http::{Method, Uri, Version};

use self::fields::Seen;
use self::pseudo::Pseudo;
use self::text::{Assembly, HostSource, join_cookies};
use super::hpack::{Decoder, FIELD_OVERHEAD, Field, StaticName};
use super::{Error, Priority};
use crate::message::head::expectation::Expectation;
use crate::message::head::{MAX_FIELDS, repeats_a_single};
use crate::message::request_error::RequestError;

pub use self::request_buffer::{KeptRequest, RequestBuffer};
pub use self::response::{Content, encode_head, encode_trailers};
pub use self::trailers::decode_trailers;

/// The parts of a head that the protocol needs; the rest is in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many bytes of content the client announces.
    pub content_length: Option<u64>,
    /// Whether the client waits before it sends the body.
    pub expectation: Expectation,
    /// How urgent the response is. `None` if the client does not say it.
    pub priority: Option<Priority>,
}

/// Why a head is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rejection {
    error: RequestError,
    /// More exact than the error.
    detail: Option<&'static str>,
}

impl Rejection {
    const fn new(error: RequestError, detail: &'static str) -> Self {
        Self {
            error,
            detail: Some(detail),
        }
    }
}

impl From<RequestError> for Rejection {
    fn from(error: RequestError) -> Self {
        Self {
            error,
            detail: None,
        }
    }
}

/// The size of decoded headers that ends the connection. Up to it, a head that is too large gets a
/// response.
fn most_decoded(max_header_size: usize) -> usize {
    max_header_size
        .saturating_add(FIELD_OVERHEAD * MAX_FIELDS)
        .saturating_mul(4)
}

/// Decodes a header block for its effect on the table only: that of a request which is refused.
///
/// # Errors
///
/// Those of HPACK, which end the connection.
pub fn skip_head(
    decoder: &mut Decoder,
    block: &[u8],
    max_header_size: usize,
    buffer: &mut RequestBuffer,
) -> Result<(), Error> {
    let most = most_decoded(max_header_size);
    let skip = |_: Field<'_>| ControlFlow::Break(());
    let _flow = decoder.decode(block, &mut buffer.scratch, most, skip)?;
    Ok(())
}

/// Decodes the header block of a request into `buffer`.
///
/// A head is rejected that `http1` would reject, and one that is malformed by the rules of HTTP/2:
/// those of names and values (RFC 9113 section 8.2), of pseudo-headers (section 8.3), and of the
/// headers of a connection (section 8.2.2). Then the buffer holds the known part.
///
/// # Errors
///
/// The outer error is one of HPACK and ends the connection. The inner error rejects this request.
pub fn decode_head(
    decoder: &mut Decoder,
    block: &[u8],
    max_header_size: usize,
    buffer: &mut RequestBuffer,
) -> Result<Result<Head, RequestError>, Error> {
    buffer.clear();
    buffer.text.clear();
    let mut assembly = Assembly {
        text: &mut buffer.text,
        lines: &mut buffer.lines,
        pseudo: &mut buffer.pseudo,
        most: max_header_size,
        count: 0,
        host: HostSource::Header,
        known_host: &mut buffer.known_host,
        rejection: None,
    };
    let most = most_decoded(max_header_size);
    let mut broken = None;
    let decoded = decoder.decode(block, &mut buffer.scratch, most, |field| {
        match assembly.add(&field) {
            Ok(()) => ControlFlow::Continue(()),
            Err(rejection) => {
                broken = Some(rejection);
                ControlFlow::Break(())
            }
        }
    });
    let ended = assembly.end();
    let (readable, host) = (assembly.rejection, assembly.host);
    // Twice, so that it has room for a joined cookie or a normalized path, and is used again.
    buffer.arena.reserve(2 * buffer.text.len());
    buffer.arena.extend_from_slice(&buffer.text);
    buffer.head = buffer.arena.split().freeze();
    let broken = match decoded? {
        ControlFlow::Continue(()) => ended.err(),
        ControlFlow::Break(()) => broken,
    };
    let head = read_head(buffer, host, readable, broken);
    Ok(head.map_err(|rejection| {
        buffer.rejection = Some(rejection);
        rejection.error
    }))
}

/// Puts the text of the buffer into its request and validates it. `readable` is a rule that was
/// broken before, `broken` one behind which nothing is known.
fn read_head(
    buffer: &mut RequestBuffer,
    host: HostSource,
    readable: Option<Rejection>,
    broken: Option<Rejection>,
) -> Result<Head, Rejection> {
    let request = &mut buffer.request;
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = Method::GET;
    let first = match buffer.head.is_empty() {
        true => None,
        false => read_request_line(buffer).err(),
    };
    if buffer.head.is_empty() || first.is_some() {
        *buffer.request.uri_mut() = Uri::from_static("*");
    }
    let mut seen = Seen::default();
    let read = read_lines(buffer, host, &mut seen);
    match first.or(readable).or(read.err()).or(broken) {
        Some(rejection) => Err(rejection),
        None => seen.head(),
    }
}

fn read_request_line(buffer: &mut RequestBuffer) -> Result<(), Rejection> {
    let RequestBuffer {
        request,
        head,
        arena,
        pseudo,
        is_head,
        ..
    } = buffer;
    let method = pseudo.need(Pseudo::Method)?;
    *is_head = method == b"HEAD";
    *request.method_mut() = Method::from_bytes(method)
        .map_err(|_| Rejection::new(RequestError::RequestLine, "the method is malformed"))?;
    if request.method() == Method::CONNECT {
        return Err(RequestError::Tunnel.into());
    }
    let start = method.len() + 1;
    let path = pseudo.need(Pseudo::Path)?;
    if path == b"/" {
        // The default, which `clear` has set. Many requests are for it.
        return Ok(());
    }
    let target = head.slice(start..start + path.len());
    *request.uri_mut() = text::uri(request.method(), target, arena)?;
    Ok(())
}

/// Puts the header lines into the request. Those from the first invalid one on are cut off.
fn read_lines(
    buffer: &mut RequestBuffer,
    host: HostSource,
    seen: &mut Seen,
) -> Result<(), Rejection> {
    let RequestBuffer {
        request,
        head,
        text,
        arena,
        lines,
        names,
        ..
    } = buffer;
    let headers = request.headers_mut();
    let (mut repeats, mut broken) = (false, None);
    for (index, line) in lines.iter().enumerate() {
        let (name, value) = match fields::read(head, *line, names) {
            Ok(read) => read,
            Err(rejection) => {
                head.truncate(line.start);
                broken = Some(rejection);
                break;
            }
        };
        // The first line is made of `:authority`, if there is one.
        match index == 0 && host != HostSource::Header {
            true => seen.note_authority(),
            false => seen.note(line.known, &head[line.name()], value.as_bytes()),
        }
        // Browsers repeat cookies, and nothing else.
        repeats |= headers.append(name, value) && line.known != Some(StaticName::COOKIE);
    }
    if seen.cookies > 1 {
        join_cookies(headers, text, arena);
    }
    match broken {
        Some(rejection) => Err(rejection),
        None if repeats && repeats_a_single(headers) => Err(RequestError::Repeated.into()),
        None => Ok(()),
    }
}
