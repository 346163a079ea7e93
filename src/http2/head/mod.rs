//! The heads of requests and responses (RFC 9113 section 8).

mod fields;
mod headers;
mod last_block;
mod lines;
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

use self::last_block::Learnt;
use self::pseudo::{Protocol, Pseudo};
use self::text::{Assembly, HostSource};
use super::hpack::{Decoder, FIELD_OVERHEAD, Field};
use super::{Error, Priority};
use crate::message::head::MAX_FIELDS;
use crate::message::head::expectation::Expectation;
use crate::message::request_error::RequestError;

pub use self::request_buffer::{KeptRequest, RequestBuffer};
pub use self::response::{Content, encode_head, encode_interim, encode_trailers};
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
    buffer.rest();
    let learnt = buffer.last.find(decoder, block, max_header_size);
    if learnt.is_none() {
        buffer.pseudo.clear();
        buffer.lines.begin();
    }
    let mut assembly = Assembly {
        lines: &mut buffer.lines,
        pseudo: &mut buffer.pseudo,
        first_line: learnt.map(|learnt| learnt.first_line),
        most: max_header_size,
        count: 0,
        host: learnt.map_or(HostSource::Header, |learnt| learnt.host),
        known_host: &mut buffer.known_host,
        rejection: None,
    };
    let most = most_decoded(max_header_size);
    let mut broken = None;
    let mut decoded = Ok(ControlFlow::Continue(()));
    let mut ended = Ok(());
    if learnt.is_none() {
        decoded = decoder.decode(block, &mut buffer.scratch, most, |field| {
            match assembly.add(&field) {
                Ok(()) => ControlFlow::Continue(()),
                Err(rejection) => {
                    broken = Some(rejection);
                    ControlFlow::Break(())
                }
            }
        });
        ended = assembly.end();
    }
    assembly.write(&mut buffer.arena);
    buffer.head = buffer.arena.split().freeze();
    let (readable, host, first_line) = (
        assembly.rejection,
        assembly.host,
        assembly.first_line.unwrap_or_default(),
    );
    let broken = match decoded? {
        ControlFlow::Continue(()) => ended.err(),
        ControlFlow::Break(()) => broken,
    };
    let head = read_head(buffer, first_line, host, readable, broken);
    if learnt.is_none() && head.is_ok() {
        let learnt = Learnt { first_line, host };
        (buffer.last).remember(decoder, block, max_header_size, learnt);
    }
    Ok(head.map_err(|rejection| {
        buffer.rejection = Some(rejection);
        rejection.error
    }))
}

/// Puts the text of the buffer into its request and validates it. `readable` is a rule that was
/// broken before, `broken` one behind which nothing is known.
fn read_head(
    buffer: &mut RequestBuffer,
    first_line: usize,
    host: HostSource,
    readable: Option<Rejection>,
    broken: Option<Rejection>,
) -> Result<Head, Rejection> {
    let request = &mut buffer.request;
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = Method::GET;
    let first = match first_line {
        0 => None,
        _ => read_request_line(buffer).err(),
    };
    if first_line == 0 || first.is_some() {
        *buffer.request.uri_mut() = Uri::from_static("*");
    }
    let (seen, read) = headers::read(
        buffer.request.headers_mut(),
        &buffer.lines,
        (host, buffer.pseudo.protocol),
        &mut buffer.values,
        &mut buffer.names,
    );
    if let Err(malformed) = &read {
        let known = first_line.saturating_add(malformed.known);
        buffer.head.truncate(known);
    }
    let read = read.map_err(|malformed| malformed.rejection);
    match first.or(readable).or(read.err()).or(broken) {
        Some(rejection) => Err(rejection),
        None => match buffer.is_websocket {
            false => seen.head(),
            true => check_websocket(seen.head()?),
        },
    }
}

/// Content after an extended CONNECT has no length, and no server on the way may take it for a body.
#[cold]
fn check_websocket(head: Head) -> Result<Head, Rejection> {
    match head.content_length {
        None => Ok(head),
        Some(_) => {
            let detail = "a CONNECT has no Content-Length";
            Err(Rejection::new(RequestError::ContentLength, detail))
        }
    }
}

fn read_request_line(buffer: &mut RequestBuffer) -> Result<(), Rejection> {
    let RequestBuffer {
        request,
        head,
        arena,
        pseudo,
        is_head,
        is_websocket,
        ..
    } = buffer;
    let method = pseudo.method()?;
    *is_head = method == b"HEAD";
    *is_websocket = pseudo.protocol == Some(Protocol::WebSocket);
    *request.method_mut() = Method::from_bytes(method)
        .map_err(|_| Rejection::new(RequestError::RequestLine, "the method is malformed"))?;
    if request.method() == Method::CONNECT {
        return Err(match pseudo.protocol {
            None => RequestError::Tunnel.into(),
            Some(_) => {
                let detail = "the only protocol that a CONNECT may name is websocket";
                Rejection::new(RequestError::Tunnel, detail)
            }
        });
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
