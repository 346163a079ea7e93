//! The end of HTTP on a connection, and the beginning of another protocol.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::thread;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, UPGRADE};
use http::{StatusCode, Version};
use log::error;

use super::account::Account;
use super::blocking::{self, Vain};
use super::{Connection, Desk, Service};
use crate::http1::{Input, lists};
use crate::phase::{Phase, PhaseCell};
use crate::transport::{Received, Socket};
use crate::{Problem, Response};

/// Room for one receive.
const ROOM: usize = 8 * 1024;

/// A connection that speaks another protocol than HTTP, as an [`Upgrade`](crate::Upgrade) hands it
/// over: bytes from the client and to him, plain or under TLS, as they come.
///
/// Reads and writes block, with a time limit each. One that has passed is an error of the kind
/// [`WouldBlock`](ErrorKind::WouldBlock), as with sockets of the standard library, and nothing is
/// lost by it. What the client sent behind its request is read first.
///
/// Under TLS a write whose time is over may have taken bytes of which some have not gone. They go with
/// the next write, or with [`flush`](Write::flush). And an end that the client has not announced
/// (`close_notify`) may be somebody else's doing: reading fails there as
/// [`UnexpectedEof`](ErrorKind::UnexpectedEof). Over TLS 1.2 writing fails when the keys are used up,
/// which with AES-GCM they are after 2^24 records; a write is one at least. TLS 1.3 renews them.
///
/// The server counts the connection until this is dropped, and a drain waits for that:
/// [`is_draining`](Self::is_draining) tells. At the drain's deadline reads and writes fail as
/// [`ConnectionAborted`](ErrorKind::ConnectionAborted), and the connection counts as cut. To drop
/// this closes it; if the client may still be sending, [`finish`](Self::finish) and read to the end
/// before, or a reset may destroy what is on its way to him.
///
/// ```
/// use std::io::{self, ErrorKind, Read, Write};
/// use std::time::Duration;
///
/// use httpool::Stream;
///
/// /// Gives back what comes, until the client has no more or the server stops.
/// fn echo(mut stream: Stream) -> io::Result<()> {
///     stream.set_read_timeout(Some(Duration::from_millis(500)));
///     let mut buffer = [0; 4096];
///     while !stream.is_draining() {
///         match stream.read(&mut buffer) {
///             Ok(0) => break,
///             Ok(count) => stream.write_all(&buffer[..count])?,
///             // Nothing has come for a while: does the server stop?
///             Err(error) if error.kind() == ErrorKind::WouldBlock => {}
///             Err(error) => return Err(error),
///         }
///     }
///     stream.finish()
/// }
/// ```
pub struct Stream {
    socket: Socket,
    input: Input,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    phase: Arc<PhaseCell>,
    /// What counts the connection.
    _berth: Box<dyn Send + Sync>,
}

impl Stream {
    /// Longest wait for the client to send something; `None` is for ever, and a time of zero takes
    /// what is there. At first this is the server's [`Builder::idle_timeout`](crate::Builder::idle_timeout).
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// Longest wait for the client to take something; `None` is for ever. At first this is the
    /// server's [`Builder::write_timeout`](crate::Builder::write_timeout).
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    /// Whether the server is stopping: who says goodbye now is not cut.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.phase.get() > Phase::Running
    }

    /// Tells the client that nothing more is sent; what he sends can be read on.
    ///
    /// # Errors
    ///
    /// If the connection has ended already, or under TLS if the client does not take in time what
    /// there is to send.
    pub fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.complete(Socket::say_goodbye)?;
        self.socket.finish_sending()
    }

    fn complete(&mut self, step: impl Fn(&mut Socket) -> io::Result<bool>) -> Result<(), Vain> {
        let until = moment(self.write_timeout);
        let may = || Self::may_wait(&self.phase);
        blocking::complete(&mut self.socket, until, may, step)
    }

    fn may_wait(phase: &PhaseCell) -> bool {
        phase.get() < Phase::Forced
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let until = moment(self.read_timeout);
        // Under TLS something may come that brings nothing to read.
        while self.input.is_empty() {
            let may = || Self::may_wait(&self.phase);
            match blocking::receive(&mut self.socket, self.input.room(), until, may)? {
                Received::End if self.socket.is_cut_off() => {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                Received::End => return Ok(0),
                Received::Full | Received::Short | Received::Nothing => {}
            }
        }
        let received = self.input.unread();
        let count = received.len().min(buffer.len());
        buffer[..count].copy_from_slice(&received[..count]);
        self.input.consume(count);
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let until = moment(self.write_timeout);
        let may = || Self::may_wait(&self.phase);
        let taken = blocking::send(&mut self.socket, buffer, until, may)?;
        match blocking::complete(&mut self.socket, until, may, Socket::send_rest) {
            Ok(()) | Err(Vain::Late) => Ok(taken),
            Err(vain) => Err(vain.into()),
        }
    }

    /// Sends what a write has taken and not sent in its time.
    fn flush(&mut self) -> io::Result<()> {
        Ok(self.complete(Socket::send_rest)?)
    }
}

/// Under TLS the client is told that this is the end, unless it is none.
#[cfg(feature = "tls")]
impl Drop for Stream {
    fn drop(&mut self) {
        if Self::may_wait(&self.phase)
            && !thread::panicking()
            && self.socket.send_rest().is_ok_and(|is_all| is_all)
        {
            // It may be gone.
            let _ = self.socket.say_goodbye();
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("read_timeout", &self.read_timeout)
            .field("write_timeout", &self.write_timeout)
            .finish_non_exhaustive()
    }
}

impl From<Vain> for io::Error {
    fn from(vain: Vain) -> Self {
        match vain {
            Vain::Late => ErrorKind::WouldBlock.into(),
            Vain::Stopped => Self::new(
                ErrorKind::ConnectionAborted,
                "the server was forced to stop",
            ),
            Vain::Failed(error) => error,
        }
    }
}

impl Connection {
    /// Speaks the other protocol, once an answer has said so and has left. `berth` counts the
    /// connection from now on.
    pub(crate) fn go_on_otherwise(&mut self, berth: impl Send + Sync + 'static, service: &Service) {
        let Some(upgrade) = self.unsent.take().and_then(|outbox| outbox.into_upgrade()) else {
            return;
        };
        let mut input = Input::with_capacity(ROOM.max(self.carried.len()));
        input.extend(&std::mem::take(&mut self.carried));
        let stream = Stream {
            socket: self.socket.lend(),
            input,
            read_timeout: Some(service.config.idle_timeout),
            write_timeout: Some(service.config.write_timeout),
            phase: Arc::clone(&service.phase),
            _berth: Box::new(berth),
        };
        if catch_unwind(AssertUnwindSafe(|| upgrade.serve(stream))).is_err() {
            error!("{self}: what it was upgraded to panicked");
        }
    }
}

impl Account {
    /// Sees to an answer with an interim status, which is none unless another protocol follows that
    /// was asked for.
    #[cold]
    pub(super) fn settle(&self, response: &mut Response, desk: &Desk, service: &Service) {
        let Some(protocol) = response.body().protocol().cloned() else {
            let request = self.name(desk);
            error!("the handler answered {request} with an interim status; a 500 is sent");
            return;
        };
        let fields = desk.slot.fields();
        // What answers HEAD has no content, and a protocol would begin in its place.
        let is_wanted = desk.slot.terms.version == Version::HTTP_11
            && !desk.slot.terms.is_head
            && lists(&fields, &CONNECTION, "upgrade")
            && (protocol.to_str()).is_ok_and(|protocol| lists(&fields, &UPGRADE, protocol));
        if !is_wanted {
            let problem = Problem::new(StatusCode::UPGRADE_REQUIRED)
                .detail("there is nothing here but what Upgrade names");
            *response = self.respond(&problem, desk, service);
            response.headers_mut().insert(UPGRADE, protocol);
        }
    }

    /// Takes an upgrade back that must not happen: the request's body has not been read to its end.
    pub(super) fn withdraw(&self, response: &mut Response, desk: &Desk, service: &Service) {
        if response.body().protocol().is_some() {
            let request = self.name(desk);
            error!("the handler upgraded {request} before the end of its body; a 500 is sent");
            let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR);
            *response = self.respond(&problem, desk, service);
        }
    }
}

fn moment(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?)
}
