//! The sockets of clients: TCP and Unix streams alike, never blocking.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

use crate::sync::recv;

/// One client's socket.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

/// What came of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// As many bytes as there was room for: there may be more.
    Full,
    /// Some bytes, and no more are there.
    Short,
    /// None are there now.
    Nothing,
    /// The client has finished sending.
    End,
}

/// What came of sending from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileSent {
    /// So many bytes went.
    Some(usize),
    /// The socket would block.
    Nothing,
    /// The file has no byte there.
    End,
}

impl Socket {
    /// The socket must not block.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Appends what is there to `buffer`, as far as its capacity goes.
    pub(crate) fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        let room = buffer.capacity() - buffer.len();
        loop {
            match recv(&self.0, spare_capacity(buffer), RecvFlags::empty()) {
                Ok((_, 0)) => return Ok(Received::End),
                Ok((_, count)) if count == room => return Ok(Received::Full),
                Ok(_) => return Ok(Received::Short),
                Err(Errno::AGAIN) => return Ok(Received::Nothing),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends from the start of both slices in one call and returns how many bytes went; none if
    /// the socket would block.
    pub(crate) fn send(&self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        loop {
            let sent = if second.is_empty() {
                rustix::net::send(&self.0, first, SendFlags::NOSIGNAL)
            } else {
                rustix::net::sendmsg(
                    &self.0,
                    &[IoSlice::new(first), IoSlice::new(second)],
                    &mut SendAncillaryBuffer::default(),
                    SendFlags::NOSIGNAL,
                )
            };
            match sent {
                Ok(count) => return Ok(count),
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends these bytes, which others follow at once, so that they may leave together; otherwise as
    /// [`send`](Self::send).
    pub(crate) fn send_more(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL | SendFlags::MORE) {
                Ok(count) => return Ok(count),
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends up to `count` bytes of a file, which is a regular one, from `offset` on.
    ///
    /// It has no flag against `SIGPIPE`: Rust programs ignore that signal unless they ask for it.
    pub(crate) fn send_file(
        &self,
        file: &File,
        mut offset: u64,
        count: usize,
    ) -> io::Result<FileSent> {
        loop {
            match rustix::fs::sendfile(&self.0, file, Some(&mut offset), count) {
                Ok(0) => return Ok(FileSent::End),
                Ok(count) => return Ok(FileSent::Some(count)),
                Err(Errno::AGAIN) => return Ok(FileSent::Nothing),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether bytes have arrived that were not received.
    pub(crate) fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(&self.0).is_ok_and(|count| count > 0)
    }

    /// Has the connection reset when it is closed: the client learns that what it has is not all.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_linger(
            &self.0,
            Some(Duration::ZERO),
        )?)
    }

    /// Tells the client that nothing more will be sent.
    pub(crate) fn finish_sending(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.0, Shutdown::Write)?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
