//! The connection as a driven protocol reads and writes it.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use crate::connection::connection_io::ConnectionIo;
use crate::connection::{Phase, WorkerBuffers};
use crate::message::upgrade::DrivenConnection;
use crate::net::transport::Received;

/// Receives in one call of the protocol, before other connections have their turn.
const RECEIVES: u32 = 32;

/// Bytes sent in one call of the protocol, before other connections have their turn.
const SENT: usize = 1024 * 1024;

/// Bytes that TLS accepts at a time: one record. A write makes progress when these bytes have left, so
/// more of them would make a slow client look as if it took nothing.
const ACCEPTED: usize = 16 * 1024;

/// The socket and the buffers during one call of the protocol.
pub(super) struct DrivenIo<'a> {
    io: &'a mut ConnectionIo,
    buffers: &'a mut WorkerBuffers,
    phase: Phase,
    receives: u32,
    sent: usize,
    /// Whether the protocol was stopped to let other connections have their turn.
    pub(super) is_limited: bool,
    /// Whether the protocol has tried to write.
    pub(super) was_tried: bool,
    /// Since when the client has taken nothing.
    pub(super) stalled: Option<Instant>,
}

impl<'a> DrivenIo<'a> {
    pub(super) fn new(
        io: &'a mut ConnectionIo,
        buffers: &'a mut WorkerBuffers,
        phase: Phase,
        stalled: Option<Instant>,
    ) -> Self {
        Self {
            io,
            buffers,
            phase,
            receives: 0,
            sent: 0,
            is_limited: false,
            was_tried: false,
            stalled,
        }
    }

    /// Ends the reads or writes of this call.
    fn limit(&mut self) -> io::Error {
        self.is_limited = true;
        ErrorKind::WouldBlock.into()
    }

    fn stall(&mut self) -> io::Error {
        let now = self.buffers.catch_up();
        self.stalled.get_or_insert(now);
        ErrorKind::WouldBlock.into()
    }
}

impl DrivenConnection for DrivenIo<'_> {
    fn now(&self) -> Instant {
        self.buffers.now
    }

    fn is_draining(&self) -> bool {
        self.phase > Phase::Running
    }
}

impl Read for DrivenIo<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // A TLS record may bring nothing to read.
        while self.buffers.io.input.is_empty() {
            if self.receives == RECEIVES {
                return Err(self.limit());
            }
            self.receives += 1;
            match self.io.receive(self.buffers.io.input.room())? {
                Received::Full | Received::Short => {}
                Received::WouldBlock => return Err(ErrorKind::WouldBlock.into()),
                Received::End if self.io.socket.is_truncated() => {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                Received::End => return Ok(0),
            }
        }
        let received = self.buffers.io.input.unread();
        let count = received.len().min(buffer.len());
        buffer[..count].copy_from_slice(&received[..count]);
        self.buffers.io.input.consume(count);
        Ok(count)
    }
}

impl Write for DrivenIo<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.was_tried = true;
        if self.sent >= SENT {
            return Err(self.limit());
        }
        let most = match self.io.socket.is_encrypted() {
            true => ACCEPTED,
            false => SENT,
        };
        match self.io.socket.write(&buffer[..buffer.len().min(most)])? {
            0 => Err(self.stall()),
            count => {
                self.stalled = None;
                self.sent += count;
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.io.socket.flush()? {
            true => Ok(()),
            false => Err(self.stall()),
        }
    }
}
