//! The end of HTTP on a connection, and the beginning of another protocol.

use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
#[cfg(feature = "_tls")]
use std::thread;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, UPGRADE};
use http::{StatusCode, Version};
use log::error;

use super::Phase;
use super::blocking;
use super::blocking::BlockingError;
use super::phase::PhaseCell;
use super::transaction::Transaction;
use super::{Connection, Service, WorkerBuffers};
use crate::http1::Input;
use crate::message::headers::list::lists;
use crate::message::upgrade::UpgradedConnection;
use crate::message::{Problem, Response, Stream};
use crate::net::transport::{Received, Socket};

/// Room for one receive.
const ROOM: usize = 8 * 1024;

/// The connection on which another protocol is spoken, as a [`Stream`] uses it.
pub(super) struct Upgraded {
    socket: Socket,
    input: Input,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    phase: Arc<PhaseCell>,
    /// What counts the connection.
    _berth: Box<dyn Send + Sync>,
}

impl UpgradedConnection for Upgraded {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    fn is_draining(&self) -> bool {
        self.phase.get() > Phase::Running
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.complete(Socket::send_close_notify)?;
        self.socket.finish_sending()
    }
}

impl Upgraded {
    fn complete(
        &mut self,
        step: impl Fn(&mut Socket) -> io::Result<bool>,
    ) -> Result<(), BlockingError> {
        let until = moment(self.write_timeout);
        let may = || Self::may_wait(&self.phase);
        blocking::complete(&mut self.socket, until, may, step)
    }

    fn may_wait(phase: &PhaseCell) -> bool {
        phase.get() < Phase::Forced
    }
}

impl Read for Upgraded {
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

impl Write for Upgraded {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let until = moment(self.write_timeout);
        let may = || Self::may_wait(&self.phase);
        let taken = blocking::send(&mut self.socket, buffer, until, may)?;
        match blocking::complete(&mut self.socket, until, may, Socket::send_rest) {
            Ok(()) | Err(BlockingError::Late) => Ok(taken),
            Err(vain) => Err(vain.into()),
        }
    }

    /// Sends what a write has taken and not sent in its time.
    fn flush(&mut self) -> io::Result<()> {
        Ok(self.complete(Socket::send_rest)?)
    }
}

/// Under TLS the client is told that this is the end, unless it is none.
#[cfg(feature = "_tls")]
impl Drop for Upgraded {
    fn drop(&mut self) {
        if Self::may_wait(&self.phase)
            && !thread::panicking()
            && self.socket.send_rest().is_ok_and(|is_all| is_all)
        {
            // It may be gone.
            let _ = self.socket.send_close_notify();
        }
    }
}

impl From<BlockingError> for io::Error {
    fn from(vain: BlockingError) -> Self {
        match vain {
            BlockingError::Late => ErrorKind::WouldBlock.into(),
            BlockingError::Stopped => Self::new(
                ErrorKind::ConnectionAborted,
                "the server was forced to stop",
            ),
            BlockingError::Failed(error) => error,
        }
    }
}

impl Connection {
    /// Speaks the other protocol, once an answer has said so and has left. `berth` counts the
    /// connection from now on.
    pub(crate) fn run_upgrade(&mut self, berth: impl Send + Sync + 'static, service: &Service) {
        let Some(upgrade) = self
            .unsent
            .take()
            .and_then(|write_queue| write_queue.into_upgrade())
        else {
            return;
        };
        let mut input = Input::with_capacity(ROOM.max(self.carried.len()));
        input.extend(&std::mem::take(&mut self.carried));
        let stream = Stream::new(Upgraded {
            socket: self.socket.lend(),
            input,
            read_timeout: Some(service.config.idle_timeout),
            write_timeout: Some(service.config.write_timeout),
            phase: Arc::clone(&service.phase),
            _berth: Box::new(berth),
        });
        if catch_unwind(AssertUnwindSafe(|| upgrade.serve(stream))).is_err() {
            error!("{self}: what it was upgraded to panicked");
        }
    }
}

impl Transaction {
    /// Sees to an answer with an interim status, which is none unless another protocol follows that
    /// was asked for.
    #[cold]
    pub(super) fn settle(
        &self,
        response: &mut Response,
        buffers: &WorkerBuffers,
        service: &Service,
    ) {
        let Some(protocol) = response.body().protocol().cloned() else {
            let request = self.name(buffers);
            error!("the handler answered {request} with an interim status; a 500 is sent");
            return;
        };
        let fields = buffers.slot.fields();
        // What answers HEAD has no content, and a protocol would begin in its place.
        let is_wanted = buffers.slot.context.version == Version::HTTP_11
            && !buffers.slot.context.is_head
            && lists(&fields, &CONNECTION, "upgrade")
            && (protocol.to_str()).is_ok_and(|protocol| lists(&fields, &UPGRADE, protocol));
        if !is_wanted {
            let problem = Problem::new(StatusCode::UPGRADE_REQUIRED)
                .detail("there is nothing here but what Upgrade names");
            *response = self.respond(&problem, buffers, service);
            response.headers_mut().insert(UPGRADE, protocol);
        }
    }

    /// Takes an upgrade back that must not happen: the request's body has not been read to its end.
    pub(super) fn withdraw(
        &self,
        response: &mut Response,
        buffers: &WorkerBuffers,
        service: &Service,
    ) {
        if response.body().protocol().is_some() {
            let request = self.name(buffers);
            error!("the handler upgraded {request} before the end of its body; a 500 is sent");
            let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR);
            *response = self.respond(&problem, buffers, service);
        }
    }
}

fn moment(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?)
}
