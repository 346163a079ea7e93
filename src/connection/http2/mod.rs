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
mod work;

use std::io;
use std::mem;
use std::time::Instant;

use self::burst::Burst;
pub(crate) use self::calls::{HandlerCall, ReadCall, StreamReply};
pub(crate) use self::driven::DriveCall;
pub(crate) use self::later::CompleteCall;
use self::receive::Arrival;
use self::request::Called;
use self::shutdown::Shutdown;
use self::stats::OpenStreams;
pub(crate) use self::stats::{Http2Event, Http2Stats};
pub(super) use self::stream::Stream as Http2Stream;
use self::stream::{Step, Stream};
use self::work::Work;
use super::connection_io::{ConnectionIo, Readiness};
use super::state::State;
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
    /// `None` while nothing waits, as on an idle connection.
    work: Option<Box<Work>>,
    files: FileReads,
    burst: Burst,
    /// Handlers that have not returned. They count even if their stream was reset.
    handlers: usize,
    /// Reads, calls that complete a response that came later, and calls of protocols, which have not
    /// returned.
    reads: usize,
    /// Streams whose handler reads the body while it arrives.
    streamed: usize,
    /// The stream whose request is in the buffers of the driving worker while its body arrives. The
    /// head of a body that arrives with it is then not copied.
    partial: Option<StreamId>,
    shutdown: Shutdown,
    /// Whether the protocols on streams were told that the server drains.
    knows_drain: bool,
    stats: OpenStreams,
    idleness: Idleness,
    turn: Turn,
}

// An idle connection keeps it, and there may be many.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Http2>() <= 568);

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
    clock: CallClock,
}

/// When the clock was read after a call. Reading it takes a thirtieth of the time of a small request, so
/// it is not read after each of several quick calls.
#[derive(Debug, Clone, Copy, Default)]
struct CallClock {
    /// How far the turn was, in microseconds.
    read_at: u32,
    /// Calls after which it need not be read.
    skips: u8,
}

impl CallClock {
    /// How long a quick call takes at most.
    const QUICK: u32 = 50;

    /// After how many further calls the clock is not read.
    const SKIPS: u8 = 3;
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
            work: None,
            files: FileReads::Allowed,
            burst: Burst::FIRST,
            handlers: 0,
            reads: 0,
            streamed: 0,
            partial: None,
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
        self.work().replies.push(reply);
    }

    /// The work that waits, to add some.
    fn work(&mut self) -> &mut Work {
        self.work.get_or_insert_default()
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
        self.turn.note_call(buffers);
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
        if self.turn.blocked.is_some() && buffers.io.write_queue.held() > MAX_UNSENT {
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
        let queued = buffers.io.write_queue.held();
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
            || !buffers.io.input.is_empty()
            || !buffers.io.write_queue.is_empty()
            || self.has_waiting()
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
            clock: CallClock::default(),
        }
    }

    /// Ends the turn if its calls have taken long.
    fn note_call(&mut self, buffers: &mut WorkerBuffers) {
        if let Some(left) = self.clock.skips.checked_sub(1) {
            self.clock.skips = left;
            return;
        }
        let elapsed = sync::elapsed(buffers.now);
        if elapsed > TURN {
            buffers.catch_up();
            self.steps = 0;
            return;
        }
        // It is at most a millisecond.
        let read_at = elapsed.as_micros() as u32;
        if read_at.saturating_sub(self.clock.read_at) <= CallClock::QUICK {
            self.clock.skips = CallClock::SKIPS;
        }
        self.clock.read_at = read_at;
    }
}

#[cfg(test)]
mod tests;
