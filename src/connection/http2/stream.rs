//! The state of one stream, as far as the connection keeps it.

use std::time::Instant;

use super::calls::ReadGuard;
use super::driven::{Arrived, DrivenOutflow};
use super::later::WaitingRequest;
use super::polled::PolledOutflow;
use super::streamed_body::Inflow;
use crate::connection::write_queue::{Backlog, Memory};
use crate::http2::KeptRequest;
use crate::message::BodyMode;
use crate::message::body::{BodySource, FilePart};
use crate::message::head::expectation::Expectation;

/// A request with its response on one stream.
#[derive(Debug, Default)]
pub(in crate::connection) struct Stream {
    /// When the head arrived.
    pub(super) since: Option<Instant>,
    pub(super) step: Step,
    /// The content behind an extended CONNECT, instead of a body.
    pub(super) arrived: Option<Box<Arrived>>,
}

/// The current step of a stream.
#[derive(Debug, Default)]
pub(super) enum Step {
    /// The head has just arrived.
    #[default]
    Begun,
    /// The body arrives and is kept until it is complete.
    Receiving(Box<PartialRequest>),
    /// The request waits for a handler. Its body may still arrive, if the handler does not need all
    /// of it.
    Waiting(Box<PartialRequest>),
    /// A handler has the request.
    Handling,
    /// A handler has the head of the request, and may need the body after all.
    Undecided(Box<PartialRequest>),
    /// A handler has the request and reads its body while it arrives.
    Streaming(Inflow),
    /// The handler has returned, and the response comes later.
    Later(Box<WaitingRequest>),
    /// The response is sent as the windows allow.
    Sending(Box<Sending>),
    /// A worker reads from the reader of the response.
    Reading { _guard: ReadGuard },
    /// The response is complete, and the rest of the request is discarded.
    Discarding(Instant),
}

/// A request that is kept, with the received part of its body.
#[derive(Debug)]
pub(super) struct PartialRequest {
    /// `None` while it is in the buffers of the worker that drives the connection.
    pub(super) request: Option<KeptRequest>,
    /// `None` until a worker has asked the handler.
    pub(super) mode: Option<BodyMode>,
    pub(super) expectation: Expectation,
    /// Whether `100 Continue` was sent.
    pub(super) is_continued: bool,
    /// The announced length of the body.
    pub(super) length: Option<u64>,
    pub(super) content: Vec<u8>,
    pub(super) trailers: Option<Vec<u8>>,
    pub(super) is_ended: bool,
    /// When the body began to arrive, or the wait for a handler began.
    pub(super) since: Instant,
}

/// The unsent part of a response.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) content: Outgoing,
    pub(super) backlog: Option<StreamBacklog>,
}

/// The progress of a response whose client gives no window.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamBacklog {
    pub(super) whole: Backlog,
    /// When the client last gave some.
    pub(super) progress: Instant,
}

/// The content of a response that is sent as the windows allow.
#[derive(Debug)]
pub(super) enum Outgoing {
    Memory(Memory),
    File(FilePart),
    Reader(Outflow),
    Polled(PolledOutflow),
    Driven(DrivenOutflow),
}

/// A reader with the part that it has returned.
pub(super) struct Outflow {
    pub(super) source: BodySource,
    pub(super) part: Vec<u8>,
    /// How much of the part was sent.
    pub(super) sent: usize,
}

impl PartialRequest {
    /// The approximate memory.
    pub(super) fn held(&self) -> usize {
        let head = self.request.as_ref().map_or(0, KeptRequest::held);
        let trailers = self.trailers.as_ref().map_or(0, Vec::capacity);
        size_of::<Self>() + head + self.content.capacity() + trailers
    }
}

impl Stream {
    /// The approximate memory that counts against the budget.
    pub(super) fn held(&self) -> usize {
        let arrived = self.arrived.as_ref().map_or(0, |arrived| arrived.held());
        let kept = match &self.step {
            Step::Receiving(request) | Step::Waiting(request) | Step::Undecided(request) => {
                request.held()
            }
            Step::Streaming(inflow) => inflow.held(),
            Step::Sending(sending) => sending.held(),
            Step::Later(waiting) => waiting.held(),
            Step::Begun | Step::Handling | Step::Reading { .. } | Step::Discarding(_) => 0,
        };
        kept + arrived
    }

    /// Whether the response has not been sent in full.
    pub(super) fn is_unanswered(&self) -> bool {
        !matches!(self.step, Step::Discarding(_))
    }
}
