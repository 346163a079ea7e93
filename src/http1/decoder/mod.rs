//! One connection's requests, one after another, from bytes cut anywhere.

mod partial;

use std::borrow::Cow;
use std::mem;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use self::partial::{Absorbed, BodyCoding, Partial, Reception, Rest, room};
use super::chunked::Chunked;
use super::{BodyDecoder, Framing, Input, Limits, explain, fragment};
use super::{Expectation, Head, Persistence, ResponseContext, head};
use crate::message::request_error::RequestError;
use crate::message::{Body, BodyMode, RawRequest, Request};

/// Where a request is put together. A worker keeps one and uses it for request after request: its
/// header map and the arena that its values point into are allocated once.
#[derive(Debug, Default)]
pub struct RequestBuffer {
    /// The request, once [`Event::Request`] says so.
    pub request: Request,
    /// What it asks of its answer; of a refused one, as much as was understood.
    pub context: ResponseContext,
    /// The head as it came.
    pub(super) head: Bytes,
    pub(super) arena: BytesMut,
}

/// The state of one connection between the bytes that arrive. Small, for there are as many as
/// connections: what is not needed while a connection sleeps is in the [`RequestBuffer`].
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A whole request stands in the slot.
    Request,
    /// The client waits for [`CONTINUE`](super::CONTINUE) before it sends the body.
    Continue,
    /// The head of a request has come whose body is to be taken while it comes: go on with
    /// [`Decoder::stream`]. Or not all of the body is here, and nobody said how that is to be
    /// taken: go on with [`Decoder::abandon`].
    Stream,
    /// The head of a request has come whose handler answers before the body has come. The request is
    /// in the slot, with nothing of the body; call [`Decoder::discard`] when it has its response, or
    /// [`Decoder::gather`] if the handler needs the body after all.
    HeadOnly,
    /// The rest of a body that was to be [discarded](Decoder::discard) has come. Whether another
    /// request may follow is what was said then.
    Discarded(Persistence),
    /// Everything is consumed that can be; more bytes are needed.
    Incomplete(Progress),
}

/// How far the next request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not a byte of it is here.
    Nothing,
    /// A part of its head.
    Head,
    /// Its head and perhaps a part of its body.
    Body,
}

impl Decoder {
    /// Takes from `input` what it can. Call it again after each event but
    /// [`Event::Incomplete`], which asks for more input first.
    ///
    /// # Errors
    ///
    /// A [`RequestError`] if this is no request, or none that is taken. The connection must end: call
    /// this no more.
    pub fn decode(
        &mut self,
        input: &mut Input,
        slot: &mut RequestBuffer,
        limits: &Limits,
    ) -> Result<Event, RequestError> {
        self.decode_with(input, slot, limits, |_| Some(BodyMode::Whole))
    }

    /// The same, and asks `body_mode` how a body is to be taken, if the request has one. Where it does
    /// not say, a body is taken if all of it is here.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_with(
        &mut self,
        input: &mut Input,
        slot: &mut RequestBuffer,
        limits: &Limits,
        body_mode: impl FnOnce(&Request) -> Option<BodyMode>,
    ) -> Result<Event, RequestError> {
        if let Some(partial) = self.partial.take() {
            return self.go_on(partial, input, slot, limits);
        }
        // RFC 9112 section 2.2: an empty line before the request line is passed over.
        while input.unread().starts_with(b"\r\n") {
            input.consume(2);
        }
        if matches!(input.unread(), b"" | b"\r") {
            return Ok(Event::Incomplete(Progress::Nothing));
        }
        slot.clear();
        // The parser would pass over an empty line that is only an LF.
        if input.unread().starts_with(b"\n") {
            return Err(RequestError::LineEnd);
        }
        let Some(head) = head::parse(input.unread(), limits, slot)? else {
            return Ok(Event::Incomplete(Progress::Head));
        };
        input.consume(head.length);
        self.begin(&head, input, slot, limits, body_mode)
    }

    fn go_on(
        &mut self,
        mut partial: Box<Partial>,
        input: &mut Input,
        slot: &mut RequestBuffer,
        limits: &Limits,
    ) -> Result<Event, RequestError> {
        let event = match &mut partial.rest {
            Rest::Gathered(reception) => match reception.absorb(input, limits) {
                Ok(Absorbed::Part) => Ok(Event::Incomplete(Progress::Body)),
                absorbed => {
                    partial.finish(slot);
                    return absorbed.map(|_| Event::Request);
                }
            },
            Rest::Streamed(_) => Ok(Event::Stream),
            Rest::Undecided(..) => Ok(Event::HeadOnly),
            Rest::Discarded(inflow) => match inflow.discard(input) {
                Ok(()) if inflow.is_done() => {
                    return Ok(Event::Discarded(partial.context.persistence));
                }
                // The request has its response, so nothing is missing.
                Ok(()) => Ok(Event::Incomplete(Progress::Nothing)),
                Err(refusal) => Err(refusal),
            },
        };
        self.partial = Some(partial);
        event
    }

    /// The body that [`Event::HeadOnly`] told of is wanted: call [`decode`](Self::decode) again, for
    /// which the client may have to be told to go on first.
    ///
    /// # Errors
    ///
    /// If it is larger than it may be.
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

    /// Whether the body that [`Event::HeadOnly`] told of can be thrown away while it comes. A client
    /// that waits to be told to send it may send it or not, and one that announces too much is not
    /// listened to.
    #[must_use]
    pub fn can_discard(&self, limits: &Limits) -> bool {
        match self.partial.as_ref().map(|partial| &partial.rest) {
            Some(Rest::Undecided(reception, Expectation::None)) => reception.may_fit(limits),
            _ => false,
        }
    }

    /// The request that [`Event::HeadOnly`] told of has its response, and the body is thrown away
    /// while it comes. [`Event::Discarded`] tells of its end, and repeats what comes `after`.
    pub fn discard(&mut self, limits: &Limits, after: Persistence) {
        if let Some(partial) = self.partial.take()
            && let Rest::Undecided(reception, _) = partial.rest
        {
            let inflow = reception.into_inflow(limits);
            self.partial = Some(Box::new(Partial::discarded(inflow, after)));
        }
    }

    /// Whether the body of a request that has its response is still coming.
    #[must_use]
    pub fn is_discarding(&self) -> bool {
        let partial = self.partial.as_ref();
        partial.is_some_and(|partial| matches!(partial.rest, Rest::Discarded(_)))
    }

    /// The body that [`Event::Stream`] told of. Its request is in the slot then, with nothing of
    /// the body; call [`decode`](Self::decode) again when the whole of that has been taken.
    pub fn stream(&mut self, slot: &mut RequestBuffer) -> Option<BodyDecoder> {
        self.partial.take()?.finish(slot)
    }

    /// Whether more of that body must be received than `input` has. Of one in chunks that is not
    /// known before they are read, and taken for granted.
    #[must_use]
    pub fn lacks_body(&self, input: &Input) -> bool {
        match self.partial.as_ref().map(|partial| &partial.rest) {
            Some(Rest::Streamed(inflow)) => inflow.lacks(input),
            Some(Rest::Gathered(_) | Rest::Undecided(..) | Rest::Discarded(_)) | None => false,
        }
    }

    /// Gives up on a request whose body is incomplete; as much as is known of it is in the slot
    /// afterwards.
    pub fn abandon(&mut self, slot: &mut RequestBuffer) {
        if let Some(partial) = self.partial.take() {
            partial.finish(slot);
        }
    }

    /// Where the rest of a body can be received directly, without passing through the input. The
    /// next [`decode`](Self::decode) accounts for what was appended.
    pub fn body_room(&mut self) -> Option<&mut Vec<u8>> {
        let partial = self.partial.as_mut()?;
        let Rest::Gathered(Reception { coding, content }) = &mut partial.rest else {
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

    /// How many bytes of the body of an incomplete request have been received.
    #[must_use]
    pub fn received(&self) -> usize {
        match self.partial.as_ref().map(|partial| &partial.rest) {
            Some(Rest::Gathered(reception)) => reception.content.len(),
            Some(Rest::Streamed(_) | Rest::Undecided(..) | Rest::Discarded(_)) | None => 0,
        }
    }

    /// How much memory an incomplete request keeps here, about.
    #[must_use]
    pub fn held(&self) -> usize {
        let partial = self.partial.as_ref();
        partial.map_or(0, |partial| match partial.rest {
            Rest::Discarded(_) => 0,
            _ => partial.held(),
        })
    }

    /// How much memory it will have kept here before it is complete, about, as far as its head tells.
    #[must_use]
    pub fn needs(&self) -> usize {
        let partial = self.partial.as_ref();
        partial.map_or(0, |partial| partial.needs())
    }

    fn begin(
        &mut self,
        head: &Head,
        input: &mut Input,
        slot: &mut RequestBuffer,
        limits: &Limits,
        body_mode: impl FnOnce(&Request) -> Option<BodyMode>,
    ) -> Result<Event, RequestError> {
        let length = match head.framing {
            Framing::Empty | Framing::Length(0) => {
                slot.receive_body(Bytes::new());
                return Ok(Event::Request);
            }
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let expectation = match head.expectation {
            Expectation::Continue if input.is_empty() => Expectation::Continue,
            _ => Expectation::None,
        };
        // However much of the body is here: what comes of it must not depend on that.
        let body_mode = body_mode(&slot.request);
        if let Some(BodyMode::Stream { most }) = body_mode {
            let inflow = BodyDecoder::new(head.framing, expectation, most)?;
            self.keep(slot, Rest::Streamed(inflow));
            return Ok(Event::Stream);
        }
        let is_undecided = body_mode == Some(BodyMode::HeadOnly);
        let mut reception = Reception {
            coding: match length {
                Some(length) => BodyCoding::Length(usize::try_from(length).unwrap_or(usize::MAX)),
                None => BodyCoding::Chunked(Chunked::new()),
            },
            content: Vec::new(),
        };
        let may_fit = reception.may_fit(limits);
        if !may_fit && !is_undecided {
            return Err(RequestError::BodyTooLarge);
        }
        if may_fit
            && let BodyCoding::Length(length) = reception.coding
            && let Some(body) = input.unread().get(..length)
        {
            slot.arena.extend_from_slice(body);
            let body = slot.arena.split().freeze();
            slot.receive_body(body);
            input.consume(length);
            return Ok(Event::Request);
        }
        let waits = expectation == Expectation::Continue;
        // What of a length is here is all the same to a handler that does not need it.
        let absorbs = match reception.coding {
            BodyCoding::Length(_) => !waits && !is_undecided,
            BodyCoding::Chunked(_) => !waits,
        };
        if absorbs && reception.absorb(input, limits)? == Absorbed::All {
            *slot.request.body_mut() = reception.into_body(slot.head.clone());
            return Ok(Event::Request);
        }
        let rest = match is_undecided {
            true => Rest::Undecided(reception, expectation),
            false => Rest::Gathered(reception),
        };
        self.keep(slot, rest);
        Ok(match body_mode {
            None => Event::Stream,
            Some(BodyMode::HeadOnly) => {
                slot.withhold_body(length);
                Event::HeadOnly
            }
            Some(_) if waits => Event::Continue,
            Some(_) => Event::Incomplete(Progress::Body),
        })
    }

    /// Keeps the request in the slot. A copy of it, for the slot's memory is large, and this may
    /// have to wait for as long as the client likes.
    fn keep(&mut self, slot: &RequestBuffer, rest: Rest) {
        let own = slot.copy();
        self.partial = Some(Box::new(Partial {
            request: own.request,
            context: own.context,
            head: own.head,
            rest,
        }));
    }
}

impl RequestBuffer {
    /// The request line as it came, for the log.
    #[must_use]
    pub fn request_line(&self) -> Cow<'_, str> {
        let line = self.head.split(|byte| *byte == b'\r').next();
        String::from_utf8_lossy(line.unwrap_or_default())
    }

    /// The head as it came; empty if it could not be read.
    #[must_use]
    pub fn wire(&self) -> RawRequest {
        RawRequest::new(self.head.clone(), None)
    }

    fn receive_body(&mut self, content: Bytes) {
        *self.request.body_mut() = Body::received(content, self.head.clone(), None);
    }

    /// The request's body has not come, and will only if it is looked at.
    fn withhold_body(&mut self, length: Option<u64>) {
        *self.request.body_mut() = Body::withheld(self.head.clone(), length);
    }

    /// The fields as they came, even if a handler has taken the request away.
    #[must_use]
    pub fn fields(&self) -> HeaderMap {
        mem::take(self.copy().request.headers_mut())
    }

    /// The head of the request as it came, even if a handler has taken the request away. If it is not
    /// complete or not valid, what is known of it; `unread` is the input that has not been consumed.
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

    /// Why this request is not taken, in words for its client: with the byte that is malformed, if one
    /// is to blame. `unread` is the input that has not been consumed.
    #[must_use]
    pub fn explain(
        &self,
        refusal: RequestError,
        unread: &[u8],
        limits: &Limits,
    ) -> Cow<'static, str> {
        let head = match self.head.is_empty() {
            true => &unread[..unread.len().min(limits.head)],
            false => &self.head[..],
        };
        explain::explain(refusal, head).map_or(refusal.reason().into(), Cow::Owned)
    }

    /// The same head in no more memory than it needs; nothing of a head that is refused.
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

    /// Forgets the last request but keeps its maps and the arena's memory.
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
