//! The orderly end of a connection in two steps (RFC 9113 section 6.8): in a drain, after a response
//! that closes the connection, or if the client has sent no request for too long.
//!
//! The first GOAWAY refuses nothing; it asks the client to open no more streams. A PING follows it.
//! Requests that the client has sent before it read the GOAWAY arrive before the acknowledgement of
//! the PING, and are handled. Then the second GOAWAY names the last stream, and the connection
//! closes when its streams have ended. So no request is lost.

use std::mem;
use std::time::{Duration, Instant};

use super::Http2;
use super::stream::Step;
use crate::connection::close::CloseMode;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::state::State;
use crate::connection::{CloseReason, Phase, Service, WorkerBuffers};
use crate::http2::{ErrorCode, Mux};
#[cfg(feature = "inspect")]
use crate::message::broken::BrokenEnd;

/// How long the acknowledgement of the PING may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The steps of the end of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Shutdown {
    #[default]
    None,
    /// The first GOAWAY and the PING were sent.
    Announced { since: Instant },
    /// The client has acknowledged the PING.
    Acknowledged,
    /// The second GOAWAY was sent.
    Last,
    /// The connection ends without regard to its other streams, because a response is broken on
    /// purpose.
    #[cfg(feature = "inspect")]
    BreakOff(BrokenEnd),
}

impl Shutdown {
    /// Notes that the client has received the first GOAWAY.
    pub(super) fn acknowledge(&mut self) {
        if let Self::Announced { .. } = self {
            *self = Self::Acknowledged;
        }
    }

    /// When the server stops to wait for the acknowledgement.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Announced { since } => Some(since + PING_TIMEOUT),
            Self::None | Self::Acknowledged | Self::Last => None,
            #[cfg(feature = "inspect")]
            Self::BreakOff(_) => None,
        }
    }
}

impl Http2 {
    /// Sends the first GOAWAY. Returns whether it was still to be sent.
    pub(super) fn begin_shutdown(&mut self, buffers: &mut WorkerBuffers) -> bool {
        let (Shutdown::None, Some(mux)) = (self.shutdown, &mut self.mux) else {
            return false;
        };
        mux.announce_shutdown(buffers.io.write_queue.bytes());
        self.shutdown = Shutdown::Announced { since: buffers.now };
        true
    }

    /// Sends the first GOAWAY behind a response that asks for the close. Python's h2 loses a response
    /// if a PING follows the GOAWAY in the same bytes, so none does if no other stream is open.
    pub(super) fn close_after_response(&mut self, buffers: &mut WorkerBuffers) {
        match &mut self.mux {
            Some(mux) if mux.is_empty() && matches!(self.shutdown, Shutdown::None) => {
                mux.announce_shutdown_alone(buffers.io.write_queue.bytes());
                self.shutdown = Shutdown::Announced { since: buffers.now };
            }
            _ => {
                self.begin_shutdown(buffers);
            }
        }
    }

    /// Takes the next step of the shutdown if it is due.
    pub(super) fn shut_down_if_due(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        if service.phase.get() > Phase::Running && !mem::replace(&mut self.knows_drain, true) {
            self.announce_drain();
        }
        #[cfg(feature = "inspect")]
        if let Shutdown::BreakOff(end) = self.shutdown {
            return self.break_off(end, io, buffers);
        }
        if matches!(self.shutdown, Shutdown::None) {
            // The client of a new connection may be about to send its first request. It could not
            // send it after a GOAWAY.
            let may_begin = self.idleness.has_had_request || service.takes_no_more(buffers.now);
            if service.phase.get() == Phase::Running || !may_begin {
                return;
            }
            if self.begin_shutdown(buffers) && self.mux.as_ref().is_some_and(Mux::is_empty) {
                io.end = CloseReason::Drained;
            }
        }
        let is_due = match self.shutdown {
            Shutdown::Acknowledged => true,
            Shutdown::Announced { .. } => {
                (self.shutdown.deadline()).is_some_and(|deadline| deadline <= buffers.now)
            }
            Shutdown::None | Shutdown::Last => false,
            #[cfg(feature = "inspect")]
            Shutdown::BreakOff(_) => false,
        };
        // A client that has been idle for long and does not acknowledge is gone.
        let mode = match self.shutdown {
            Shutdown::Announced { .. } if io.end == CloseReason::Idle => CloseMode::Immediate,
            _ => CloseMode::Linger,
        };
        let Some(mux) = &mut self.mux else { return };
        if is_due {
            mux.shut_down(ErrorCode::NoError, b"", buffers.io.write_queue.bytes());
            self.shutdown = Shutdown::Last;
            self.stats.add_goaway(ErrorCode::NoError);
        }
        if matches!(self.shutdown, Shutdown::Last) && io.state == State::Http {
            self.close_if_done(mode, io, buffers);
        }
    }

    /// Closes the connection once all responses are complete.
    fn close_if_done(
        &mut self,
        mode: CloseMode,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
    ) {
        let Some(mux) = &mut self.mux else { return };
        let is_done = |step: &Step| matches!(step, Step::Discarding(_));
        if mux.streams().all(|(_, stream)| is_done(&stream.step)) {
            let discarded: Vec<_> = mux.streams().map(|(id, _)| id).collect();
            for stream in discarded {
                self.reset(stream, ErrorCode::NoError, buffers);
            }
            io.state = State::Closing(mode);
            io.deadlines.end();
        }
    }
}
