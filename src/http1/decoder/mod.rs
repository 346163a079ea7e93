//! Decodes the requests of a connection from bytes that are split anywhere.

mod partial;

use std::borrow::Cow;
use std::mem;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use self::partial::{Absorbed, BodyCoding, Partial, Reception, Rest, room};
use super::chunked::Chunked;
use super::{BodyDecoder, Framing, Input, Limits, fragment};
use super::{Expectation, Head, Persistence, ResponseContext, head};
use crate::message::head::explain;
use crate::message::request_error::RequestError;
use crate::message::{Body, BodyMode, RawRequest, Request};

/// The buffer in which a request is assembled. A worker reuses one for all requests, so the header
/// map and the arena of its values are allocated once.
#[derive(Debug, Default)]
pub struct RequestBuffer {
    /// The request, after [`Event::Request`].
    pub request: Request,
    /// What the request asks of its response. For a rejected request, the part that was understood.
    pub context: ResponseContext,
    /// The head as received.
    pub(super) head: Bytes,
    pub(super) arena: BytesMut,
}

/// The rest of a request whose response comes later.
#[derive(Debug)]
pub(crate) struct KeptHead {
    context: ResponseContext,
    head: Bytes,
}

/// The decoder state of one connection. It is small, because every open connection has one;
/// everything else is in the [`RequestBuffer`].
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

/// What the received bytes amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The buffer holds a whole request.
    Request,
    /// The client waits for [`CONTINUE`](super::CONTINUE) before it sends the body.
    Continue,
    /// The head has arrived and the body is to be streamed: call [`Decoder::stream`]. If no body
    /// mode was asked and the body is incomplete, call [`Decoder::abandon`].
    Stream,
    /// The head has arrived and the handler responds without the body. The buffer holds the request
    /// without content. Call [`Decoder::discard`] after the response, or [`Decoder::gather`] if the
    /// handler needs the body after all.
    HeadOnly,
    /// A [discarded](Decoder::discard) body has ended. The value says whether another request may
    /// follow.
    Discarded(Persistence),
    /// All usable input is consumed; more is needed.
    Incomplete(Progress),
}

/// How much of the next request has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing.
    Nothing,
    /// A part of the head.
    Head,
    /// The head, and perhaps a part of the body.
    Body,
}

impl Decoder {
    /// Consumes `input` as far as possible. Call it again after each event; after
    /// [`Event::Incomplete`], receive more input first.
    ///
    /// # Errors
    ///
    /// A [`RequestError`] if the request is rejected. Do not call this again on the connection.
    pub fn decode(
        &mut self,
        input: &mut Input,
        buffer: &mut RequestBuffer,
        limits: &Limits,
    ) -> Result<Event, RequestError> {
        self.decode_with(input, buffer, limits, |_| Some(BodyMode::Buffered))
    }

    /// Decodes like [`decode`](Self::decode) and asks `body_mode` how to receive a body. Without an
    /// answer, a body is taken if it has arrived whole.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_with(
        &mut self,
        input: &mut Input,
        buffer: &mut RequestBuffer,
        limits: &Limits,
        body_mode: impl FnOnce(&mut Request) -> Option<BodyMode>,
    ) -> Result<Event, RequestError> {
        if let Some(partial) = self.partial.take() {
            return self.go_on(partial, input, buffer, limits);
        }
        // RFC 9112 section 2.2: empty lines before the request line are ignored.
        while input.unread().starts_with(b"\r\n") {
            input.consume(2);
        }
        if matches!(input.unread(), b"" | b"\r") {
            return Ok(Event::Incomplete(Progress::Nothing));
        }
        buffer.clear();
        // The parser would also ignore an empty line that is a bare LF.
        if input.unread().starts_with(b"\n") {
            return Err(RequestError::LineEnd);
        }
        let Some(head) = head::parse(input.unread(), limits, buffer)? else {
            return Ok(Event::Incomplete(Progress::Head));
        };
        input.consume(head.length);
        self.begin(&head, input, buffer, limits, body_mode)
    }

    fn go_on(
        &mut self,
        mut partial: Box<Partial>,
        input: &mut Input,
        buffer: &mut RequestBuffer,
        limits: &Limits,
    ) -> Result<Event, RequestError> {
        let event = match &mut partial.rest {
            Rest::Gathered(reception) => match reception.absorb(input, limits) {
                Ok(Absorbed::Part) => Ok(Event::Incomplete(Progress::Body)),
                absorbed => {
                    partial.finish(buffer);
                    return absorbed.map(|_| Event::Request);
                }
            },
            Rest::Streamed(_) => Ok(Event::Stream),
            Rest::Undecided(..) => Ok(Event::HeadOnly),
            Rest::Discarded(body) => match body.discard(input) {
                Ok(()) if body.is_done() => {
                    return Ok(Event::Discarded(partial.context.persistence));
                }
                // The request has its response, so nothing is missing.
                Ok(()) => Ok(Event::Incomplete(Progress::Nothing)),
                Err(error) => Err(error),
            },
        };
        self.partial = Some(partial);
        event
    }

    /// Receives the body of [`Event::HeadOnly`] after all. Call [`decode`](Self::decode) again; the
    /// client may first need `100 Continue`.
    ///
    /// # Errors
    ///
    /// If the body is larger than the limit.
    pub fn gather(&mut self, limits: &Limits) -> Result<Expectation, RequestError> {
        let Some(mut partial) = self.partial.take() else {
            return Ok(Expectation::None);
        };
        let mut waits = Expectation::None;
        let mut fits = true;
        partial.rest = match partial.rest {
            Rest::Undecided(reception, expectation) => {
                waits = expectation;
                fits = reception.may_fit(limits);
                Rest::Gathered(reception)
            }
            rest => rest,
        };
        self.partial = Some(partial);
        match fits {
            true => Ok(waits),
            false => Err(RequestError::BodyTooLarge),
        }
    }

    /// Whether the body of [`Event::HeadOnly`] can be discarded while it arrives. It can't if the
    /// client waits for `100 Continue`, because it may or may not send the body, or if the
    /// announced length is over the limit.
    #[must_use]
    pub fn can_discard(&self, limits: &Limits) -> bool {
        match self.partial.as_ref().map(|partial| &partial.rest) {
            Some(Rest::Undecided(reception, Expectation::None)) => reception.may_fit(limits),
            _ => false,
        }
    }

    /// Discards the body of [`Event::HeadOnly`] while it arrives, after the response.
    /// [`Event::Discarded`] reports its end and repeats `after`.
    pub fn discard(&mut self, limits: &Limits, after: Persistence) {
        if let Some(partial) = self.partial.take()
            && let Rest::Undecided(reception, _) = partial.rest
        {
            let body = reception.into_inflow(limits);
            self.partial = Some(Box::new(Partial::discarded(body, after)));
        }
    }

    /// Whether the body of a request that has its response is still arriving.
    #[must_use]
    pub fn is_discarding(&self) -> bool {
        let partial = self.partial.as_ref();
        partial.is_some_and(|partial| matches!(partial.rest, Rest::Discarded(_)))
    }

    /// The body of [`Event::Stream`]. The buffer then holds the request without content. Call
    /// [`decode`](Self::decode) again when the whole body has been read.
    pub fn stream(&mut self, buffer: &mut RequestBuffer) -> Option<BodyDecoder> {
        self.partial.take()?.finish(buffer)
    }

    /// Whether the rest of that body is longer than `input`. For a chunked body this is assumed.
    #[must_use]
    pub fn lacks_body(&self, input: &Input) -> bool {
        match self.partial.as_ref().map(|partial| &partial.rest) {
            Some(Rest::Streamed(body)) => body.lacks(input),
            Some(Rest::Gathered(_) | Rest::Undecided(..) | Rest::Discarded(_)) | None => false,
        }
    }

    /// Gives up a request whose body is incomplete. The buffer then holds the known part.
    pub fn abandon(&mut self, buffer: &mut RequestBuffer) {
        if let Some(partial) = self.partial.take() {
            partial.finish(buffer);
        }
    }

    /// The buffer into which the rest of a body can be received directly. The next
    /// [`decode`](Self::decode) accounts for the appended bytes.
    pub fn body_room(&mut self) -> Option<&mut Vec<u8>> {
        let partial = self.partial.as_mut()?;
        let Rest::Gathered(Reception {
            coding, content, ..
        }) = &mut partial.rest
        else {
            return None;
        };
        let BodyCoding::Length(length) = coding else {
            return None;
        };
        if content.len() == content.capacity() {
            content.reserve_exact(room(*length - content.len(), content.len()));
        }
        Some(content)
    }

    /// The received bytes of an incomplete body.
    #[must_use]
    pub fn received(&self) -> usize {
        match self.partial.as_ref().map(|partial| &partial.rest) {
            Some(Rest::Gathered(reception)) => reception.content.len(),
            Some(Rest::Streamed(_) | Rest::Undecided(..) | Rest::Discarded(_)) | None => 0,
        }
    }

    /// The approximate memory of an incomplete request.
    #[must_use]
    pub fn held(&self) -> usize {
        let partial = self.partial.as_ref();
        partial.map_or(0, |partial| match partial.rest {
            Rest::Discarded(_) => 0,
            _ => partial.held(),
        })
    }

    /// The approximate memory that the request will need when it is complete, as far as its head
    /// tells.
    #[must_use]
    pub fn needs(&self) -> usize {
        let partial = self.partial.as_ref();
        partial.map_or(0, |partial| partial.needs())
    }

    fn begin(
        &mut self,
        head: &Head,
        input: &mut Input,
        buffer: &mut RequestBuffer,
        limits: &Limits,
        body_mode: impl FnOnce(&mut Request) -> Option<BodyMode>,
    ) -> Result<Event, RequestError> {
        let length = match head.framing {
            Framing::Empty | Framing::Length(0) => {
                buffer.receive_body(Bytes::new());
                return Ok(Event::Request);
            }
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let expectation = match head.expectation {
            Expectation::Continue if input.is_empty() => Expectation::Continue,
            _ => Expectation::None,
        };
        // The result must not depend on how much of the body has arrived.
        let body_mode = body_mode(&mut buffer.request);
        if let Some(BodyMode::Streaming { most }) = body_mode {
            let body = BodyDecoder::new(head.framing, expectation, most)?;
            self.keep(buffer, Rest::Streamed(body));
            return Ok(Event::Stream);
        }
        let is_undecided = body_mode == Some(BodyMode::HeadOnly);
        let mut reception = Reception {
            coding: match length {
                Some(length) => BodyCoding::Length(usize::try_from(length).unwrap_or(usize::MAX)),
                None => BodyCoding::Chunked(Chunked::new()),
            },
            content: Vec::new(),
            most: match body_mode {
                Some(BodyMode::BufferedUpTo { most }) => {
                    Some(usize::try_from(most).unwrap_or(usize::MAX))
                }
                _ => None,
            },
        };
        let may_fit = reception.may_fit(limits);
        if !may_fit && !is_undecided {
            return Err(RequestError::BodyTooLarge);
        }
        if may_fit
            && let BodyCoding::Length(length) = reception.coding
            && let Some(body) = input.unread().get(..length)
        {
            buffer.arena.extend_from_slice(body);
            let body = buffer.arena.split().freeze();
            buffer.receive_body(body);
            input.consume(length);
            return Ok(Event::Request);
        }
        let waits = expectation == Expectation::Continue;
        // A handler that needs only the head does not care how much of a body with a length has
        // arrived.
        let absorbs = match reception.coding {
            BodyCoding::Length(_) => !waits && !is_undecided,
            BodyCoding::Chunked(_) => !waits,
        };
        if absorbs && reception.absorb(input, limits)? == Absorbed::All {
            *buffer.request.body_mut() = reception.into_body(buffer.head.clone());
            return Ok(Event::Request);
        }
        let rest = match is_undecided {
            true => Rest::Undecided(reception, expectation),
            false => Rest::Gathered(reception),
        };
        self.keep(buffer, rest);
        Ok(match body_mode {
            None => Event::Stream,
            Some(BodyMode::HeadOnly) => {
                buffer.withhold_body(length);
                Event::HeadOnly
            }
            Some(_) if waits => Event::Continue,
            Some(_) => Event::Incomplete(Progress::Body),
        })
    }

    /// Keeps the request of the buffer as a copy. The buffer's memory is large, and the client
    /// decides how long this waits.
    fn keep(&mut self, buffer: &RequestBuffer, rest: Rest) {
        let mut own = buffer.copy();
        *own.request.extensions_mut() = buffer.request.extensions().clone();
        self.partial = Some(Box::new(Partial {
            request: own.request,
            context: own.context,
            head: own.head,
            rest,
        }));
    }
}

impl KeptHead {
    /// The head as received.
    pub(crate) fn raw_request(&self) -> RawRequest {
        RawRequest::new(self.head.clone(), None)
    }

    /// The approximate memory.
    pub(crate) fn held(&self) -> usize {
        self.head.len()
    }
}

impl RequestBuffer {
    /// The request line as received, for the log.
    #[must_use]
    pub fn request_line(&self) -> Cow<'_, str> {
        let line = self.head.split(|byte| *byte == b'\r').next();
        String::from_utf8_lossy(line.unwrap_or_default())
    }

    /// The head as received; empty if it could not be read.
    #[must_use]
    pub fn raw_request(&self) -> RawRequest {
        RawRequest::new(self.head.clone(), None)
    }

    /// Keeps what the response to the request needs, in as little memory as possible: the arena is
    /// large.
    pub(crate) fn keep_head(&self) -> KeptHead {
        KeptHead {
            context: self.context,
            head: Bytes::copy_from_slice(&self.head),
        }
    }

    /// Moves a request in whose handler has taken the rest of it.
    pub(crate) fn restore_head(&mut self, kept: KeptHead) {
        self.clear();
        self.context = kept.context;
        self.head = kept.head;
    }

    fn receive_body(&mut self, content: Bytes) {
        *self.request.body_mut() = Body::received(content, self.head.clone(), None);
    }

    /// Whether the body has not arrived, and is received only if it is used.
    fn withhold_body(&mut self, length: Option<u64>) {
        *self.request.body_mut() = Body::withheld(self.head.clone(), length);
    }

    /// The headers as received, even if a handler has taken the request.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        mem::take(self.copy().request.headers_mut())
    }

    /// The head of the request as received, even if a handler has taken the request. For an
    /// incomplete or invalid head, its known part; `unread` is the input that is not consumed.
    #[must_use]
    pub fn original(&self, unread: &[u8], limits: &Limits) -> Request {
        if self.head.is_empty() {
            return fragment::read(&unread[..unread.len().min(limits.head)]);
        }
        let copy = self.copy();
        if copy.head.is_empty() {
            return fragment::read(&self.head);
        }
        copy.request
    }

    /// Why this request is rejected, in words for its client, with the malformed byte if there is
    /// one. `unread` is the input that is not consumed.
    #[must_use]
    pub fn explain(
        &self,
        error: RequestError,
        unread: &[u8],
        limits: &Limits,
    ) -> Cow<'static, str> {
        let head = match self.head.is_empty() {
            true => &unread[..unread.len().min(limits.head)],
            false => &self.head[..],
        };
        explain::explain(error, head).map_or(error.reason().into(), Cow::Owned)
    }

    /// A copy of the head in as little memory as possible; empty for a rejected head.
    fn copy(&self) -> Self {
        let limits = Limits {
            head: self.head.len(),
            body: 0,
        };
        let mut copy = Self::default();
        match head::parse(&self.head, &limits, &mut copy) {
            Ok(Some(_)) => copy,
            _ => Self::default(),
        }
    }

    /// Clears the last request and keeps the maps and the arena.
    pub fn clear(&mut self) {
        self.context = ResponseContext::default();
        self.head = Bytes::new();
        self.request.headers_mut().clear();
        self.request.extensions_mut().clear();
        *self.request.uri_mut() = http::Uri::default();
        *self.request.body_mut() = Body::empty();
    }
}

#[cfg(test)]
mod tests;
