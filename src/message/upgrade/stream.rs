//! The connection that an upgrade hands over.

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

/// A connection that speaks another protocol than HTTP, as an [`Upgrade`](super::Upgrade) hands it
/// over: bytes from the client and to him, plain or under TLS, as they come.
///
/// Reads and writes block, with a time limit each. One that has passed is an error of the kind
/// [`WouldBlock`](io::ErrorKind::WouldBlock), as with sockets of the standard library, and nothing is
/// lost by it. What the client sent behind its request is read first.
///
/// Under TLS a write whose time is over may have taken bytes of which some have not gone. They go with
/// the next write, or with [`flush`](Write::flush). And an end that the client has not announced
/// (`close_notify`) may be somebody else's doing: reading fails there as
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). Over TLS 1.2 writing fails when the keys are used up,
/// which with AES-GCM they are after 2^24 records; a write is one at least. TLS 1.3 renews them.
///
/// The server counts the connection until this is dropped, and a drain waits for that:
/// [`is_draining`](Self::is_draining) tells. At the drain's deadline reads and writes fail as
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted), and the connection counts as cut. To drop
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
pub struct Stream(Box<dyn UpgradedConnection>);

impl Stream {
    pub(crate) fn new(connection: impl UpgradedConnection + 'static) -> Self {
        Self(Box::new(connection))
    }

    /// Longest wait for the client to send something; `None` is for ever, and a time of zero takes
    /// what is there. At first this is the server's [`Builder::idle_timeout`](crate::Builder::idle_timeout).
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.0.set_read_timeout(timeout);
    }

    /// Longest wait for the client to take something; `None` is for ever. At first this is the
    /// server's [`Builder::write_timeout`](crate::Builder::write_timeout).
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.0.set_write_timeout(timeout);
    }

    /// Whether the server is stopping: who says goodbye now is not cut.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }

    /// Tells the client that nothing more is sent; what he sends can be read on.
    ///
    /// # Errors
    ///
    /// If the connection has ended already, or under TLS if the client does not take in time what
    /// there is to send.
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
