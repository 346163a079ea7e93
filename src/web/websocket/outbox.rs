//! Frames on their way to the client.

use std::io::{self, ErrorKind, Read, Write};

use bytes::{Buf, Bytes};

use crate::message::DrivenStream;

/// Contents up to this size are copied behind their headers, so that small messages leave together.
/// Of larger ones, the rest is sent from its own memory, which other clients may share.
const COPIED: usize = 4 * 1024;

/// Frames are collected up to this many bytes before they are sent.
const GATHERED: usize = 16 * 1024;

/// Bytes of memory that an empty outbox keeps.
const KEPT: usize = 512;

/// The largest length that a header has in its second byte.
const MAX_SHORT: usize = 125;

/// The kind of a frame, as the first byte of an unfragmented one (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text = 0x81,
    Binary = 0x82,
    Ping = 0x89,
}

/// Frames that the client has not taken yet.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// The rest of the last frame's content.
    content: Bytes,
}

impl Outbox {
    /// Whether everything is sent.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == self.sent && self.content.is_empty()
    }

    /// Whether another frame can be added.
    pub(super) fn has_room(&self) -> bool {
        self.content.is_empty() && self.bytes.len() < GATHERED
    }

    /// Adds a frame. There must be [room](Self::has_room).
    pub(super) fn push(&mut self, kind: Kind, mut content: Bytes) {
        debug_assert!(self.has_room(), "nothing follows a large content");
        self.bytes.push(kind as u8);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "each arm has the lengths that fit"
        )]
        match content.len() {
            length @ 0..=MAX_SHORT => self.bytes.push(length as u8),
            length @ ..=0xffff => {
                self.bytes.push(126);
                self.bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                self.bytes.push(127);
                self.bytes.extend((length as u64).to_be_bytes());
            }
        }
        let copied = content.len().min(COPIED);
        self.bytes.extend_from_slice(&content[..copied]);
        content.advance(copied);
        self.content = content;
    }

    /// Sends what the client takes. Returns whether everything is sent.
    pub(super) fn flush(&mut self, stream: &mut DrivenStream<'_>) -> io::Result<bool> {
        while !self.is_empty() {
            let (first, second) = (&self.bytes[self.sent..], &self.content);
            let next = if first.is_empty() { second } else { first };
            match stream.write(next) {
                Ok(count) if self.sent < self.bytes.len() => self.sent += count,
                Ok(count) => self.content.advance(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        self.content = Bytes::new();
        match self.bytes.capacity() {
            0..=KEPT => self.bytes.clear(),
            _ => self.bytes = Vec::new(),
        }
        Ok(true)
    }
}

/// The connection as tungstenite sees it: it reads from the client, and what it writes goes into the
/// outbox, so that its frames come between others and not into them.
pub(super) struct Duplex<'a, 'b> {
    pub(super) stream: &'a mut DrivenStream<'b>,
    pub(super) outbox: &'a mut Outbox,
    /// How many bytes the client has sent.
    pub(super) received: usize,
}

impl Read for Duplex<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.received += count;
        Ok(count)
    }
}

/// Only control frames are written here. A client that sends many pings and takes no pongs is not read
/// any more once they do not fit.
impl Write for Duplex<'_, '_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self.outbox.has_room() {
            true => {
                self.outbox.bytes.extend_from_slice(buffer);
                Ok(buffer.len())
            }
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::message::upgrade::DrivenConnection;

    /// A client that takes so many bytes.
    struct Client {
        taken: Vec<u8>,
        room: usize,
    }

    impl Read for Client {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    impl Write for Client {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.room);
            if count == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(&buffer[..count]);
            self.room -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl DrivenConnection for Client {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn is_draining(&self) -> bool {
            false
        }
    }

    #[test]
    fn frames_arrive_whatever_the_client_takes_at_a_time() {
        for length in [0, 125, 126, COPIED, COPIED + 1, 0xffff, 0x1_0000] {
            let content = Bytes::from(vec![b'x'; length]);
            let header = match length {
                0..=125 => vec![0x82, length as u8],
                126..=0xffff => [&[0x82, 126][..], &(length as u16).to_be_bytes()].concat(),
                _ => [&[0x82, 127][..], &(length as u64).to_be_bytes()].concat(),
            };
            for step in [1, 7, 4096, usize::MAX] {
                let mut outbox = Outbox::default();
                outbox.push(Kind::Ping, Bytes::new());
                outbox.push(Kind::Binary, content.clone());
                let (taken, room) = (Vec::new(), 0);
                let mut client = Client { taken, room };
                let is_sent = |client: &mut Client, outbox: &mut Outbox| {
                    let sent = outbox.flush(&mut DrivenStream::new(client));
                    sent.expect("the client is there")
                };
                while !is_sent(&mut client, &mut outbox) {
                    client.room = step;
                }
                assert!(outbox.is_empty());
                assert!(outbox.bytes.capacity() <= KEPT);
                assert!(client.taken == [&[0x89, 0][..], &header, &content].concat());
            }
        }
    }
}
