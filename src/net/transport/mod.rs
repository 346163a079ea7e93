//! The sockets of clients: TCP and Unix streams alike, never blocking, with TLS on them or without.

mod plain;
#[cfg(feature = "_tls")]
mod tls;

use std::fs::File;
use std::io;
#[cfg(feature = "proxy")]
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
#[cfg(feature = "_tls")]
use std::sync::Arc;

use rustix::net::RecvFlags;
#[cfg(feature = "_tls")]
use rustls::{ServerConfig, ServerConnection};

use self::plain::Plain;
#[cfg(feature = "_tls")]
pub(crate) use self::tls::Handshake;
#[cfg(feature = "_tls")]
use self::tls::Session;
use crate::message::body::{Client, Presence};

/// One client's socket.
///
/// Who finds [nothing](Received::WouldBlock) to receive waits until the descriptor is readable, and who
/// can send nothing until it is writable, with TLS too: what TLS itself has to send meanwhile goes
/// along with the next bytes. Only a [`Handshake`] may wait for the one or the other.
#[derive(Debug)]
pub(crate) struct Socket {
    plain: Plain,
    /// How many bytes have been received.
    received: u64,
    /// Boxed, so that a connection without costs no more for it than this.
    #[cfg(feature = "_tls")]
    session: Option<Box<Session>>,
}

/// What came of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// As many bytes as there was room for, or as are taken at a time: there may be more, and the
    /// descriptor need not become readable for them.
    Full,
    /// Some bytes, and no more are there.
    Short,
    /// None are there now.
    WouldBlock,
    /// The client has finished sending.
    End,
}

/// Read of a file at a time that the system can't send by itself, or not to a client that speaks TLS:
/// there it is four of the largest records, which leave in one call.
const MAX_FILE_READ: usize = 64 * 1024;

/// What came of sending from a file.
#[derive(Debug)]
pub(crate) enum FileSent {
    /// So many bytes went.
    Some(usize),
    /// The socket would block.
    WouldBlock,
    /// The file has no byte there.
    End,
    /// The file can't be read.
    Unreadable(io::Error),
}

/// Reads up to `count` bytes of a file, to be sent by hand; if there are none, that is all that comes
/// of sending it.
fn read_chunk(file: &File, offset: u64, count: usize) -> Result<Vec<u8>, FileSent> {
    let mut chunk = vec![0; count.min(MAX_FILE_READ)];
    match file.read_at(&mut chunk, offset) {
        Ok(0) => Err(FileSent::End),
        Ok(count) => {
            chunk.truncate(count);
            Ok(chunk)
        }
        Err(error) => Err(FileSent::Unreadable(error)),
    }
}

impl Socket {
    /// The socket must not block.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            plain: Plain(socket),
            received: 0,
            #[cfg(feature = "_tls")]
            session: None,
        }
    }

    /// Appends what is there to `buffer`, as far as its capacity goes.
    pub(crate) fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        let before = buffer.len();
        let received = self.receive_into(buffer);
        self.received += (buffer.len() - before) as u64;
        received
    }

    #[inline(always)]
    fn receive_into(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        #[cfg(feature = "_tls")]
        if let Some(session) = &mut self.session {
            return session.receive(&self.plain, buffer);
        }
        self.plain.receive(buffer, RecvFlags::empty())
    }

    /// How many bytes have been [received](Self::receive) so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// How many bytes have arrived that were not received; under TLS, encrypted ones.
    pub(crate) fn unread(&self) -> usize {
        self.plain.unread() + self.held()
    }

    /// Sends from the start of both slices in one call and returns how many bytes went; none if
    /// the socket would block. What did not go must come again, before anything else.
    pub(crate) fn send(&mut self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "_tls")]
        if let Some(session) = &mut self.session {
            return session.send(&self.plain, first, second);
        }
        self.plain.send(first, second)
    }

    /// Sends from the start of these bytes and returns how many are [seen to](Self::flush), which
    /// may be more than went; none if there is no room.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "_tls")]
        if let Some(session) = &mut self.session {
            return session.write(&self.plain, bytes);
        }
        self.plain.send(bytes, &[])
    }

    /// Sends what is left of what was [taken](Self::take). Whether all of it has gone.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        #[cfg(feature = "_tls")]
        if let Some(session) = &mut self.session {
            return session.flush(&self.plain);
        }
        Ok(true)
    }

    /// Sends these bytes, which others follow at once, so that they may leave together; otherwise as
    /// [`send`](Self::send).
    pub(crate) fn send_more(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "_tls")]
        if let Some(session) = &mut self.session {
            return session.send(&self.plain, bytes, &[]);
        }
        self.plain.send_more(bytes)
    }

    /// Sends up to `count` bytes of a file, which is a regular one, from `offset` on. An error is the
    /// socket's.
    pub(crate) fn send_file(
        &mut self,
        file: &File,
        offset: u64,
        count: usize,
    ) -> io::Result<FileSent> {
        #[cfg(feature = "_tls")]
        if let Some(session) = &mut self.session {
            return session.send_file(&self.plain, file, offset, count);
        }
        self.plain.send_file(file, offset, count)
    }

    /// Whether bytes have arrived that were not received.
    pub(crate) fn has_unread(&self) -> bool {
        #[cfg(feature = "_tls")]
        if let Some(session) = &self.session
            && session.has_unread()
        {
            return true;
        }
        self.plain.has_unread()
    }

    /// Whether a part of something has come of which nothing can be received before the rest.
    pub(crate) fn has_partial_record(&self) -> bool {
        #[cfg(feature = "_tls")]
        if let Some(session) = &self.session {
            return session.has_partial_record();
        }
        false
    }

    /// Whether it can not send for ever, and should be given up for another after the next answer.
    pub(crate) fn keys_near_limit(&self) -> bool {
        #[cfg(feature = "_tls")]
        if let Some(session) = &self.session {
            return session.keys_near_limit();
        }
        false
    }

    /// Has the connection reset when it is closed: the client learns that what it has is not all.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        self.plain.reset_on_close()
    }

    /// Tells a client that speaks TLS that nothing more comes, so that it knows that it has all.
    /// Whether that has gone; if there is no room for it, come again.
    pub(crate) fn send_close_notify(&mut self) -> io::Result<bool> {
        #[cfg(feature = "_tls")]
        if let Some(session) = &mut self.session {
            return session.send_close_notify(&self.plain);
        }
        Ok(true)
    }

    /// Whether the end that was received may be none that the client wanted: it speaks TLS, and has not
    /// said goodbye.
    pub(crate) fn is_truncated(&self) -> bool {
        #[cfg(feature = "_tls")]
        if let Some(session) = &self.session {
            return !session.has_received_close_notify();
        }
        false
    }

    /// Tells the client that nothing more will be sent, once the goodbye is said.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.plain.shutdown_write()
    }
}

/// Below what TLS is about.
#[cfg(feature = "proxy")]
impl Socket {
    /// Appends what is there to `buffer`, as far as its capacity goes, and leaves it there.
    pub(crate) fn peek(&self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        self.plain.receive(buffer, RecvFlags::PEEK)
    }

    /// Receives so many bytes, which are [known](Self::peek).
    pub(crate) fn skip(&self, count: usize) -> io::Result<()> {
        let mut known = vec![0; count];
        let mut skipped = 0;
        while skipped < count {
            match self.plain.read(&mut known[skipped..], RecvFlags::empty())? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => skipped += count,
            }
        }
        Ok(())
    }
}

#[cfg(feature = "_tls")]
impl Socket {
    /// The same socket with this session on it, which begins with its handshake.
    pub(crate) fn with_tls(self, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = Session::new(config).map_err(io::Error::other)?;
        Ok(Self {
            session: Some(Box::new(session)),
            ..self
        })
    }

    /// Goes on with the handshake, as far as that goes without waiting.
    pub(crate) fn handshake(&mut self) -> io::Result<Handshake> {
        match &mut self.session {
            Some(session) => session.handshake(&self.plain),
            None => Ok(Handshake::Done),
        }
    }

    /// What is agreed on with a client that speaks TLS.
    pub(crate) fn tls(&self) -> Option<&ServerConnection> {
        self.session.as_deref().map(Session::connection)
    }

    /// Ends TLS: what follows in either direction is bytes as they are.
    pub(crate) fn remove_tls(&mut self) {
        self.session = None;
    }

    /// How much memory TLS keeps of what is not complete or has not been taken.
    pub(crate) fn held(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.held())
    }
}

#[cfg(not(feature = "_tls"))]
impl Socket {
    /// How much memory is kept of what is not complete or has not been taken.
    pub(crate) fn held(&self) -> usize {
        0
    }
}

/// With TLS as without: who has closed its socket reads no record.
impl Client for Socket {
    fn presence(&self) -> Presence {
        self.plain.presence()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.plain.as_fd()
    }
}
