//! How a connection ends when its last answer has been made.

use std::io;

use log::debug;

use super::write_queue::Backlog;
use super::{CloseReason, Connection, DriveResult, Service, State, WorkerBuffers};
use crate::net::transport::Received;

/// Receives per turn while what comes is thrown away.
const DISCARDS_PER_TURN: usize = 16;

/// How a connection ends after its last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseMode {
    /// The client has said that it sends nothing more.
    Plain,
    /// The client may still be sending.
    Linger,
}

impl Connection {
    /// After the last answer has been sent.
    pub(super) fn end(
        &mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        match self.state {
            State::Closing(close_mode) => {
                if !self.socket.send_close_notify()? {
                    let owed = Backlog {
                        since: buffers.catch_up(),
                        taken: 0,
                    };
                    return Ok(self.wait_for_room(0, owed, buffers, service));
                }
                if close_mode == CloseMode::Plain {
                    return Ok(DriveResult::Close(self.end_reason()));
                }
                self.socket.finish_sending()?;
                // What still comes is not looked at, be it right or damaged.
                #[cfg(feature = "_tls")]
                self.socket.become_plain();
                self.state = State::Lingering;
            }
            State::Open | State::Lingering => {}
            #[cfg(feature = "proxy")]
            State::Introduction => {}
            #[cfg(feature = "_tls")]
            State::Handshake | State::Rejected => {}
        }
        let verdict = DriveResult::Park(self.deadlines.for_goodbye(buffers.now));
        for _ in 0..DISCARDS_PER_TURN {
            buffers.input.clear();
            match self.socket.receive(buffers.input.room())? {
                Received::Full | Received::Short => {}
                Received::Nothing => return Ok(verdict),
                Received::End => return Ok(DriveResult::Close(self.end_reason())),
            }
        }
        Ok(DriveResult::Requeue)
    }

    /// Why a connection ends on which nothing is left to send.
    pub(super) fn end_reason(&self) -> CloseReason {
        match self.state {
            #[cfg(feature = "_tls")]
            State::Rejected => CloseReason::HandshakeFailed,
            _ => CloseReason::Answered,
        }
    }

    /// To be called before it is closed. Who has a part of an answer must not take it for the
    /// whole, and an orderly end would say that it is where only that ends the body.
    pub(crate) fn prepare_end(&self) {
        if self.owes()
            && let Err(error) = self.socket.reset_on_close()
        {
            debug!("{self}: can't be reset: {error}");
        }
    }

    /// Says goodbye to a client that has got all that was for it. Without that it can't know.
    #[cfg(feature = "_tls")]
    pub(super) fn part(&mut self, why: CloseReason) {
        if why.is_orderly()
            && let Err(error) = self.socket.send_close_notify()
        {
            debug!("{self}: it does not hear the goodbye: {error}");
        }
    }
}

/// Only over TLS is there something to say.
#[cfg(all(test, feature = "_tls"))]
mod tests;
