//! The close of a connection after its last response.

use std::io;

#[cfg(feature = "_tls")]
use log::debug;

use super::connection_io::ConnectionIo;
use super::state::State;
use super::write_queue::Backlog;
use super::{CloseReason, DriveResult, Service, WorkerBuffers};
use crate::net::transport::Received;

/// Receives of discarded bytes before other connections have their turn.
const DISCARDS_PER_TURN: usize = 16;

/// How a connection closes after its last response (RFC 9112 section 9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseMode {
    /// At once: the client has announced that it sends nothing more, and nothing has arrived.
    Immediate,
    /// After a lingering close: the client may still be sending.
    Linger,
    /// At once and with a reset, because the response is broken on purpose.
    #[cfg(feature = "inspect")]
    Reset,
}

impl ConnectionIo {
    /// Continues to close the connection; the last response has been sent.
    pub(super) fn close(
        &mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        if let State::Closing(mode) = self.state {
            #[cfg(feature = "inspect")]
            if mode == CloseMode::Reset {
                self.socket.reset_on_close()?;
                return Ok(DriveResult::Close(CloseReason::Broken));
            }
            if !self.socket.send_close_notify()? {
                let backlog = Backlog {
                    since: buffers.catch_up(),
                    taken: 0,
                };
                return Ok(self.wait_for_room(0, backlog, buffers, service));
            }
            if mode == CloseMode::Immediate {
                return Ok(DriveResult::Close(self.close_reason()));
            }
            self.socket.shutdown_write()?;
            // Discarded bytes need not be valid TLS records.
            #[cfg(feature = "_tls")]
            self.socket.remove_tls();
            self.state = State::LingeringClose;
        }
        let result = DriveResult::Park(self.deadlines.for_peer_close(buffers.now));
        for _ in 0..DISCARDS_PER_TURN {
            buffers.io.input.clear();
            match self.socket.receive(buffers.io.input.room())? {
                Received::Full | Received::Short => {}
                Received::WouldBlock => return Ok(result),
                Received::End => return Ok(DriveResult::Close(self.close_reason())),
            }
        }
        Ok(DriveResult::Requeue)
    }

    /// The reason for the close of a connection that has nothing left to send.
    pub(super) fn close_reason(&self) -> CloseReason {
        match self.state {
            #[cfg(feature = "_tls")]
            State::TlsFailed => CloseReason::HandshakeFailed,
            _ => self.end,
        }
    }

    /// Tells a TLS client that it has received everything, if that is the case.
    #[cfg(feature = "_tls")]
    pub(super) fn send_close_notify(&mut self, reason: CloseReason) {
        if reason.is_orderly()
            && let Err(error) = self.socket.send_close_notify()
        {
            debug!("{self}: close_notify can't be sent: {error}");
        }
    }
}

// A plain connection sends no close_notify.
#[cfg(all(test, feature = "_tls"))]
mod tests;
