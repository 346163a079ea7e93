//! TLS on a non-blocking socket: moves bytes between the socket and rustls.

mod keys;

use std::fs::File;
use std::io::{self, BufRead as _, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

use rustix::net::RecvFlags;
use rustls::{ServerConfig, ServerConnection};

use self::keys::Keys;
use super::plain::Plain;
use super::{FileSent, MAX_FILE_READ, Received, Socket, read_chunk};
#[cfg(feature = "http2")]
use crate::net::Alpn;

/// Maximum calls to receive for one caller. rustls reads 4 KiB per call.
const MAX_READS: usize = 16;

/// Maximum that rustls keeps of an incomplete record or handshake message.
const MAX_PARTIAL: usize = 0xffff;

/// The record type of a handshake (RFC 8446 section 5.1), which is the first byte of a record.
const HANDSHAKE: u8 = 22;

/// The record type of application data.
const APPLICATION_DATA: u8 = 23;

/// Size of a record header: type, version and length.
const HEADER: usize = 5;

/// The TLS session of one client.
#[derive(Debug)]
pub(crate) struct Session {
    connection: ServerConnection,
    keys: Keys,
    /// Encrypted content that the caller does not know to be sent. The next call begins with this
    /// content again.
    encrypted: usize,
    /// Decrypted content that was not received.
    decrypted: usize,
    /// Bytes received of an incomplete handshake.
    handshake_bytes: usize,
    records: Records,
    /// Whether the client has sent `close_notify`.
    has_received_close_notify: bool,
}

/// Finds the ends of records in the received bytes.
#[derive(Debug, Default)]
struct Records {
    header: [u8; HEADER],
    /// Bytes received of an incomplete record.
    filled: usize,
}

/// The state of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// The handshake is complete.
    Done,
    /// No byte of it has arrived.
    NotStarted,
    /// The client has to send.
    WantsRead,
    /// The client has to receive.
    WantsWrite,
    /// The client has closed the connection.
    Closed,
    /// The received bytes are not TLS. They are still in the socket.
    NotTls,
}

/// The result of reading from the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadOutcome {
    /// More bytes may be available.
    More,
    /// No more bytes are available, except possibly the end.
    Last,
    End,
}

/// The socket as rustls reads from it.
struct RecordReader<'a> {
    socket: &'a Plain,
    records: &'a mut Records,
    is_empty: bool,
}

/// The socket as rustls writes to it.
struct RecordWriter<'a>(&'a Plain);

/// A session is boxed, so that it costs a connection without TLS one pointer.
pub(super) type SessionBox = Box<Session>;

impl Socket {
    /// Adds a TLS session, which begins with its handshake.
    pub(crate) fn with_tls(self, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = Session::new(config).map_err(io::Error::other)?;
        Ok(Self {
            session: Some(Box::new(session)),
            ..self
        })
    }

    /// Continues the handshake until it has to wait.
    pub(crate) fn handshake(&mut self) -> io::Result<Handshake> {
        match &mut self.session {
            Some(session) => session.handshake(&self.plain),
            None => Ok(Handshake::Done),
        }
    }

    /// Returns the TLS connection, if the client uses TLS.
    pub(crate) fn tls(&self) -> Option<&ServerConnection> {
        self.session.as_deref().map(Session::connection)
    }

    /// Removes TLS: later bytes in both directions are not encrypted.
    pub(crate) fn remove_tls(&mut self) {
        self.session = None;
    }
}

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

    /// The protocol that the client chose.
    #[cfg(feature = "http2")]
    pub(crate) fn alpn(&self) -> Option<Alpn> {
        self.connection.alpn_protocol().and_then(Alpn::of)
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
            // Read until the end if it has arrived, because no later event reports it.
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
            // A caller that receives nothing does not call again, so it must not miss the end.
            if has_received && outcome == ReadOutcome::Last {
                return Ok(Received::Short);
            }
            outcome = match self.read(socket) {
                // The end is reported after all content before it.
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

    /// Reports bytes as sent when they have left, not when they are encrypted. So the caller knows
    /// how fast the client reads, and calls again until nothing is left.
    pub(crate) fn send(
        &mut self,
        socket: &Plain,
        first: &[u8],
        second: &[u8],
    ) -> io::Result<usize> {
        debug_assert!(
            self.encrypted <= first.len() + second.len(),
            "the caller passes unsent bytes again"
        );
        self.send_content(socket, first, second)
    }

    fn send_content(&mut self, socket: &Plain, first: &[u8], second: &[u8]) -> io::Result<usize> {
        if self.encrypted == 0 {
            self.encrypted = self.encrypt(&[IoSlice::new(first), IoSlice::new(second)])?;
        }
        let sent = self.send_encrypted(socket)?;
        let acknowledged = if self.connection.wants_write() {
            // The last byte is not reported while encrypted bytes are left.
            sent.min(self.encrypted.saturating_sub(1))
        } else {
            self.encrypted
        };
        self.encrypted -= acknowledged;
        Ok(acknowledged)
    }

    /// Encrypted content counts as accepted and is sent sooner or later, so the caller does not
    /// pass it again.
    pub(crate) fn write(&mut self, socket: &Plain, bytes: &[u8]) -> io::Result<usize> {
        if !self.flush(socket)? {
            return Ok(0);
        }
        let accepted = self.encrypt(&[IoSlice::new(bytes)])?;
        self.send_encrypted(socket)?;
        Ok(accepted)
    }

    /// Encrypts from the start of the slices and returns the number of bytes encrypted.
    fn encrypt(&mut self, content: &[IoSlice<'_>]) -> io::Result<usize> {
        let count: usize = content.iter().map(|slice| slice.len()).sum();
        self.keys.take(count.min(MAX_FILE_READ))?;
        self.connection.writer().write_vectored(content)
    }

    /// Sends encrypted bytes. Returns whether all of them were sent.
    pub(crate) fn flush(&mut self, socket: &Plain) -> io::Result<bool> {
        self.send_encrypted(socket)?;
        Ok(!self.connection.wants_write())
    }

    /// TLS needs the content of the file in memory to encrypt it.
    pub(crate) fn send_file(
        &mut self,
        socket: &Plain,
        file: &File,
        offset: u64,
        count: usize,
    ) -> io::Result<FileSent> {
        let mut chunk = Vec::new();
        // Content that is already encrypted need not be read again.
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

    /// Whether there is decrypted content that was not received.
    pub(crate) fn has_unread(&self) -> bool {
        self.decrypted > 0
    }

    /// Whether part of an application data record has arrived.
    pub(crate) fn has_partial_record(&self) -> bool {
        self.records.kind() == Some(APPLICATION_DATA)
    }

    /// Whether the next response should be the last one, because the keys are near their limit.
    pub(crate) fn keys_near_limit(&self) -> bool {
        self.keys.are_near_limit()
    }

    /// Returns the approximate memory that this session keeps for received and sent bytes.
    pub(crate) fn held(&self) -> usize {
        let partial = self
            .handshake_bytes
            .min(MAX_PARTIAL)
            .max(self.records.filled);
        self.encrypted + self.decrypted + partial
    }

    /// Sends `close_notify` (RFC 8446 section 6.1). Returns whether it was sent. Fails if earlier
    /// content could not be sent.
    pub(crate) fn send_close_notify(&mut self, socket: &Plain) -> io::Result<bool> {
        if self.connection.is_handshaking() {
            return Ok(true);
        }
        self.keys.check()?;
        self.connection.send_close_notify();
        self.flush(socket)
    }

    /// Whether the client has sent `close_notify`.
    pub(crate) fn has_received_close_notify(&self) -> bool {
        self.has_received_close_notify
    }

    /// Moves decrypted content to `buffer`, up to its capacity.
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

    /// Receives bytes and decrypts them.
    fn read(&mut self, socket: &Plain) -> io::Result<ReadOutcome> {
        let mut source = RecordReader {
            socket,
            records: &mut self.records,
            is_empty: false,
        };
        let count = self.connection.read_tls(&mut source)?;
        let is_empty = source.is_empty;
        let processed = self.connection.process_new_packets();
        // Send the reply: a handshake message, or an alert that names the error.
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
            // The end has arrived, and no later event reports it.
            _ if is_empty && !state.peer_has_closed() => ReadOutcome::Last,
            _ => ReadOutcome::More,
        })
    }

    /// Sends encrypted bytes until the socket would block, and returns their number.
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
    /// The type of the incomplete record, if there is one.
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

    /// The end of the header, or of the record once its length is known.
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
        // A read that finds nothing makes rustls free the buffer of a partial record, so one more
        // read is needed after a partial record.
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

/// Peeks at the next byte. Returns `None` at the end.
fn first_byte(socket: &Plain) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let count = socket.read(&mut byte, RecvFlags::PEEK)?;
    Ok((count > 0).then_some(byte[0]))
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}
