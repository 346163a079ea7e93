//! How a connection ends when its last answer has been made.

use std::io;

use log::debug;

use super::outbox::Owed;
use super::{Connection, Desk, Service, Stage, Verdict, Why};
use crate::transport::Received;

/// Receives per turn while what comes is thrown away.
const DISCARDS_PER_TURN: usize = 16;

/// How a connection ends after its last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// The client has said that it sends nothing more.
    Plain,
    /// The client may still be sending.
    Linger,
}

impl Connection {
    /// After the last answer has been sent.
    pub(super) fn end(&mut self, desk: &mut Desk, service: &Service) -> io::Result<Verdict> {
        match self.stage {
            Stage::Closing(farewell) => {
                if !self.socket.say_goodbye()? {
                    let owed = Owed {
                        since: desk.catch_up(),
                        taken: 0,
                    };
                    return Ok(self.wait_for_room(0, owed, desk, service));
                }
                if farewell == Farewell::Plain {
                    return Ok(Verdict::Close(self.end_reason()));
                }
                self.socket.finish_sending()?;
                // What still comes is not looked at, be it right or damaged.
                #[cfg(feature = "tls")]
                self.socket.become_plain();
                self.stage = Stage::Lingering;
            }
            Stage::Open | Stage::Lingering => {}
            #[cfg(feature = "proxy")]
            Stage::Introduction => {}
            #[cfg(feature = "tls")]
            Stage::Handshake | Stage::Rejected => {}
        }
        let verdict = Verdict::Park(self.patience.for_goodbye(desk.now));
        for _ in 0..DISCARDS_PER_TURN {
            desk.input.clear();
            match self.socket.receive(desk.input.room())? {
                Received::Full | Received::Short => {}
                Received::Nothing => return Ok(verdict),
                Received::End => return Ok(Verdict::Close(self.end_reason())),
            }
        }
        Ok(Verdict::Requeue)
    }

    /// Why a connection ends on which nothing is left to send.
    pub(super) fn end_reason(&self) -> Why {
        match self.stage {
            #[cfg(feature = "tls")]
            Stage::Rejected => Why::NotAgreed,
            _ => Why::Answered,
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
    #[cfg(feature = "tls")]
    pub(super) fn part(&mut self, why: &Why) {
        if why.is_orderly()
            && let Err(error) = self.socket.say_goodbye()
        {
            debug!("{self}: it does not hear the goodbye: {error}");
        }
    }
}

/// Only over TLS is there something to say.
#[cfg(all(test, feature = "tls"))]
mod tests;
