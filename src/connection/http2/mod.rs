//! HTTP/2 on a connection: requests on many streams. Quick handlers run one after another on the
//! worker that drives the connection; if handlers block, several workers run them.
//!
//! A handler runs while the connection is lent, so another worker can drive the connection if the
//! handler takes long. Its result returns as a [`StreamReply`]. Only the owner of the connection
//! reads and writes frames.

mod body;
#[cfg(feature = "inspect")]
mod broken;
mod burst;
mod calls;
mod deadlines;
mod driven;
mod later;
mod polled;
mod receive;
mod request;
mod respond;
mod send;
mod shutdown;
mod stats;
mod stream;
mod streamed_body;
mod waiting;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::time::Instant;

use self::burst::Burst;
pub(crate) use self::calls::{HandlerCall, ReadCall, StreamReply};
use self::deadlines::WindowWait;
pub(crate) use self::driven::DriveCall;
use self::later::CancelledRequest;
pub(crate) use self::later::CompleteCall;
use self::receive::Arrival;
use self::request::Called;
use self::shutdown::Shutdown;
use self::stats::OpenStreams;
pub(crate) use self::stats::{Http2Event, Http2Stats};
pub(super) use self::stream::Stream as Http2Stream;
use self::stream::{Step, Stream};
use super::connection_io::{ConnectionIo, Readiness};
use super::state::State;
use super::woken::Woken;
use super::{
    Admission, CloseReason, DriveResult, Lending, Pending, Phase, Service, TURN, WaitFor,
    WakeReason, WorkerBuffers,
};
use crate::http2::{Mux, StreamId};
use crate::sync;

/// Requests and receives before other connections have their turn.
const STEPS_PER_TURN: i32 = 32;

/// The connection reads no frames while more output than this is unsent, so that a client that
/// doesn't read can't make the server queue acknowledgements without end.
const MAX_UNSENT: usize = 64 * 1024;

/// The state of HTTP/2 on one connection.
#[derive(Debug)]
pub(super) struct Http2 {
    /// `None` until the client's preface has arrived.
    mux: Option<Mux<Stream>>,
    /// Requests that wait until one of the connection's handlers has returned.
    waiting: VecDeque<StreamId>,
    /// Responses whose readers are asked for the next part.
    to_read: VecDeque<StreamId>,
    /// Protocols behind an extended CONNECT for which something has happened.
    to_drive: VecDeque<StreamId>,
    files: FileReads,
    burst: Burst,
    /// Responses that came later and are completed by a worker.
    to_complete: VecDeque<StreamId>,
    /// Requests whose clients have left before their responses, until observers know.
    cancelled: Vec<CancelledRequest>,
    /// Handlers that have not returned. They count even if their stream was reset.
    handlers: usize,
    /// Reads, calls that complete a response that came later, and calls of protocols, which have not
    /// returned.
    reads: usize,
    /// Streams whose handler reads the body while it arrives.
    streamed: usize,
    replies: Vec<StreamReply>,
    woken: Woken<StreamId>,
    /// The stream whose request is in the buffers of the driving worker while its body arrives. The
    /// head of a body that arrives with it is then not copied.
    partial: Option<StreamId>,
    window_wait: Option<WindowWait>,
    shutdown: Shutdown,
    /// Whether the protocols on streams were told that the server drains.
    knows_drain: bool,
    stats: OpenStreams,
    idleness: Idleness,
    turn: Turn,
}

/// What the connection waits for while it has no request.
#[derive(Debug, Clone, Copy)]
struct Idleness {
    /// When the connection began, or its last stream closed.
    since: Instant,
    has_had_request: bool,
    /// When an incomplete head began to arrive, and how much of it has.
    head: Option<(Instant, usize)>,
}

/// Whether files can be read: a disk may block, so only workers read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileReads {
    Allowed,
    /// Responses with files were left to a worker.
    Paused,
}

/// The state of the current turn.
#[derive(Debug, Clone, Copy)]
struct Turn {
    steps: i32,
    wake: WakeReason,
    admission: Admission,
    /// The socket has no room for more output.
    blocked: Option<Pending>,
    /// Output has waited for a receive since the last send.
    has_waited: bool,
    /// The output has an interim response, which must leave before its handler continues.
    has_interim: bool,
}

/// The result of a step of a drive.
enum Flow {
    Continue,
    Return(DriveResult),
}

impl Http2 {
    /// A connection whose client is about to send its preface.
    pub(super) fn new(now: Instant, service: &Service) -> Self {
        Self {
            mux: None,
            waiting: VecDeque::new(),
            to_read: VecDeque::new(),
            to_drive: VecDeque::new(),
            files: FileReads::Allowed,
            burst: Burst::FIRST,
            to_complete: VecDeque::new(),
            cancelled: Vec::new(),
            handlers: 0,
            reads: 0,
            streamed: 0,
            replies: Vec::new(),
            woken: Woken::default(),
            partial: None,
            window_wait: None,
            shutdown: Shutdown::default(),
            knows_drain: false,
            stats: OpenStreams::new(&service.http2_stats),
            idleness: Idleness {
                since: now,
                has_had_request: false,
                head: None,
            },
            turn: Turn::new(WakeReason::Ready, Admission::Handle),
        }
    }

    /// Stores the result of a call until the connection is next driven.
    pub(super) fn deliver(&mut self, reply: StreamReply) {
        self.replies.push(reply);
    }

    fn stream(&self, stream: StreamId) -> Option<&Stream> {
        self.mux.as_ref()?.get(stream)
    }

    fn stream_mut(&mut self, stream: StreamId) -> Option<&mut Stream> {
        self.mux.as_mut()?.get_mut(stream)
    }

    fn set_step(&mut self, stream: StreamId, step: Step) {
        if let Some(entry) = self.stream_mut(stream) {
            entry.step = step;
        }
    }

    /// Takes the step of a stream if it is wanted.
    fn take_step(&mut self, stream: StreamId, is_wanted: impl FnOnce(&Step) -> bool) -> Step {
        match self.stream_mut(stream) {
            Some(entry) if is_wanted(&entry.step) => mem::take(&mut entry.step),
            _ => Step::Begun,
        }
    }

    /// Bytes of memory that it keeps.
    pub(super) fn held(&self) -> usize {
        let streams = self.mux.iter().flat_map(Mux::streams);
        let streams: usize = streams.map(|(_, stream)| stream.held()).sum();
        self.mux.as_ref().map_or(0, Mux::held) + streams
    }

    /// Requests whose responses have not been sent in full.
    pub(super) fn unfinished(&self) -> u64 {
        let streams = self.mux.iter().flat_map(Mux::streams);
        streams.filter(|(_, stream)| stream.is_unanswered()).count() as u64
    }

    /// Begins a turn and does everything that is possible now.
    pub(super) fn drive(
        &mut self,
        io: &mut ConnectionIo,
        wake: WakeReason,
        admission: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        self.turn = Turn::new(wake, admission);
        buffers.is_http2 = true;
        if let Some(mux) = &mut self.mux {
            mux.tick(buffers.now);
            mux.seal_data();
            mux.borrow_memory(&mut buffers.http2_streams);
        }
        // Only the waits for room and for the close are the socket's.
        if !matches!(
            io.deadlines.waits_for(),
            Some(WaitFor::Room | WaitFor::PeerClose)
        ) {
            io.deadlines.end();
        }
        if admission == Admission::Handle {
            self.resume_files();
        }
        self.apply_replies(io, buffers, service);
        let result = self.go_on(io, buffers, service);
        self.observe_cancelled(&result, buffers, service);
        result
    }

    /// Continues the turn with the result of a call that this worker has run.
    pub(super) fn resume(
        &mut self,
        reply: StreamReply,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        if sync::elapsed(buffers.now) > TURN {
            buffers.catch_up();
            self.turn.steps = 0;
        }
        self.apply_replies(io, buffers, service);
        self.apply(reply, io, buffers, service);
        let result = self.go_on(io, buffers, service);
        self.observe_cancelled(&result, buffers, service);
        result
    }

    fn go_on(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        self.note_woken(buffers);
        loop {
            if service.phase.get() >= Phase::Forced {
                return Ok(DriveResult::Close(CloseReason::Forced));
            }
            if let Flow::Return(result) = self.step(io, buffers, service)? {
                self.keep_partial(buffers);
                return Ok(result);
            }
        }
    }

    /// Sends what must leave first, then runs a call, or receives.
    fn step(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Flow> {
        self.supply_streamed_bodies(buffers);
        self.shut_down_if_due(io, buffers, service);
        if self.turn.blocked.is_none() {
            self.fill(buffers);
            #[cfg(feature = "inspect")]
            if self.is_breaking_off() {
                return Ok(Flow::Continue);
            }
            if io.state != State::Http || self.is_full(buffers) || self.turn.has_interim {
                if self.turn.steps <= 0 {
                    return self.end_turn(io, buffers, service);
                }
                self.turn.steps -= 1;
                return self.flush(io, buffers, service);
            }
        }
        if io.state != State::Http {
            return self.close(io, buffers, service);
        }
        if let Some(Called) = self.next_call(io, buffers, service) {
            return Ok(Flow::Return(self.lend(io, buffers, service)));
        }
        if self.turn.steps <= 0 {
            return self.end_turn(io, buffers, service);
        }
        if self.turn.blocked.is_some() && buffers.write_queue.held() > MAX_UNSENT {
            if let Some(Called) = self.next_driven(buffers, service) {
                return Ok(Flow::Return(self.lend(io, buffers, service)));
            }
            return self.park(io, buffers, service);
        }
        match self.receive_frame(io, buffers, service) {
            Arrival::Frame => Ok(Flow::Continue),
            Arrival::Call => Ok(Flow::Return(self.lend(io, buffers, service))),
            Arrival::Incomplete => self.receive_more(io, buffers, service),
        }
    }

    /// Sends the write queue. Notes if the socket has no room.
    fn flush(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Flow> {
        if let Some(mux) = &mut self.mux {
            mux.seal_data();
        }
        let queued = buffers.write_queue.held();
        self.turn.has_waited = false;
        self.turn.has_interim = false;
        match io.send(buffers, service)? {
            None if io.state != State::Http => self.close(io, buffers, service),
            None => {
                // TLS encrypts 64 KiB at a time.
                if !io.socket.is_encrypted() {
                    self.burst.note_taken(queued);
                }
                Ok(Flow::Continue)
            }
            Some(DriveResult::Park(pending)) => {
                self.burst.note_left();
                self.turn.blocked = Some(pending);
                Ok(Flow::Continue)
            }
            Some(result) => Ok(Flow::Return(result)),
        }
    }

    /// Continues the close, or waits for room for the rest of the output.
    fn close(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Flow> {
        Ok(Flow::Return(match self.turn.blocked {
            Some(pending) => DriveResult::Park(pending),
            None => io.close(buffers, service)?,
        }))
    }

    /// Ends the turn for other connections.
    fn end_turn(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Flow> {
        if self.turn.blocked.is_none()
            && let Flow::Return(result) = self.flush(io, buffers, service)?
        {
            return Ok(Flow::Return(result));
        }
        self.count_streams();
        Ok(Flow::Return(match self.has_room(io, buffers) {
            true => DriveResult::Requeue,
            false => DriveResult::Close(CloseReason::BufferLimit),
        }))
    }

    /// Updates the number of open streams. A request that is handled at once changes nothing.
    fn count_streams(&mut self) {
        let Some(mux) = &mut self.mux else { return };
        self.stats.set(mux.len());
        for _ in 0..mux.take_refused() {
            self.stats.add(Http2Event::Refused);
        }
    }

    /// Asks the server to run this call while it lends the connection.
    fn lend(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> DriveResult {
        let has_more = io.readiness != Readiness::Drained
            || !buffers.input.is_empty()
            || !buffers.write_queue.is_empty()
            || !self.waiting.is_empty()
            || self.has_reads();
        let lending = Lending {
            deadline: self.next_deadline(service),
            is_ready: has_more,
        };
        DriveResult::Lend(lending)
    }
}

impl Turn {
    fn new(wake: WakeReason, admission: Admission) -> Self {
        Self {
            steps: STEPS_PER_TURN,
            wake,
            admission,
            blocked: None,
            has_waited: false,
            has_interim: false,
        }
    }
}

#[cfg(test)]
mod tests;
