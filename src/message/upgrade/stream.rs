//! The connection after an upgrade.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

/// The connection behind a [`Stream`].
pub(crate) trait UpgradedConnection: Read + Write + Send {
    fn set_read_timeout(&mut self, timeout: Option<Duration>);
    fn set_write_timeout(&mut self, timeout: Option<Duration>);
    fn is_draining(&self) -> bool;
    fn finish(&mut self) -> io::Result<()>;
}

/// A connection that speaks another protocol after an [`Upgrade`](super::Upgrade): a byte stream to
/// and from the client, with or without TLS.
///
/// Reads and writes block, each with a timeout. A timeout is an error of the kind
/// [`WouldBlock`](io::ErrorKind::WouldBlock), as with the sockets of the standard library, and
/// loses no data. Bytes that the client sent behind its request are read first.
///
/// Under TLS, a write that times out may have accepted bytes that are not sent yet. The next write
/// or [`flush`](Write::flush) sends them. If the connection ends without `close_notify`, a read
/// fails with [`UnexpectedEof`](io::ErrorKind::UnexpectedEof), because an attacker may have
/// truncated it. With TLS 1.2 and AES-GCM, writes fail after 2^24 records, when the keys are used
/// up; each write is at least one record. TLS 1.3 renews its keys.
///
/// The server counts the connection until this value is dropped, and a drain waits for it; check
/// [`is_draining`](Self::is_draining). At the drain's deadline reads and writes fail with
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted), and the connection counts as aborted.
/// Dropping the stream closes the connection. If the client may still be sending, call
/// [`finish`](Self::finish) and read to the end first, because a reset could destroy bytes on their
/// way to the client.
///
/// ```
/// use std::io::{self, ErrorKind, Read, Write};
/// use std::time::Duration;
///
/// use httpool::Stream;
///
/// /// Echoes bytes until the client finishes or the server shuts down.
/// fn echo(mut stream: Stream) -> io::Result<()> {
///     stream.set_read_timeout(Some(Duration::from_millis(500)));
///     let mut buffer = [0; 4096];
///     while !stream.is_draining() {
///         match stream.read(&mut buffer) {
///             Ok(0) => break,
///             Ok(count) => stream.write_all(&buffer[..count])?,
///             // A timeout: check again whether the server is shutting down.
///             Err(error) if error.kind() == ErrorKind::WouldBlock => {}
///             Err(error) => return Err(error),
///         }
///     }
///     stream.finish()
/// }
/// ```
pub struct Stream(Box<dyn UpgradedConnection>);

impl Stream {
    pub(crate) fn new(connection: impl UpgradedConnection + 'static) -> Self {
        Self(Box::new(connection))
    }

    /// Sets the longest wait for bytes from the client. `None` means no limit, and zero takes only
    /// what has arrived. The default is the server's
    /// [`Builder::idle_timeout`](crate::Builder::idle_timeout).
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.0.set_read_timeout(timeout);
    }

    /// Sets the longest wait for the client to take bytes. `None` means no limit. The default is
    /// the server's [`Builder::write_timeout`](crate::Builder::write_timeout).
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.0.set_write_timeout(timeout);
    }

    /// Whether the server is shutting down. A connection that closes now is not aborted.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }

    /// Ends the sending direction. The client can continue to send.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection has ended, or under TLS if the client does not take the
    /// last bytes in time.
    pub fn finish(&mut self) -> io::Result<()> {
        self.0.finish()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("is_draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}
