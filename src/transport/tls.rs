//! TLS on a socket that does not block: rustls knows the protocol, and here bytes go in and out.

use std::fs::File;
use std::io::{self, BufRead as _, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

use rustix::net::RecvFlags;
use rustls::{ServerConfig, ServerConnection};

use super::plain::Plain;
use super::{FileSent, READ, Received, read_part};

/// Calls to receive for one caller: rustls takes 4 KiB with each.
const READS: usize = 16;

/// The most that rustls keeps of a record or of a message of the handshake that is not complete.
const LONGEST_PART: usize = 0xffff;

/// What the first byte of a handshake says (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// One client's TLS.
#[derive(Debug)]
pub(super) struct Session {
    connection: ServerConnection,
    /// Content that is encrypted and that its sender does not know to have gone: what it sends next
    /// begins with it.
    encrypted: usize,
    /// Content that is decrypted and has not been received.
    decrypted: usize,
    /// Bytes that have come since there was content in them.
    coming: usize,
}

/// How far a handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// Both sides have agreed.
    Done,
    /// Not a byte of it is here.
    Silent,
    /// The client is to send.
    WantsRead,
    /// The client is to receive.
    WantsRoom,
    /// The client has gone.
    Left,
    /// What the client sends is no TLS, and is still to be received.
    NotTls,
}

/// The socket, as rustls wants it.
struct Wire<'a> {
    socket: &'a Plain,
    /// No more bytes are there.
    is_empty: bool,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let mut connection = ServerConnection::new(config)?;
        connection.set_buffer_limit(Some(READ));
        Ok(Self {
            connection,
            encrypted: 0,
            decrypted: 0,
            coming: 0,
        })
    }

    pub(super) fn connection(&self) -> &ServerConnection {
        &self.connection
    }

    pub(super) fn shake_hands(&mut self, socket: &Plain) -> io::Result<Handshake> {
        let mut wire = Wire::new(socket);
        if self.coming == 0 {
            match wire.first_byte() {
                Ok(None) => return Ok(Handshake::Left),
                Ok(Some(HANDSHAKE)) => {}
                Ok(Some(_)) => return Ok(Handshake::NotTls),
                Err(error) if is_later(&error) => return Ok(Handshake::Silent),
                Err(error) => return Err(error),
            }
        }
        self.flush(&mut wire)?;
        while self.connection.is_handshaking() {
            if self.connection.wants_write() {
                return Ok(Handshake::WantsRoom);
            }
            // To the end, if it has come: nothing else will tell of it.
            match self.read(&mut wire) {
                Ok(0) => return Ok(Handshake::Left),
                Ok(_) => {}
                Err(error) if is_later(&error) => return Ok(Handshake::WantsRead),
                Err(error) => return Err(error),
            }
        }
        self.coming = 0;
        Ok(Handshake::Done)
    }

    pub(super) fn receive(&mut self, socket: &Plain, buffer: &mut Vec<u8>) -> io::Result<Received> {
        let before = buffer.len();
        let mut wire = Wire::new(socket);
        for _ in 0..READS {
            self.deliver(buffer)?;
            if buffer.len() == buffer.capacity() {
                return Ok(Received::Full);
            }
            let some = buffer.len() > before;
            let emptied = if some {
                Received::Short
            } else {
                Received::Nothing
            };
            if wire.is_empty {
                return Ok(emptied);
            }
            match self.read(&mut wire) {
                // The end is told when all that came before it has been.
                Ok(0) if some => return Ok(Received::Full),
                Ok(0) => return Ok(Received::End),
                Ok(_) => {}
                Err(error) if is_later(&error) => return Ok(emptied),
                Err(error) => return Err(error),
            }
        }
        Ok(Received::Full)
    }

    /// Bytes are told to have gone when they have, and not when they are encrypted. So whoever sends
    /// knows how fast the client takes them, and comes again as long as there is a rest.
    pub(super) fn send(
        &mut self,
        socket: &Plain,
        first: &[u8],
        second: &[u8],
    ) -> io::Result<usize> {
        if self.encrypted == 0 {
            let content = [IoSlice::new(first), IoSlice::new(second)];
            self.encrypted = self.connection.writer().write_vectored(&content)?;
        }
        let sent = self.flush(&mut Wire::new(socket))?;
        let gone = if self.connection.wants_write() {
            // A byte stays with the sender for as long as anything does here.
            sent.min(self.encrypted.saturating_sub(1))
        } else {
            self.encrypted
        };
        self.encrypted -= gone;
        Ok(gone)
    }

    /// What the system could send by itself has to be encrypted first.
    pub(super) fn send_file(
        &mut self,
        socket: &Plain,
        file: &File,
        offset: u64,
        count: usize,
    ) -> io::Result<FileSent> {
        let mut part = Vec::new();
        // What is encrypted already need not be read again.
        if self.encrypted == 0 {
            part = match read_part(file, offset, count) {
                Ok(part) => part,
                Err(sent) => return Ok(sent),
            };
        }
        Ok(match self.send(socket, &part, &[])? {
            0 => FileSent::Nothing,
            count => FileSent::Some(count),
        })
    }

    /// Whether there is content that has not been received.
    pub(super) fn has_unread(&self) -> bool {
        self.decrypted > 0
    }

    /// How much memory is kept here, about.
    pub(super) fn held(&self) -> usize {
        self.encrypted + self.decrypted + self.coming.min(LONGEST_PART)
    }

    /// Says that nothing more comes (RFC 8446 section 6.1) to a client that may have waited for it. If
    /// it takes nothing any more it does not hear of it.
    pub(super) fn say_goodbye(&mut self, socket: &Plain) -> io::Result<()> {
        if self.connection.is_handshaking() {
            return Ok(());
        }
        self.connection.send_close_notify();
        self.flush(&mut Wire::new(socket))?;
        Ok(())
    }

    /// Moves what is decrypted to `buffer`, as far as its capacity goes.
    fn deliver(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        while self.decrypted > 0 && buffer.len() < buffer.capacity() {
            let mut reader = self.connection.reader();
            let content = reader.fill_buf()?;
            let count = content.len().min(buffer.capacity() - buffer.len());
            buffer.extend_from_slice(&content[..count]);
            reader.consume(count);
            self.decrypted -= count;
        }
        Ok(())
    }

    /// Receives and decrypts what came; no byte is the end.
    fn read(&mut self, wire: &mut Wire<'_>) -> io::Result<usize> {
        let count = self.connection.read_tls(wire)?;
        let processed = self.connection.process_new_packets();
        // What answers it: a part of the handshake, or an alert that says what was wrong.
        let flushed = self.flush(wire);
        let state = processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        flushed?;
        self.coming = match state.plaintext_bytes_to_read() {
            content if content > self.decrypted => 0,
            _ => self.coming + count,
        };
        self.decrypted = state.plaintext_bytes_to_read();
        // The end has come, and nothing else will tell of it.
        wire.is_empty &= !state.peer_has_closed();
        Ok(count)
    }

    /// Sends what is encrypted, as far as the client takes it, and returns how many bytes went.
    fn flush(&mut self, wire: &mut Wire<'_>) -> io::Result<usize> {
        let mut sent = 0;
        while self.connection.wants_write() {
            match self.connection.write_tls(wire) {
                Ok(count) => sent += count,
                Err(error) if is_later(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

impl<'a> Wire<'a> {
    fn new(socket: &'a Plain) -> Self {
        Self {
            socket,
            is_empty: false,
        }
    }

    /// The next byte, which is still to be received; `None` at the end.
    fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let count = self.socket.read(&mut byte, RecvFlags::PEEK)?;
        Ok((count > 0).then_some(byte[0]))
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(buffer, RecvFlags::empty())?;
        // At the end there is more to learn: that it is the end.
        self.is_empty = (1..buffer.len()).contains(&count);
        Ok(count)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_later(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}
