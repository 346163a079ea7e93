//! A protocol that the pool drives on a stream, behind an extended CONNECT (RFC 8441).
//!
//! The protocol may block, so it runs as a [`Call`] while the connection is lent, and must not touch
//! the connection. A call takes what has arrived and how much the windows allow to send, and returns
//! what the protocol has written. Events during a call lead to the next one.

mod stream;

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use log::error;

use self::stream::CallIo;
use super::Http2;
use super::calls::StreamReply;
use super::request::Called;
use super::respond::drop_quietly;
use super::send::{Next, PART, frames, send_shared};
use super::stream::{Outgoing, Step};
use crate::connection::call::Call;
use crate::connection::write_queue::{COPIED_BODY, Insertions, Memory};
use crate::connection::{Phase, Service, WorkerBuffers};
use crate::http2::{ErrorCode, Mux, StreamId};
use crate::message::upgrade::MakeDriven;
use crate::message::{DrivenProtocol, DrivenStream, DrivenWaker, NextStep, Response};

/// The unread content behind an extended CONNECT. The window of the stream bounds it.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    content: Vec<u8>,
    is_ended: bool,
}

/// A protocol with its output.
pub(super) struct DrivenOutflow {
    /// Nothing while it is called.
    protocol: Option<Protocol>,
    /// The output that the windows have not allowed to send.
    rest: Memory,
    /// How much the protocol could not write.
    unwritten: usize,
    /// The memory that the protocol keeps since its last call.
    kept: usize,
    next: NextCall,
}

enum Protocol {
    /// It is made by its first call, because making it runs code of the handler.
    New(MakeDriven, DrivenWaker),
    Open(Box<dyn DrivenProtocol>),
}

/// When the protocol is called next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextCall {
    /// When something happens, or at this moment.
    Waiting(Option<Instant>),
    /// When a worker comes to it.
    Due,
    /// A call runs.
    Running,
    /// A call runs, and something has happened since it began.
    RunningAgain,
}

/// A call of a protocol.
pub(crate) struct DriveCall {
    stream: StreamId,
    protocol: Protocol,
    arrived: Arrived,
    /// How much it may write.
    room: usize,
}

/// A protocol after a call.
struct Returned {
    protocol: Protocol,
    next: NextStep,
    /// The memory that it keeps.
    kept: usize,
}

/// The result of a call.
pub(crate) struct Driven {
    pub(super) stream: StreamId,
    /// Nothing if the protocol has panicked.
    called: Option<Returned>,
    unread: Vec<u8>,
    read: usize,
    written: Vec<u8>,
    unwritten: usize,
}

impl Arrived {
    /// Nothing has arrived, and nothing will if the client has ended its side.
    pub(super) fn new(is_ended: bool) -> Box<Self> {
        Box::new(Self {
            content: Vec::new(),
            is_ended,
        })
    }

    /// Adds content that has arrived.
    pub(super) fn push(&mut self, content: &[u8], is_ended: bool) {
        self.content.extend_from_slice(content);
        self.is_ended |= is_ended;
    }

    /// Puts content back that was not read.
    fn restore(&mut self, mut unread: Vec<u8>) {
        if !unread.is_empty() {
            unread.append(&mut self.content);
            self.content = unread;
        }
    }

    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.content.capacity()
    }
}

impl Http2 {
    /// Sends the head of a response that accepts an extended CONNECT, and lets the protocol begin.
    #[cold]
    pub(super) fn begin_driven(
        &mut self,
        stream: StreamId,
        response: &Response,
        make: MakeDriven,
        buffers: &mut WorkerBuffers,
    ) {
        let date = buffers.date();
        let Some(mux) = self.mux.as_mut().filter(|mux| mux.get(stream).is_some()) else {
            return drop_quietly(make);
        };
        let _follows = mux.respond(
            stream,
            response,
            false,
            &date,
            buffers.io.write_queue.bytes(),
        );
        let Some(waker) = self.work().woken.waker(stream, buffers) else {
            error!("stream {stream} is reset: the poller is full");
            drop_quietly(make);
            return self.reset(stream, ErrorCode::InternalError, buffers);
        };
        let protocol = Protocol::New(make, DrivenWaker::new(waker));
        self.send_later(stream, Outgoing::Driven(DrivenOutflow::new(protocol)));
        if let Some(mux) = &mut self.mux {
            mux.set_pending(stream, None);
        }
        self.drive_soon(stream);
    }

    fn driven_mut(&mut self, stream: StreamId) -> Option<&mut DrivenOutflow> {
        match &mut self.stream_mut(stream)?.step {
            Step::Sending(sending) => match &mut sending.content {
                Outgoing::Driven(outflow) => Some(outflow),
                _ => None,
            },
            _ => None,
        }
    }

    /// Has the protocol of a stream called, if there is one.
    pub(super) fn drive_soon(&mut self, stream: StreamId) {
        let Some(outflow) = self.driven_mut(stream) else {
            return;
        };
        match outflow.next {
            NextCall::Waiting(_) => {
                outflow.next = NextCall::Due;
                self.work().to_drive.push_back(stream);
            }
            NextCall::Running => outflow.next = NextCall::RunningAgain,
            NextCall::Due | NextCall::RunningAgain => {}
        }
    }

    /// Tells all protocols once that the server drains.
    pub(super) fn announce_drain(&mut self) {
        let streams = self.mux.iter().flat_map(Mux::streams);
        let streams: Vec<_> = streams.map(|(id, _)| id).collect();
        for stream in streams {
            self.drive_soon(stream);
        }
    }

    /// Returns the call of the protocol that has waited longest for one.
    pub(super) fn next_driven(
        &mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        if !self.can_call_reads(service) {
            return None;
        }
        while let Some(stream) = (self.work.as_mut()).and_then(|work| work.to_drive.pop_front()) {
            let Some(call) = self.drive_call(stream) else {
                continue;
            };
            self.reads += 1;
            self.turn.steps -= 1;
            buffers.call = Some(Call::Drive(call));
            return Some(Called);
        }
        None
    }

    fn drive_call(&mut self, stream: StreamId) -> Option<DriveCall> {
        let capacity = self.mux.as_ref()?.capacity(stream);
        let outflow = self.driven_mut(stream)?;
        let protocol = outflow.protocol.take()?;
        outflow.next = NextCall::Running;
        // Earlier output comes first.
        let room = match outflow.rest.left().is_empty() {
            true => capacity.min(PART),
            false => 0,
        };
        let arrived = self.stream_mut(stream)?.arrived.as_mut();
        let arrived = arrived.map(|arrived| Arrived {
            content: mem::take(&mut arrived.content),
            is_ended: arrived.is_ended,
        });
        Some(DriveCall {
            stream,
            protocol,
            arrived: arrived.unwrap_or_default(),
            room,
        })
    }

    /// Sends the output of a call, and lets the protocol wait for its next step.
    pub(super) fn apply_driven(&mut self, driven: Driven, buffers: &mut WorkerBuffers) {
        let Driven {
            stream,
            called,
            unread,
            read,
            written,
            unwritten,
        } = driven;
        let Some(mux) = self.mux.as_mut().filter(|mux| mux.get(stream).is_some()) else {
            return drop_quietly(called);
        };
        let Some(Returned {
            protocol,
            next,
            kept,
        }) = called
        else {
            return self.reset(stream, ErrorCode::InternalError, buffers);
        };
        mux.release(stream, read, buffers.io.write_queue.bytes());
        if let Some(arrived) = self
            .stream_mut(stream)
            .and_then(|open| open.arrived.as_mut())
        {
            arrived.restore(unread);
        }
        let Some(outflow) = self.driven_mut(stream) else {
            return drop_quietly(protocol);
        };
        outflow.add(written);
        outflow.unwritten = unwritten;
        outflow.kept = kept;
        let was_woken = outflow.next == NextCall::RunningAgain;
        outflow.next = NextCall::Waiting(match next {
            NextStep::WaitUntil(until) => Some(until),
            // The client's frames come first.
            NextStep::Yield => Some(buffers.now),
            NextStep::Wait | NextStep::Close => None,
        });
        if next == NextStep::Close {
            drop_quietly(protocol);
            return self.end_driven(stream, buffers);
        }
        outflow.protocol = Some(protocol);
        let pending = outflow.pending();
        if let Some(mux) = &mut self.mux {
            mux.set_pending(stream, (pending > 0).then_some(pending));
        }
        if was_woken {
            self.drive_soon(stream);
        }
    }

    /// Ends a stream behind its output, after its protocol has ended. Further content from the client
    /// is discarded.
    fn end_driven(&mut self, stream: StreamId, buffers: &mut WorkerBuffers) {
        let Some(outflow) = self.driven_mut(stream) else {
            return;
        };
        let rest = mem::replace(&mut outflow.rest, Memory::new(Bytes::new()));
        if let Some(entry) = self.stream_mut(stream) {
            entry.arrived = None;
        }
        if let Some(mux) = &mut self.mux {
            mux.discard(stream);
        }
        match rest.left().is_empty() {
            true => self.end_content(stream, &HeaderMap::new(), buffers),
            false => self.send_later(stream, Outgoing::Memory(rest)),
        }
    }
}

impl DrivenOutflow {
    fn new(protocol: Protocol) -> Self {
        Self {
            protocol: Some(protocol),
            rest: Memory::new(Bytes::new()),
            unwritten: 0,
            kept: 0,
            next: NextCall::Waiting(None),
        }
    }

    /// Adds output behind the rest of the last.
    fn add(&mut self, written: Vec<u8>) {
        match (self.rest.left(), written.is_empty()) {
            (_, true) => {}
            (b"", false) => self.rest = Memory::new(written.into()),
            (rest, false) => self.rest = Memory::new([rest, &written].concat().into()),
        }
    }

    /// The bytes that are to be sent, as far as that is known.
    pub(super) fn pending(&self) -> usize {
        match self.rest.left().len() {
            0 => self.unwritten,
            rest => rest,
        }
    }

    /// The approximate memory.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.rest.held() + self.kept
    }

    pub(super) fn shrink(&mut self) {
        self.rest.shrink();
    }

    /// The latest time of the next call.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.next {
            NextCall::Waiting(until) => until,
            NextCall::Due | NextCall::Running | NextCall::RunningAgain => None,
        }
    }

    /// Sends at most this much output.
    pub(super) fn send<T: Default>(
        &mut self,
        stream: StreamId,
        most: usize,
        mux: &mut Mux<T>,
        out: &mut Vec<u8>,
        insertions: &mut Insertions,
    ) -> (usize, Next) {
        let count = self.rest.left().len().min(most);
        if count > COPIED_BODY && insertions.has_room_for(frames::<T>(count)) {
            send_shared(
                &self.rest.shared().slice(..count),
                stream,
                false,
                mux,
                out,
                insertions,
            );
        } else if count > 0 {
            mux.send_data(stream, &self.rest.left()[..count], false, out);
        }
        self.rest.advance(count);
        let next = match self.pending() {
            0 => Next::Wait,
            _ if count > 0 || !self.rest.left().is_empty() => Next::Send,
            // The windows allow to write more.
            _ => Next::Drive,
        };
        (count, next)
    }
}

impl DriveCall {
    /// Calls the protocol. A panic of it resets the stream.
    pub(in crate::connection) fn run(self, service: &Service) -> StreamReply {
        let Self {
            stream,
            protocol,
            arrived,
            room,
        } = self;
        let is_draining = service.phase.get() > Phase::Running;
        let mut io = CallIo::new(arrived, room, is_draining);
        let called = protocol.call(&mut io);
        if called.is_none() {
            error!("the protocol of stream {stream} panicked");
        }
        StreamReply::Driven(io.end(stream, called))
    }
}

impl Protocol {
    /// Calls the protocol. Returns nothing if it has panicked.
    fn call(self, io: &mut CallIo) -> Option<Returned> {
        let mut protocol = match self {
            Self::New(make, waker) => catch_unwind(AssertUnwindSafe(|| make(waker))).ok()?,
            Self::Open(protocol) => protocol,
        };
        let ready = || {
            let next = protocol.ready(&mut DrivenStream::new(io));
            (next, protocol.held())
        };
        match catch_unwind(AssertUnwindSafe(ready)) {
            Ok((next, kept)) => Some(Returned {
                protocol: Self::Open(protocol),
                next,
                kept,
            }),
            Err(_) => {
                // Its drop may panic, too.
                drop_quietly(protocol);
                None
            }
        }
    }
}

impl fmt::Debug for DrivenOutflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrivenOutflow")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DriveCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriveCall")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
