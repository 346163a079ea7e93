//! One connection's requests, one after another, from bytes cut anywhere.

use std::borrow::Cow;
use std::mem;
use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::chunked::Chunked;
use super::head::{self, Expectation, Head, Terms};
use super::{Framing, Inflow, Input, Limits, Refusal};
use crate::wire::SharedChunking;
use crate::{Body, Intake, Request, Wire};

/// Room reserved for a body at first, and at least each time it grows: a client that announces
/// much and sends little costs this much at most.
const BODY_STEP: usize = 256 * 1024;

/// What a field costs in a header map, beside its bytes.
const FIELD: usize = 128;

/// Where a request is put together. A worker keeps one and uses it for request after request: its
/// header map and the arena that its values point into are allocated once.
#[derive(Debug, Default)]
pub struct Slot {
    /// The request, once [`Event::Request`] says so.
    pub request: Request,
    /// What it asks of its answer; of a refused one, as much as was understood.
    pub terms: Terms,
    /// The head as it came.
    pub(super) head: Bytes,
    pub(super) arena: BytesMut,
}

/// The state of one connection between the bytes that arrive. Small, for there are as many as
/// connections: what is not needed while a connection sleeps is in the [`Slot`].
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

/// A request whose head is complete and whose body is not.
#[derive(Debug)]
struct Partial {
    request: Request,
    terms: Terms,
    head: Bytes,
    rest: Rest,
}

/// What becomes of a body.
#[derive(Debug)]
enum Rest {
    /// It is kept until all of it is here.
    Gathered(Reception),
    /// Whoever is to read it takes it.
    Streamed(Inflow),
}

/// A body as far as it has come.
#[derive(Debug)]
struct Reception {
    coding: Coding,
    content: Vec<u8>,
}

#[derive(Debug)]
enum Coding {
    Length(usize),
    Chunked(Chunked),
}

impl Decoder {
    /// Takes from `input` what it can. Call it again after each event but
    /// [`Event::Incomplete`], which asks for more input first.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if this is no request, or none that is taken. The connection must end: call
    /// this no more.
    pub fn decode(
        &mut self,
        input: &mut Input,
        slot: &mut Slot,
        limits: &Limits,
    ) -> Result<Event, Refusal> {
        self.decode_with(input, slot, limits, |_| Some(Intake::Whole))
    }

    /// The same, and asks `intake` how a body is to be taken, if the request has one. Where it does
    /// not say, a body is taken if all of it is here.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_with(
        &mut self,
        input: &mut Input,
        slot: &mut Slot,
        limits: &Limits,
        intake: impl FnOnce(&Request) -> Option<Intake>,
    ) -> Result<Event, Refusal> {
        if let Some(mut partial) = self.partial.take() {
            let Rest::Gathered(reception) = &mut partial.rest else {
                self.partial = Some(partial);
                return Ok(Event::Stream);
            };
            let absorbed = reception.absorb(input, limits);
            if matches!(absorbed, Ok(Absorbed::Part)) {
                self.partial = Some(partial);
                return Ok(Event::Incomplete(Progress::Body));
            }
            partial.finish(slot);
            return absorbed.map(|_| Event::Request);
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
            return Err(Refusal::LineEnd);
        }
        let Some(head) = head::parse(input.unread(), limits, slot)? else {
            return Ok(Event::Incomplete(Progress::Head));
        };
        input.consume(head.length);
        self.begin(&head, input, slot, limits, intake)
    }

    /// The body that [`Event::Stream`] told of. Its request is in the slot then, with nothing of
    /// the body; call [`decode`](Self::decode) again when the whole of that has been taken.
    pub fn stream(&mut self, slot: &mut Slot) -> Option<Inflow> {
        self.partial.take()?.finish(slot)
    }

    /// Whether more of that body must be received than `input` has. Of one in chunks that is not
    /// known before they are read, and taken for granted.
    #[must_use]
    pub fn lacks_body(&self, input: &Input) -> bool {
        match self.partial.as_ref().map(|partial| &partial.rest) {
            Some(Rest::Streamed(inflow)) => inflow.lacks(input),
            Some(Rest::Gathered(_)) | None => false,
        }
    }

    /// Gives up on a request whose body is incomplete; as much as is known of it is in the slot
    /// afterwards.
    pub fn abandon(&mut self, slot: &mut Slot) {
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
        let Coding::Length(length) = coding else {
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
            Some(Rest::Streamed(_)) | None => 0,
        }
    }

    /// How much memory an incomplete request keeps here, about.
    #[must_use]
    pub fn held(&self) -> usize {
        let partial = self.partial.as_ref();
        partial.map_or(0, |partial| partial.held())
    }

    fn begin(
        &mut self,
        head: &Head,
        input: &mut Input,
        slot: &mut Slot,
        limits: &Limits,
        intake: impl FnOnce(&Request) -> Option<Intake>,
    ) -> Result<Event, Refusal> {
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
        let intake = intake(&slot.request);
        if let Some(Intake::Stream { most }) = intake {
            let inflow = Inflow::new(head.framing, expectation, most)?;
            self.keep(slot, Rest::Streamed(inflow));
            return Ok(Event::Stream);
        }
        let coding = match length {
            Some(length) => {
                let length = usize::try_from(length)
                    .ok()
                    .filter(|length| *length <= limits.body)
                    .ok_or(Refusal::BodyTooLarge)?;
                if let Some(body) = input.unread().get(..length) {
                    slot.arena.extend_from_slice(body);
                    let body = slot.arena.split().freeze();
                    slot.receive_body(body);
                    input.consume(length);
                    return Ok(Event::Request);
                }
                Coding::Length(length)
            }
            None => Coding::Chunked(Chunked::new()),
        };
        let mut reception = Reception {
            coding,
            content: Vec::new(),
        };
        let waits = expectation == Expectation::Continue;
        if !waits && reception.absorb(input, limits)? == Absorbed::All {
            *slot.request.body_mut() = reception.into_body(slot.head.clone());
            return Ok(Event::Request);
        }
        self.keep(slot, Rest::Gathered(reception));
        Ok(match intake {
            None => Event::Stream,
            Some(_) if waits => Event::Continue,
            Some(_) => Event::Incomplete(Progress::Body),
        })
    }

    /// Keeps the request in the slot. A copy of it, for the slot's memory is large, and this may
    /// have to wait for as long as the client likes.
    fn keep(&mut self, slot: &Slot, rest: Rest) {
        let own = slot.copy();
        self.partial = Some(Box::new(Partial {
            request: own.request,
            terms: own.terms,
            head: own.head,
            rest,
        }));
    }
}

impl Slot {
    /// The request line as it came, for the log.
    #[must_use]
    pub fn request_line(&self) -> Cow<'_, str> {
        let line = self.head.split(|byte| *byte == b'\r').next();
        String::from_utf8_lossy(line.unwrap_or_default())
    }

    /// The head as it came; empty if it could not be read.
    #[must_use]
    pub fn wire(&self) -> Wire {
        Wire::new(self.head.clone(), None)
    }

    fn receive_body(&mut self, content: Bytes) {
        *self.request.body_mut() = Body::received(content, self.head.clone(), None);
    }

    /// The fields as they came, even if a handler has taken the request away.
    #[must_use]
    pub fn fields(&self) -> HeaderMap {
        mem::take(self.copy().request.headers_mut())
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
        self.terms = Terms::default();
        self.head = Bytes::new();
        self.request.headers_mut().clear();
        self.request.extensions_mut().clear();
        *self.request.uri_mut() = http::Uri::default();
        *self.request.body_mut() = Body::empty();
    }
}

/// How much to reserve for a body of which this much is missing and this much is here. One byte
/// more than is missing: a receive that ends with the body then leaves room, and so tells that
/// nothing follows without a second call.
fn room(missing: usize, here: usize) -> usize {
    missing.saturating_add(1).min(here.max(BODY_STEP))
}

/// How much of a body has been absorbed.
#[derive(Debug, PartialEq, Eq)]
enum Absorbed {
    All,
    Part,
}

impl Partial {
    fn held(&self) -> usize {
        let fields = self.request.headers().len() * FIELD;
        let body = match &self.rest {
            Rest::Gathered(reception) => reception.held(),
            Rest::Streamed(_) => 0,
        };
        self.head.len() + fields + body
    }

    /// Puts the request into the slot, with as much of its body as was gathered.
    fn finish(self, slot: &mut Slot) -> Option<Inflow> {
        slot.terms = self.terms;
        slot.request = self.request;
        let head = self.head.clone();
        slot.head = self.head;
        let (body, inflow) = match self.rest {
            Rest::Gathered(reception) => (reception.into_body(head), None),
            Rest::Streamed(inflow) => {
                let body = Body::received(Bytes::new(), head, inflow.chunking());
                (body, Some(inflow))
            }
        };
        *slot.request.body_mut() = body;
        inflow
    }
}

impl Reception {
    fn held(&self) -> usize {
        let beside = match &self.coding {
            Coding::Length(_) => 0,
            Coding::Chunked(coding) => coding.held(),
        };
        beside + self.content.len()
    }

    fn absorb(&mut self, input: &mut Input, limits: &Limits) -> Result<Absorbed, Refusal> {
        let content = &mut self.content;
        let complete = match &mut self.coding {
            Coding::Length(length) => {
                // The vector may have been given more room than was asked for, and a client may
                // have filled it with the start of its next request.
                if content.len() > *length {
                    input.extend(&content[*length..]);
                    content.truncate(*length);
                }
                let missing = *length - content.len();
                let take = missing.min(input.unread().len());
                if take > 0 {
                    content.reserve_exact(room(missing, take));
                    content.extend_from_slice(&input.unread()[..take]);
                    input.consume(take);
                }
                take == missing
            }
            Coding::Chunked(decoder) => {
                let used = decoder.decode(input.unread(), content, limits)?;
                input.consume(used);
                decoder.is_done()
            }
        };
        Ok(if complete {
            Absorbed::All
        } else {
            Absorbed::Part
        })
    }

    /// The body of the request that has this head.
    fn into_body(self, head: Bytes) -> Body {
        let chunking = match self.coding {
            Coding::Length(_) => None,
            Coding::Chunked(coding) => {
                Some(SharedChunking::from(OnceLock::from(coding.into_seen())))
            }
        };
        Body::received(self.content.into(), head, chunking)
    }
}

#[cfg(test)]
mod tests;
