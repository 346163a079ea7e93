//! The buffer in which a request is assembled, and requests that wait outside of it.

use std::borrow::Cow;
use std::mem;
use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};

use super::Rejection;
use super::last_block::LastBlock;
use super::lines::HeaderLines;
use super::names::Names;
use super::pseudo::{PseudoHeaders, UNKNOWN, malformed};
use super::text::{self, KnownHost};
use crate::message::head::explain;
use crate::message::raw_request::{Chunking, SharedChunking};
use crate::message::request_error::RequestError;
use crate::message::{Body, RawRequest, Request};

/// The cost of a header in a header map, beside its bytes.
const FIELD: usize = 128;

/// The buffer in which a request is assembled. A worker reuses one for all requests, so the header
/// map and the memory of its values are allocated once. Headers that the next request has, too, stay
/// in the map.
///
/// The head is also kept as text in the form of HTTP/1.1, with its headers in their order:
/// `GET / HTTP/2.0`, then `host` with the value of `:authority`, then the others. The opening of a
/// WebSocket is a GET with `upgrade: websocket`, as in HTTP/1.1. No other request of HTTP/2 has this
/// header, because its clients must not send it.
#[derive(Debug, Default)]
pub struct RequestBuffer {
    /// The request, after [`decode_head`](super::decode_head). Its version is HTTP/2, its target has
    /// no scheme and authority, and its `Host` is the `:authority`.
    pub request: Request,
    /// The method is HEAD.
    pub is_head: bool,
    /// The request is an extended CONNECT that opens a WebSocket (RFC 8441).
    pub is_websocket: bool,
    /// The head as text. For a rejected head, its known part.
    pub(super) head: Bytes,
    /// The memory of that text.
    pub(super) arena: BytesMut,
    pub(super) scratch: Vec<u8>,
    pub(super) pseudo: PseudoHeaders,
    pub(super) lines: HeaderLines,
    /// The memory of the header map's values, which outlives the head.
    pub(super) values: BytesMut,
    pub(super) names: Names,
    pub(super) known_host: KnownHost,
    pub(super) rejection: Option<Rejection>,
    pub(super) last: LastBlock,
}

impl RequestBuffer {
    /// Clears the last request and keeps the maps and the memory of their values.
    pub fn clear(&mut self) {
        self.rest();
        self.request.headers_mut().clear();
    }

    /// Drops the last request except its headers, of which the next one probably has the most.
    pub(crate) fn rest(&mut self) {
        self.is_head = false;
        self.is_websocket = false;
        self.head = Bytes::new();
        self.rejection = None;
        self.request.extensions_mut().clear();
        *self.request.uri_mut() = http::Uri::default();
        *self.request.body_mut() = Body::empty();
    }

    /// Memory for [`hpack::Decoder::decode`](crate::http2::hpack::Decoder::decode), whatever the
    /// buffer holds.
    pub fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.scratch
    }

    /// The head as text; empty if its request line is unknown.
    #[must_use]
    pub fn raw_request(&self) -> RawRequest {
        RawRequest::new(self.head.clone(), None)
    }

    /// The request line of that text, for the log.
    #[must_use]
    pub fn request_line(&self) -> Cow<'_, str> {
        let line = self.head.split(|byte| *byte == b'\r').next();
        String::from_utf8_lossy(line.unwrap_or_default())
    }

    /// The head of the request as received, even if a handler has taken the request. For a rejected
    /// head, its known part; an unknown target is `*`.
    #[must_use]
    pub fn original(&self) -> Request {
        text::read(&Bytes::copy_from_slice(&self.head))
    }

    /// Why this request is rejected, in words for its client, with the malformed byte if there is
    /// one.
    #[must_use]
    pub fn explain(&self, error: RequestError) -> Cow<'static, str> {
        if let Some(text) = explain::explain(error, &self.head) {
            return text.into();
        }
        let known = self.rejection.filter(|known| known.error == error);
        let detail = known.and_then(|known| known.detail);
        detail.unwrap_or(error.reason()).into()
    }

    /// Returns the error of a request with `:protocol` to a server that has not announced extended
    /// CONNECT.
    pub(in crate::http2) fn reject_protocol(&mut self) -> Option<RequestError> {
        self.pseudo.protocol?;
        self.is_websocket = false;
        let rejection = malformed(UNKNOWN);
        self.rejection = Some(rejection);
        Some(rejection.error)
    }

    /// Completes the request with its whole body. `trailers` are lines, as
    /// [`decode_trailers`](super::decode_trailers) returns them.
    pub fn receive_body(&mut self, content: Bytes, trailers: Option<Vec<u8>>) {
        let chunking = trailers.map(|trailers| {
            SharedChunking::from(OnceLock::from(Chunking {
                trailers,
                ..Chunking::default()
            }))
        });
        *self.request.body_mut() = Body::received(content, self.head.clone(), chunking);
    }

    /// Gives the request a body that its handler reads while it arrives. The result takes the
    /// [trailers](super::decode_trailers) when they have arrived.
    #[cfg(feature = "http2")]
    pub(crate) fn stream_body(&mut self) -> SharedChunking {
        let chunking = SharedChunking::default();
        let shared = Some(SharedChunking::clone(&chunking));
        *self.request.body_mut() = Body::received(Bytes::new(), self.head.clone(), shared);
        chunking
    }

    /// Gives the request a body that has not arrived, and is received only if it is used.
    pub fn withhold_body(&mut self, length: Option<u64>) {
        *self.request.body_mut() = Body::withheld(self.head.clone(), length);
    }

    /// Moves the request out, in as little memory as possible: the arena is large, and the client
    /// decides how long the request waits. No handler may have changed it.
    pub fn keep(&mut self) -> KeptRequest {
        let head = Bytes::copy_from_slice(&self.head);
        let mut request = text::read(&head);
        *request.extensions_mut() = mem::take(self.request.extensions_mut());
        *request.body_mut() = mem::take(self.request.body_mut());
        request.body_mut().set_head(&head);
        let kept = KeptRequest {
            request,
            is_head: self.is_head,
            is_websocket: self.is_websocket,
            head,
        };
        self.clear();
        kept
    }

    /// Keeps what the response to the request needs, in as little memory as possible.
    #[cfg(feature = "http2")]
    pub(crate) fn keep_head(&self) -> KeptRequest {
        KeptRequest {
            request: Request::default(),
            is_head: self.is_head,
            is_websocket: self.is_websocket,
            head: Bytes::copy_from_slice(&self.head),
        }
    }

    /// Copies a kept request in, because its handler may have to be called a second time.
    pub fn restore_copy(&mut self, kept: &KeptRequest) {
        self.clear();
        self.request = text::read(&kept.head);
        *self.request.extensions_mut() = kept.request.extensions().clone();
        self.is_head = kept.is_head;
        self.is_websocket = kept.is_websocket;
        self.head = kept.head.clone();
    }

    /// Moves a request in that has waited.
    pub fn restore(&mut self, kept: KeptRequest) {
        self.clear();
        self.request = kept.request;
        self.is_head = kept.is_head;
        self.is_websocket = kept.is_websocket;
        self.head = kept.head;
    }
}

/// A request that waits for its body or for a worker.
#[derive(Debug)]
pub struct KeptRequest {
    request: Request,
    is_head: bool,
    is_websocket: bool,
    head: Bytes,
}

impl KeptRequest {
    /// The request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The request, for a handler that prepares it.
    #[cfg(feature = "http2")]
    pub(crate) fn request_mut(&mut self) -> &mut Request {
        &mut self.request
    }

    /// The head as text.
    #[must_use]
    pub fn raw_request(&self) -> RawRequest {
        RawRequest::new(self.head.clone(), None)
    }

    /// The approximate memory of its head.
    #[must_use]
    pub fn held(&self) -> usize {
        self.head.len() + self.request.headers().capacity() * FIELD
    }
}
