//! A connection that continues in another protocol.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
#[cfg(feature = "_tls")]
use std::thread;
use std::time::{Duration, Instant};

use log::error;

use super::Phase;
use super::blocking;
use super::blocking::BlockingError;
use super::phase::PhaseCell;
use super::{Connection, Service};
use crate::http1::Input;
use crate::message::upgrade::{UpgradeKind, UpgradedConnection};
use crate::message::{Stream, Upgrade};
use crate::net::transport::{Received, Socket};

/// Room for one receive.
const ROOM: usize = 8 * 1024;

/// The connection of a [`Stream`], after the upgrade.
pub(super) struct Upgraded {
    socket: Socket,
    input: Input,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    phase: Arc<PhaseCell>,
    /// Counts the connection as upgraded until it is dropped.
    _guard: Box<dyn Send + Sync>,
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
        self.socket.shutdown_write()
    }
}

impl Upgraded {
    fn complete(
        &mut self,
        step: impl Fn(&mut Socket) -> io::Result<bool>,
    ) -> Result<(), BlockingError> {
        let deadline = deadline(self.write_timeout);
        let may = || Self::may_wait(&self.phase);
        blocking::complete(&mut self.socket, deadline, may, step)
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
        let deadline = deadline(self.read_timeout);
        // A TLS record may bring nothing to read.
        while self.input.is_empty() {
            let may = || Self::may_wait(&self.phase);
            match blocking::receive(&mut self.socket, self.input.room(), deadline, may)? {
                Received::End if self.socket.is_truncated() => {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                Received::End => return Ok(0),
                Received::Full | Received::Short | Received::WouldBlock => {}
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
        let deadline = deadline(self.write_timeout);
        let may = || Self::may_wait(&self.phase);
        let taken = blocking::send(&mut self.socket, buffer, deadline, may)?;
        match blocking::complete(&mut self.socket, deadline, may, Socket::flush) {
            Ok(()) | Err(BlockingError::Late) => Ok(taken),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends the rest that an earlier write could not send before its timeout.
    fn flush(&mut self) -> io::Result<()> {
        Ok(self.complete(Socket::flush)?)
    }
}

/// Sends `close_notify`, unless the stream ends by a panic or an abort.
#[cfg(feature = "_tls")]
impl Drop for Upgraded {
    fn drop(&mut self) {
        if Self::may_wait(&self.phase)
            && !thread::panicking()
            && self.socket.flush().is_ok_and(|is_all| is_all)
        {
            // The client may have gone.
            let _ = self.socket.send_close_notify();
        }
    }
}

impl From<BlockingError> for io::Error {
    fn from(error: BlockingError) -> Self {
        match error {
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
    /// Runs the protocol of an upgrade whose response has been sent. The connection keeps `guard` for
    /// that time.
    pub(crate) fn run_upgrade(&mut self, guard: impl Send + Sync + 'static, service: &Service) {
        let io = &mut self.io;
        let unsent = io.unsent.take();
        let upgrade = unsent.and_then(|queue| queue.into_upgrade());
        let Some(UpgradeKind::Blocking(serve)) = upgrade.map(Upgrade::into_kind) else {
            return;
        };
        let mut input = Input::with_capacity(ROOM.max(io.carried.len()));
        input.extend(&mem::take(&mut io.carried));
        let stream = Stream::new(Upgraded {
            socket: io.socket.take(),
            input,
            read_timeout: Some(service.config.idle_timeout),
            write_timeout: Some(service.config.write_timeout),
            phase: Arc::clone(&service.phase),
            _guard: Box::new(guard),
        });
        if catch_unwind(AssertUnwindSafe(|| serve(stream))).is_err() {
            error!("{self}: the upgraded protocol's function panicked");
        }
    }
}

fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?)
}
