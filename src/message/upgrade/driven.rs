//! A protocol that the pool drives whenever its connection is ready.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use crate::message::waker::Wake;

/// A protocol that waits without a worker, for [`Upgrade::driven`](super::Upgrade::driven).
///
/// The pool calls [`ready`](Self::ready) when there may be something to do. Between two calls, the
/// connection waits in the server's epoll instance, as an idle HTTP connection does, so thousands of
/// such connections need a few workers only.
///
/// ```
/// use std::io::{ErrorKind, Read, Write};
///
/// use httpool::{DrivenProtocol, DrivenStream, NextStep, Upgrade};
///
/// /// Gives back every byte.
/// #[derive(Default)]
/// struct Echo {
///     /// What the client has not taken yet.
///     unsent: Vec<u8>,
/// }
///
/// impl DrivenProtocol for Echo {
///     fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
///         loop {
///             while !self.unsent.is_empty() {
///                 match stream.write(&self.unsent) {
///                     Ok(count) => drop(self.unsent.drain(..count)),
///                     Err(error) if error.kind() == ErrorKind::WouldBlock => return NextStep::Wait,
///                     Err(_) => return NextStep::Close,
///                 }
///             }
///             let mut buffer = [0; 4096];
///             match stream.read(&mut buffer) {
///                 Ok(0) => return NextStep::Close,
///                 Ok(count) => self.unsent.extend_from_slice(&buffer[..count]),
///                 Err(error) if error.kind() == ErrorKind::WouldBlock => return NextStep::Wait,
///                 Err(_) => return NextStep::Close,
///             }
///         }
///     }
/// }
///
/// let upgrade = Upgrade::driven("echo", |_waker| Echo::default());
/// ```
pub trait DrivenProtocol: Send + 'static {
    /// Does what can be done now, and says what to wait for. It runs on a worker, never twice at the
    /// same time.
    ///
    /// It is called
    ///
    /// * once, when the response to the upgrade has been sent;
    /// * when bytes or the client's end have arrived. Each arrival is reported once: a call that
    ///   leaves bytes unread must remember that there may be more;
    /// * when the client can take bytes again, after a write has failed with
    ///   [`WouldBlock`](io::ErrorKind::WouldBlock);
    /// * when the time of [`NextStep::WaitUntil`] has passed, at most a tenth of a second late;
    /// * when a [`DrivenWaker`] was called, once for any number of calls before;
    /// * when the server begins to [drain](DrivenStream::is_draining).
    ///
    /// It may also be called for no reason. It may block, and then occupies its worker as a handler
    /// does. If it panics, the connection closes, and the panic is logged.
    fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep;

    /// The bytes of memory that the protocol keeps for its client until the next call, about. They count
    /// against [`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory). It is called behind
    /// each [`ready`](Self::ready), on the same worker. If that memory has no room for what the protocol
    /// keeps more than before, the connection closes.
    ///
    /// Count what a client can make large, for example a message that has arrived in part. The default
    /// is 0.
    fn held(&self) -> usize {
        0
    }
}

/// What a [`DrivenProtocol`] waits for.
///
/// ```
/// use std::time::Duration;
///
/// use httpool::{DrivenStream, NextStep};
///
/// /// Waits for the next message, but not longer than this.
/// fn wait(stream: &DrivenStream<'_>, timeout: Duration) -> NextStep {
///     match stream.is_draining() {
///         true => NextStep::Close,
///         false => NextStep::WaitUntil(stream.now() + timeout),
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// The next event, however long it takes. The server's idle timeout does not apply.
    Wait,
    /// The next event, or this time.
    WaitUntil(Instant),
    /// Other connections have their turn, then it is called again. For a protocol that has more to do
    /// and has done much.
    Yield,
    /// Nothing: the protocol is dropped, what it has written is sent, and the connection closes as
    /// after a last HTTP response. The client gets `close_notify` under TLS, and what it still
    /// sends is discarded for up to a second, so that no reset destroys the last bytes.
    Close,
}

/// Has a [`DrivenProtocol`] called from any thread. Clones wake the same connection.
///
/// It keeps neither the connection nor the server alive. After the connection has closed, it does
/// nothing.
///
/// ```
/// use std::io::{ErrorKind, Write};
/// use std::sync::mpsc::{self, Receiver};
/// use std::thread;
///
/// use httpool::{DrivenProtocol, DrivenStream, NextStep, Upgrade};
///
/// /// Sends lines that another thread has.
/// struct Lines(Receiver<String>);
///
/// impl DrivenProtocol for Lines {
///     fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
///         for line in self.0.try_iter() {
///             // A real protocol keeps what the client does not take at once.
///             if stream.write_all(line.as_bytes()).is_err() {
///                 return NextStep::Close;
///             }
///         }
///         NextStep::Wait
///     }
/// }
///
/// let upgrade = Upgrade::driven("lines", |waker| {
///     let (sender, receiver) = mpsc::channel();
///     thread::spawn(move || {
///         let _ = sender.send("ready\n".to_owned());
///         waker.wake();
///     });
///     Lines(receiver)
/// });
/// ```
#[derive(Clone)]
pub struct DrivenWaker(Arc<dyn Wake>);

impl DrivenWaker {
    pub(crate) fn new(waker: Arc<dyn Wake>) -> Self {
        Self(waker)
    }

    /// Has the protocol called soon. A call within [`DrivenProtocol::ready`] leads to another one
    /// after it.
    pub fn wake(&self) {
        self.0.wake();
    }
}

impl fmt::Debug for DrivenWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrivenWaker").finish_non_exhaustive()
    }
}

/// The connection behind a [`DrivenStream`].
pub(crate) trait DrivenConnection: Read + Write {
    fn now(&self) -> Instant;
    fn is_draining(&self) -> bool;
}

/// The connection of a [`DrivenProtocol`] while it is called, with or without TLS.
///
/// Reads and writes never block. If nothing can be read or written now, they fail with
/// [`WouldBlock`](io::ErrorKind::WouldBlock); then return [`NextStep::Wait`], and the pool calls
/// again. They also do so after some hundred KiB in one call, to let other connections have their
/// turn. Bytes that the client sent behind its request are read first.
///
/// * A read of zero bytes is the end of what the client sends. The client may still read.
/// * On a stream of HTTP/2 (RFC 8441), what the client may send and what can be written are bounded by
///   the stream's windows. If the client resets the stream, the protocol is dropped.
/// * Under TLS, an end without `close_notify` is [`UnexpectedEof`](io::ErrorKind::UnexpectedEof),
///   because an attacker may have truncated the stream. Accepted bytes are sent later if the socket
///   has no room, so [`flush`](Write::flush) is never needed.
/// * If the client takes nothing for the server's
///   [`Builder::write_timeout`](crate::Builder::write_timeout) although something is to be sent,
///   the connection closes.
///
/// ```
/// use std::io::{ErrorKind, Read};
///
/// use httpool::{DrivenStream, NextStep};
///
/// /// Discards what the client sends.
/// fn discard(stream: &mut DrivenStream<'_>) -> NextStep {
///     let mut buffer = [0; 1024];
///     loop {
///         match stream.read(&mut buffer) {
///             Ok(0) => return NextStep::Close,
///             Ok(_) => {}
///             Err(error) if error.kind() == ErrorKind::WouldBlock => return NextStep::Wait,
///             Err(_) => return NextStep::Close,
///         }
///     }
/// }
/// ```
pub struct DrivenStream<'a>(&'a mut dyn DrivenConnection);

impl<'a> DrivenStream<'a> {
    pub(crate) fn new(connection: &'a mut dyn DrivenConnection) -> Self {
        Self(connection)
    }

    /// When this call began.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// Whether the server is shutting down. A connection that closes now is not aborted; one that
    /// is open at the drain's deadline is. The pool calls the protocol when the drain begins.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }
}

impl Read for DrivenStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for DrivenStream<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    /// Sends bytes that TLS has accepted and not sent. It fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if some are left.
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl fmt::Debug for DrivenStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrivenStream")
            .field("is_draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}
