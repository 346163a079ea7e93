//! Sockets of clients: non-blocking TCP and Unix streams, with or without TLS.

mod plain;
#[cfg_attr(not(feature = "_tls"), path = "no_tls.rs")]
mod tls;

use std::fs::File;
#[cfg(feature = "proxy")]
use std::io::ErrorKind;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use rustix::net::RecvFlags;

use self::plain::Plain;
#[cfg(feature = "_tls")]
pub(crate) use self::tls::Handshake;
use self::tls::SessionBox;
use crate::message::body::{Client, Presence};
#[cfg(all(feature = "_tls", feature = "http2"))]
use crate::net::Alpn;

/// The socket of one client.
///
/// After [`WouldBlock`](Received::WouldBlock), wait until the descriptor is readable. If nothing
/// can be sent, wait until it is writable. This holds for TLS too: records that TLS itself has to
/// send leave with the next bytes. Only a [`Handshake`] may have to wait for either.
#[derive(Debug)]
pub(crate) struct Socket {
    plain: Plain,
    /// Number of bytes received.
    received: u64,
    session: Option<SessionBox>,
}

/// The result of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// The buffer is full, or the limit per call is reached. More bytes may be available, even if
    /// the descriptor does not become readable again.
    Full,
    /// Some bytes were received, and no more are available.
    Short,
    /// No bytes are available.
    WouldBlock,
    /// The client has finished sending.
    End,
}

/// Bytes read from a file at a time, if `sendfile` cannot be used or the client uses TLS. With TLS
/// these are four records of maximum size, which leave in one call.
const MAX_FILE_READ: usize = 64 * 1024;

/// The result of sending from a file.
#[derive(Debug)]
pub(crate) enum FileSent {
    /// This number of bytes was sent.
    Some(usize),
    /// The socket would block.
    WouldBlock,
    /// The file ends before the offset.
    End,
    /// The file cannot be read.
    Unreadable(io::Error),
}

/// Reads up to `count` bytes of a file. If there are none, returns the result of sending instead.
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
    /// Wraps a non-blocking socket.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            plain: Plain(socket),
            received: 0,
            session: None,
        }
    }

    /// Appends available bytes to `buffer`, up to its capacity.
    pub(crate) fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        let before = buffer.len();
        let received = self.receive_into(buffer);
        self.received += (buffer.len() - before) as u64;
        received
    }

    #[inline(always)]
    fn receive_into(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        if let Some(session) = &mut self.session {
            return session.receive(&self.plain, buffer);
        }
        self.plain.receive(buffer, RecvFlags::empty())
    }

    /// Returns the number of bytes [received](Self::receive) so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of bytes that have arrived but were not received. With TLS these are
    /// encrypted bytes.
    pub(crate) fn unread(&self) -> usize {
        self.plain.unread() + self.held()
    }

    /// Sends both slices in one call and returns the number of bytes sent, which is 0 if the socket
    /// would block. The next call must begin with the bytes that were not sent.
    pub(crate) fn send(&mut self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        if let Some(session) = &mut self.session {
            return session.send(&self.plain, first, second);
        }
        self.plain.send(first, second)
    }

    /// Sends the slices in one call, as [`send`](Self::send) does. With TLS, nothing is sent.
    pub(crate) fn send_gathered(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.session {
            Some(_) => Ok(0),
            None => self.plain.send_gathered(slices),
        }
    }

    /// Accepts bytes and returns their number, which is 0 if the socket would block. Accepted bytes
    /// may still wait to be [flushed](Self::flush).
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(session) = &mut self.session {
            return session.write(&self.plain, bytes);
        }
        self.plain.send(bytes, &[])
    }

    /// Whether the socket has room to send.
    pub(crate) fn is_writable(&self) -> bool {
        self.plain.is_writable()
    }

    /// Whether the client uses TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.session.is_some()
    }

    /// Sends the rest of the [written](Self::write) bytes. Returns whether all bytes were sent.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        if let Some(session) = &mut self.session {
            return session.flush(&self.plain);
        }
        Ok(true)
    }

    /// Sends bytes as [`send`](Self::send) does, and tells the kernel that more bytes follow at
    /// once, so that they can share a segment.
    pub(crate) fn send_more(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(session) = &mut self.session {
            return session.send(&self.plain, bytes, &[]);
        }
        self.plain.send_more(bytes)
    }

    /// Sends up to `count` bytes of a regular file, starting at `offset`. A returned error is an
    /// error of the socket.
    pub(crate) fn send_file(
        &mut self,
        file: &File,
        offset: u64,
        count: usize,
    ) -> io::Result<FileSent> {
        if let Some(session) = &mut self.session {
            return session.send_file(&self.plain, file, offset, count);
        }
        self.plain.send_file(file, offset, count)
    }

    /// The protocol that the client chose in its TLS handshake. It is `None` without TLS, before the
    /// end of the handshake, and if the client named no protocol.
    #[cfg(all(feature = "_tls", feature = "http2"))]
    #[allow(dead_code, reason = "connections do not choose their protocol yet")]
    pub(crate) fn alpn(&self) -> Option<Alpn> {
        self.session.as_ref()?.alpn()
    }

    /// Whether bytes have arrived that were not received.
    pub(crate) fn has_unread(&self) -> bool {
        if let Some(session) = &self.session
            && session.has_unread()
        {
            return true;
        }
        self.plain.has_unread()
    }

    /// Whether part of a record has arrived, so that nothing can be received before the rest
    /// arrives.
    pub(crate) fn has_partial_record(&self) -> bool {
        if let Some(session) = &self.session {
            return session.has_partial_record();
        }
        false
    }

    /// Whether the connection should close after the next response, because its keys will not last.
    pub(crate) fn keys_near_limit(&self) -> bool {
        if let Some(session) = &self.session {
            return session.keys_near_limit();
        }
        false
    }

    /// Returns the memory that TLS keeps for incomplete records and for content that was not
    /// received.
    pub(crate) fn held(&self) -> usize {
        match &self.session {
            Some(session) => session.held(),
            None => 0,
        }
    }

    /// Makes the kernel reset the connection when it is closed, so that the client knows that its
    /// data is incomplete.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        self.plain.reset_on_close()
    }

    /// Sends the TLS alert `close_notify`, which tells the client that its data is complete.
    /// Returns whether the alert was sent; if not, call this again.
    pub(crate) fn send_close_notify(&mut self) -> io::Result<bool> {
        if let Some(session) = &mut self.session {
            return session.send_close_notify(&self.plain);
        }
        Ok(true)
    }

    /// Whether the received end may be a truncation: the client uses TLS and has not sent
    /// `close_notify`.
    pub(crate) fn is_truncated(&self) -> bool {
        if let Some(session) = &self.session {
            return !session.has_received_close_notify();
        }
        false
    }

    /// Shuts down the sending side. With TLS, call [`send_close_notify`](Self::send_close_notify)
    /// first.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.plain.shutdown_write()
    }
}

/// Access to the bytes below TLS.
#[cfg(feature = "proxy")]
impl Socket {
    /// Appends available bytes to `buffer`, up to its capacity, and leaves them in the socket.
    pub(crate) fn peek(&self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        self.plain.receive(buffer, RecvFlags::PEEK)
    }

    /// Receives and discards `count` bytes that were [peeked](Self::peek).
    pub(crate) fn skip(&self, count: usize) -> io::Result<()> {
        let mut discarded = vec![0; count];
        let mut skipped = 0;
        while skipped < count {
            match self
                .plain
                .read(&mut discarded[skipped..], RecvFlags::empty())?
            {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => skipped += count,
            }
        }
        Ok(())
    }
}

/// With TLS too, a client that has closed its socket reads nothing more.
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
