//! A request whose head has arrived and whose body has not, or not whole.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::http1::RequestBuffer;
use crate::http1::chunked::Chunked;
use crate::http1::{BodyDecoder, Input, Limits};
use crate::http1::{Expectation, Persistence, ResponseContext};
use crate::message::raw_request::SharedChunking;
use crate::message::request_error::RequestError;
use crate::message::{Body, Request};

/// The memory reserved for a body at first and at each growth. A client that announces much and
/// sends little costs no more.
const BODY_STEP: usize = 256 * 1024;

/// The cost of a header in a header map, beside its bytes.
const FIELD: usize = 128;

/// A request with a complete head and an incomplete body.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) request: Request,
    pub(super) context: ResponseContext,
    pub(super) head: Bytes,
    pub(super) rest: Rest,
}

/// The use of the rest of a body.
#[derive(Debug)]
pub(super) enum Rest {
    /// It is kept until it is complete.
    Gathered(Reception),
    /// A reader takes it.
    Streamed(BodyDecoder),
    /// The handler responds before it arrives, unless it needs it.
    Undecided(Reception, Expectation),
    /// The request has its response, and the rest is discarded.
    Discarded(BodyDecoder),
}

/// The received part of a body.
#[derive(Debug)]
pub(super) struct Reception {
    pub(super) coding: BodyCoding,
    pub(super) content: Vec<u8>,
    /// The limit that the handler has chosen for this body, instead of the server's.
    pub(super) most: Option<usize>,
}

#[derive(Debug)]
pub(super) enum BodyCoding {
    Length(usize),
    Chunked(Chunked),
}

/// The memory to reserve for a body with this much missing and this much received. One byte more
/// than missing lets a receive at the end of the body come back short, which saves a second call.
pub(super) fn room(missing: usize, here: usize) -> usize {
    missing.saturating_add(1).min(here.max(BODY_STEP))
}

/// How much of a body was taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Absorbed {
    All,
    Part,
}

impl Partial {
    pub(super) fn held(&self) -> usize {
        let body = match &self.rest {
            Rest::Gathered(reception) | Rest::Undecided(reception, _) => reception.held(),
            Rest::Streamed(_) | Rest::Discarded(_) => 0,
        };
        self.head_held() + body
    }

    /// The memory when the body is complete, as far as the head tells.
    pub(super) fn needs(&self) -> usize {
        let body = match &self.rest {
            Rest::Gathered(reception) => match reception.coding {
                BodyCoding::Length(length) => length,
                BodyCoding::Chunked(_) => reception.held(),
            },
            Rest::Undecided(..) | Rest::Streamed(_) | Rest::Discarded(_) => 0,
        };
        self.head_held().saturating_add(body)
    }

    fn head_held(&self) -> usize {
        self.head.len() + self.request.headers().len() * FIELD
    }

    /// The state after the response. `after` says whether another request may follow.
    pub(super) fn discarded(body: BodyDecoder, after: Persistence) -> Self {
        Self {
            request: Request::default(),
            context: ResponseContext {
                persistence: after,
                ..ResponseContext::default()
            },
            head: Bytes::new(),
            rest: Rest::Discarded(body),
        }
    }

    /// Moves the request into the buffer, with the received part of its body.
    pub(super) fn finish(self, buffer: &mut RequestBuffer) -> Option<BodyDecoder> {
        buffer.context = self.context;
        buffer.request = self.request;
        let head = self.head.clone();
        buffer.head = self.head;
        let (body, decoder) = match self.rest {
            Rest::Gathered(reception) | Rest::Undecided(reception, _) => {
                (reception.into_body(head), None)
            }
            Rest::Streamed(decoder) | Rest::Discarded(decoder) => {
                let body = Body::received(Bytes::new(), head, decoder.chunking());
                (body, Some(decoder))
            }
        };
        *buffer.request.body_mut() = body;
        decoder
    }
}

impl Reception {
    pub(super) fn held(&self) -> usize {
        match &self.coding {
            // Reserved memory that is not used costs nothing yet.
            BodyCoding::Length(_) => self.content.len(),
            BodyCoding::Chunked(coding) => coding.held() + self.content.capacity(),
        }
    }

    fn most(&self, limits: &Limits) -> usize {
        self.most.unwrap_or(limits.body)
    }

    /// Whether the announced length is within the limit. A chunked body shows its length later.
    pub(super) fn may_fit(&self, limits: &Limits) -> bool {
        match self.coding {
            BodyCoding::Length(length) => length <= self.most(limits),
            BodyCoding::Chunked(_) => true,
        }
    }

    /// The rest of the body, to be discarded when it arrives.
    pub(super) fn into_inflow(self, limits: &Limits) -> BodyDecoder {
        let (here, most) = (self.content.len() as u64, self.most(limits) as u64);
        match self.coding {
            BodyCoding::Length(length) => BodyDecoder::of_length(length as u64 - here, most),
            BodyCoding::Chunked(coding) => {
                BodyDecoder::of_chunks(coding, most.saturating_sub(here))
            }
        }
    }

    pub(super) fn absorb(
        &mut self,
        input: &mut Input,
        limits: &Limits,
    ) -> Result<Absorbed, RequestError> {
        let limits = Limits {
            body: self.most(limits),
            ..*limits
        };
        let content = &mut self.content;
        let complete = match &mut self.coding {
            BodyCoding::Length(length) => {
                // The vector may be larger than requested, and the client may have filled it with
                // the start of its next request.
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
            BodyCoding::Chunked(decoder) => {
                let used = decoder.decode(input.unread(), content, &limits)?;
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

    /// The body of the request with this head.
    pub(super) fn into_body(self, head: Bytes) -> Body {
        let chunking = match self.coding {
            BodyCoding::Length(_) => None,
            BodyCoding::Chunked(coding) => {
                Some(SharedChunking::from(OnceLock::from(coding.into_seen())))
            }
        };
        Body::received(self.content.into(), head, chunking)
    }
}
