//! A stream as its protocol reads and writes it during one call.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use super::{Arrived, Driven, Returned};
use crate::http2::StreamId;
use crate::message::upgrade::DrivenConnection;

/// Content that has arrived, and room for output.
pub(super) struct CallIo {
    now: Instant,
    is_draining: bool,
    arrived: Arrived,
    read: usize,
    room: usize,
    written: Vec<u8>,
    /// The length of the last write, if it found no room.
    unwritten: usize,
}

impl CallIo {
    pub(super) fn new(arrived: Arrived, room: usize, is_draining: bool) -> Self {
        Self {
            now: Instant::now(),
            is_draining,
            arrived,
            read: 0,
            room,
            written: Vec::new(),
            unwritten: 0,
        }
    }

    /// Ends the call.
    pub(super) fn end(self, stream: StreamId, called: Option<Returned>) -> Driven {
        let mut unread = self.arrived.content;
        drop(unread.drain(..self.read));
        Driven {
            stream,
            called,
            unread,
            read: self.read,
            written: self.written,
            unwritten: self.unwritten,
        }
    }
}

impl DrivenConnection for CallIo {
    fn now(&self) -> Instant {
        self.now
    }

    fn is_draining(&self) -> bool {
        self.is_draining
    }
}

impl Read for CallIo {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let unread = &self.arrived.content[self.read..];
        if unread.is_empty() && !self.arrived.is_ended && !buffer.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = unread.len().min(buffer.len());
        buffer[..count].copy_from_slice(&unread[..count]);
        self.read += count;
        Ok(count)
    }
}

impl Write for CallIo {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let left = self.room - self.written.len();
        if left == 0 && !buffer.is_empty() {
            self.unwritten = buffer.len();
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(left);
        self.written.extend_from_slice(&buffer[..count]);
        self.unwritten = 0;
        Ok(count)
    }

    /// Everything that was written is sent without it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
