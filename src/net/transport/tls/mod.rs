//! TLS on a socket that does not block: rustls knows the protocol, and here bytes go in and out.

mod keys;

use std::fs::File;
use std::io::{self, BufRead as _, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

use rustix::net::RecvFlags;
use rustls::{ServerConfig, ServerConnection};

use self::keys::Keys;
use super::plain::Plain;
use super::{FileSent, MAX_FILE_READ, Received, read_chunk};

/// Calls to receive for one caller: rustls takes 4 KiB with each.
const MAX_READS: usize = 16;

/// The most that rustls keeps of a record or of a message of the handshake that is not complete.
const MAX_PARTIAL: usize = 0xffff;

/// What the first byte of a record says that is a part of a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// The same of a record with content.
const APPLICATION_DATA: u8 = 23;

/// What a record begins with: its type, a version and how much follows.
const HEADER: usize = 5;

/// One client's TLS.
#[derive(Debug)]
pub(crate) struct Session {
    connection: ServerConnection,
    keys: Keys,
    /// Content that is encrypted and that its sender does not know to have gone: what it sends next
    /// begins with it.
    encrypted: usize,
    /// Content that is decrypted and has not been received.
    decrypted: usize,
    /// Bytes that have come of a handshake that is not at its end.
    handshake_bytes: usize,
    records: Records,
    /// Whether the client has said that nothing more comes from it.
    has_received_close_notify: bool,
}

/// Follows where records end among the bytes that come.
#[derive(Debug, Default)]
struct Records {
    header: [u8; HEADER],
    /// Bytes that have come of a record that is not complete.
    filled: usize,
}

/// How far a handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// Both sides have agreed.
    Done,
    /// Not a byte of it is here.
    NotStarted,
    /// The client is to send.
    WantsRead,
    /// The client is to receive.
    WantsWrite,
    /// The client has gone.
    Closed,
    /// What the client sends is no TLS, and is still to be received.
    NotTls,
}

/// What outcome of reading what may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadOutcome {
    /// There may be more.
    More,
    /// There is no more, but perhaps the end.
    Last,
    End,
}

/// The socket, as rustls wants it to receive.
struct RecordReader<'a> {
    socket: &'a Plain,
    records: &'a mut Records,
    is_empty: bool,
}

/// The socket, as rustls wants it to send.
struct RecordWriter<'a>(&'a Plain);

impl Session {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let largest_record = config.max_fragment_size;
        let mut connection = ServerConnection::new(config)?;
        connection.set_buffer_limit(Some(MAX_FILE_READ));
        Ok(Self {
            connection,
            keys: Keys::new(largest_record),
            encrypted: 0,
            decrypted: 0,
            handshake_bytes: 0,
            records: Records::default(),
            has_received_close_notify: false,
        })
    }

    pub(crate) fn connection(&self) -> &ServerConnection {
        &self.connection
    }

    pub(crate) fn handshake(&mut self, socket: &Plain) -> io::Result<Handshake> {
        if self.handshake_bytes == 0 {
            match first_byte(socket) {
                Ok(None) => return Ok(Handshake::Closed),
                Ok(Some(HANDSHAKE)) => {}
                Ok(Some(_)) => return Ok(Handshake::NotTls),
                Err(error) if would_block(&error) => return Ok(Handshake::NotStarted),
                Err(error) => return Err(error),
            }
        }
        self.send_encrypted(socket)?;
        while self.connection.is_handshaking() {
            if self.connection.wants_write() {
                return Ok(Handshake::WantsWrite);
            }
            // To the end, if it has come: nothing else will tell of it.
            match self.read(socket) {
                Ok(ReadOutcome::End) => return Ok(Handshake::Closed),
                Ok(ReadOutcome::More | ReadOutcome::Last) => {}
                Err(error) if would_block(&error) => return Ok(Handshake::WantsRead),
                Err(error) => return Err(error),
            }
        }
        self.handshake_bytes = 0;
        self.keys
            .set_cipher_suite(self.connection.negotiated_cipher_suite());
        Ok(Handshake::Done)
    }

    pub(crate) fn receive(&mut self, socket: &Plain, buffer: &mut Vec<u8>) -> io::Result<Received> {
        let before = buffer.len();
        let mut outcome = ReadOutcome::More;
        for _ in 0..MAX_READS {
            self.move_decrypted(buffer)?;
            if buffer.len() == buffer.capacity() {
                return Ok(Received::Full);
            }
            let has_received = buffer.len() > before;
            // Whoever gets nothing will not ask again, and must not miss the end.
            if has_received && outcome == ReadOutcome::Last {
                return Ok(Received::Short);
            }
            outcome = match self.read(socket) {
                // The end is told when all that outcome before it has been.
                Ok(ReadOutcome::End) if has_received => return Ok(Received::Full),
                Ok(ReadOutcome::End) => return Ok(Received::End),
                Ok(outcome) => outcome,
                Err(error) if would_block(&error) && has_received => return Ok(Received::Short),
                Err(error) if would_block(&error) => return Ok(Received::WouldBlock),
                Err(error) => return Err(error),
            }
        }
        Ok(Received::Full)
    }

    /// Bytes are told to have gone when they have, and not when they are encrypted. So whoever sends
    /// knows how fast the client takes them, and comes again as long as there is a rest.
    pub(crate) fn send(
        &mut self,
        socket: &Plain,
        first: &[u8],
        second: &[u8],
    ) -> io::Result<usize> {
        debug_assert!(
            self.encrypted <= first.len() + second.len(),
            "what did not go comes again"
        );
        self.send_content(socket, first, second)
    }

    fn send_content(&mut self, socket: &Plain, first: &[u8], second: &[u8]) -> io::Result<usize> {
        if self.encrypted == 0 {
            self.encrypted = self.encrypt(&[IoSlice::new(first), IoSlice::new(second)])?;
        }
        let sent = self.send_encrypted(socket)?;
        let acknowledged = if self.connection.wants_write() {
            // A byte stays with the sender for as long as anything does here.
            sent.min(self.encrypted.saturating_sub(1))
        } else {
            self.encrypted
        };
        self.encrypted -= acknowledged;
        Ok(acknowledged)
    }

    /// What is encrypted is taken, and goes sooner or later: whoever gives it need not come again with
    /// the same.
    pub(crate) fn write(&mut self, socket: &Plain, bytes: &[u8]) -> io::Result<usize> {
        if !self.flush(socket)? {
            return Ok(0);
        }
        let taken = self.encrypt(&[IoSlice::new(bytes)])?;
        self.send_encrypted(socket)?;
        Ok(taken)
    }

    /// Encrypts from the start of all slices, and returns how much.
    fn encrypt(&mut self, content: &[IoSlice<'_>]) -> io::Result<usize> {
        let count: usize = content.iter().map(|slice| slice.len()).sum();
        self.keys.take(count.min(MAX_FILE_READ))?;
        self.connection.writer().write_vectored(content)
    }

    /// Sends what is encrypted. Whether all of it has gone.
    pub(crate) fn flush(&mut self, socket: &Plain) -> io::Result<bool> {
        self.send_encrypted(socket)?;
        Ok(!self.connection.wants_write())
    }

    /// What the system could send by itself has to be encrypted first.
    pub(crate) fn send_file(
        &mut self,
        socket: &Plain,
        file: &File,
        offset: u64,
        count: usize,
    ) -> io::Result<FileSent> {
        let mut chunk = Vec::new();
        // What is encrypted already need not be read again.
        if self.encrypted == 0 {
            chunk = match read_chunk(file, offset, count) {
                Ok(chunk) => chunk,
                Err(sent) => return Ok(sent),
            };
        }
        Ok(match self.send_content(socket, &chunk, &[])? {
            0 => FileSent::WouldBlock,
            count => FileSent::Some(count),
        })
    }

    /// Whether there is content that has not been received.
    pub(crate) fn has_unread(&self) -> bool {
        self.decrypted > 0
    }

    /// Whether a part of a record is here that may bring content.
    pub(crate) fn has_partial_record(&self) -> bool {
        self.records.kind() == Some(APPLICATION_DATA)
    }

    /// Whether the next answer should be the last, because the keys do not last for many more.
    pub(crate) fn keys_near_limit(&self) -> bool {
        self.keys.are_near_limit()
    }

    /// How much memory is kept here, about.
    pub(crate) fn held(&self) -> usize {
        let partial = self
            .handshake_bytes
            .min(MAX_PARTIAL)
            .max(self.records.filled);
        self.encrypted + self.decrypted + partial
    }

    /// Says that nothing more comes (RFC 8446 section 6.1) to a client that may have waited for it.
    /// Whether that has gone. It fails if something is missing before.
    pub(crate) fn send_close_notify(&mut self, socket: &Plain) -> io::Result<bool> {
        if self.connection.is_handshaking() {
            return Ok(true);
        }
        self.keys.check()?;
        self.connection.send_close_notify();
        self.flush(socket)
    }

    /// Whether the client has said so.
    pub(crate) fn has_received_close_notify(&self) -> bool {
        self.has_received_close_notify
    }

    /// Moves what is decrypted to `buffer`, as far as its capacity goes.
    fn move_decrypted(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
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

    /// Receives and decrypts what outcome.
    fn read(&mut self, socket: &Plain) -> io::Result<ReadOutcome> {
        let mut source = RecordReader {
            socket,
            records: &mut self.records,
            is_empty: false,
        };
        let count = self.connection.read_tls(&mut source)?;
        let is_empty = source.is_empty;
        let processed = self.connection.process_new_packets();
        // What answers it: a part of the handshake, or an alert that says what was wrong.
        let flushed = self.send_encrypted(socket);
        let state = processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        flushed?;
        if self.connection.is_handshaking() {
            self.handshake_bytes += count;
        }
        self.decrypted = state.plaintext_bytes_to_read();
        self.has_received_close_notify = state.peer_has_closed();
        Ok(match count {
            0 => ReadOutcome::End,
            // The end has come, and nothing else will tell of it.
            _ if is_empty && !state.peer_has_closed() => ReadOutcome::Last,
            _ => ReadOutcome::More,
        })
    }

    /// Sends what is encrypted, as far as the client takes it, and returns how many bytes went.
    fn send_encrypted(&mut self, socket: &Plain) -> io::Result<usize> {
        let mut sent = 0;
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut RecordWriter(socket)) {
                Ok(count) => sent += count,
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

impl Records {
    /// What the record is that is not complete.
    fn kind(&self) -> Option<u8> {
        (self.filled > 0).then_some(self.header[0])
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = bytes.len().min(self.end() - self.filled);
            if let Some(header) = self.header.get_mut(self.filled..) {
                for (to, from) in header.iter_mut().zip(&bytes[..count]) {
                    *to = *from;
                }
            }
            self.filled += count;
            bytes = &bytes[count..];
            if self.filled >= HEADER && self.filled == self.end() {
                self.filled = 0;
            }
        }
    }

    /// Where the header ends, or the record once that is known.
    fn end(&self) -> usize {
        let [_, _, _, length @ ..] = self.header;
        match self.filled {
            HEADER.. => HEADER + usize::from(u16::from_be_bytes(length)),
            _ => HEADER,
        }
    }
}

impl Read for RecordReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let had_partial = self.records.filled > 0;
        let count = self.socket.read(buffer, RecvFlags::empty())?;
        self.records.feed(&buffer[..count]);
        // With the look that finds nothing rustls gives back the room for a record in parts.
        self.is_empty = count < buffer.len() && !had_partial;
        Ok(count)
    }
}

impl Write for RecordWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self(socket) = self;
        socket.write(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The next byte, which is still to be received; `None` at the end.
fn first_byte(socket: &Plain) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let count = socket.read(&mut byte, RecvFlags::PEEK)?;
    Ok((count > 0).then_some(byte[0]))
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}
