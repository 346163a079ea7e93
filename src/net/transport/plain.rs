//! Sockets without TLS.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

use super::{FileSent, Received, read_chunk};
use crate::message::body::Presence;
use crate::sync::recv;

/// A non-blocking TCP or Unix stream.
#[derive(Debug)]
pub(crate) struct Plain(pub(crate) OwnedFd);

impl Plain {
    pub(crate) fn receive(&self, buffer: &mut Vec<u8>, flags: RecvFlags) -> io::Result<Received> {
        let free = buffer.capacity() - buffer.len();
        match retry_on_intr(|| recv(&self.0, spare_capacity(buffer), flags)) {
            Ok((_, 0)) => Ok(Received::End),
            Ok((_, count)) if count == free => Ok(Received::Full),
            Ok(_) => Ok(Received::Short),
            Err(Errno::AGAIN) => Ok(Received::WouldBlock),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn send(&self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        let sent = retry_on_intr(|| {
            if second.is_empty() {
                rustix::net::send(&self.0, first, SendFlags::NOSIGNAL)
            } else {
                self.sendmsg(&[IoSlice::new(first), IoSlice::new(second)])
            }
        });
        none_if_full(sent)
    }

    pub(crate) fn send_gathered(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        none_if_full(retry_on_intr(|| self.sendmsg(slices)))
    }

    fn sendmsg(&self, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let mut control = SendAncillaryBuffer::default();
        rustix::net::sendmsg(&self.0, slices, &mut control, SendFlags::NOSIGNAL)
    }

    pub(crate) fn send_more(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::NOSIGNAL | SendFlags::MORE;
        none_if_full(retry_on_intr(|| rustix::net::send(&self.0, bytes, flags)))
    }

    /// `sendfile` has no flag against `SIGPIPE`. Rust programs ignore that signal by default.
    pub(crate) fn send_file(
        &self,
        file: &File,
        mut offset: u64,
        count: usize,
    ) -> io::Result<FileSent> {
        let sent = retry_on_intr(|| rustix::fs::sendfile(&self.0, file, Some(&mut offset), count));
        match sent {
            Ok(0) => Ok(FileSent::End),
            Ok(count) => Ok(FileSent::Some(count)),
            Err(Errno::AGAIN) => Ok(FileSent::WouldBlock),
            Err(_) => self.send_copied(file, offset, count),
        }
    }

    /// The error does not tell whether the socket, the file or only `sendfile` failed, which not
    /// every file system supports. Reading and sending separately does.
    #[cold]
    fn send_copied(&self, file: &File, offset: u64, count: usize) -> io::Result<FileSent> {
        let chunk = match read_chunk(file, offset, count) {
            Ok(chunk) => chunk,
            Err(sent) => return Ok(sent),
        };
        Ok(match self.send(&chunk, &[])? {
            0 => FileSent::WouldBlock,
            count => FileSent::Some(count),
        })
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.unread() > 0
    }

    pub(crate) fn unread(&self) -> usize {
        let count = rustix::io::ioctl_fionread(&self.0).unwrap_or_default();
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Asks the kernel whether the client is still connected. If that fails, the client counts as
    /// present.
    pub(crate) fn presence(&self) -> Presence {
        let mut fds = [PollFd::new(&self.0, PollFlags::RDHUP)];
        match poll(&mut fds, Some(&Timespec::default())) {
            Ok(_) if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) => Presence::Gone,
            Ok(_) if fds[0].revents().contains(PollFlags::RDHUP) => Presence::Finished,
            Ok(_) | Err(_) => Presence::Here,
        }
    }

    /// Asks the kernel whether there is room to send. If that fails, a send finds out.
    pub(crate) fn is_writable(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::OUT)];
        match poll(&mut fds, Some(&Timespec::default())) {
            Ok(count) => count > 0,
            Err(_) => true,
        }
    }

    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_linger(
            &self.0,
            Some(Duration::ZERO),
        )?)
    }

    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.0, Shutdown::Write)?)
    }
}

/// Calls for TLS and the PROXY protocol, which receive exact lengths.
#[cfg(any(feature = "proxy", feature = "_tls"))]
impl Plain {
    /// Receives into `buffer` and returns the number of bytes, which is 0 if the client has
    /// finished sending.
    pub(crate) fn read(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
        let (count, _) = retry_on_intr(|| recv(&self.0, &mut *buffer, flags))?;
        Ok(count)
    }

    /// Sends all slices in one call and returns the number of bytes sent.
    #[cfg(feature = "_tls")]
    pub(crate) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(retry_on_intr(|| {
            let mut control = SendAncillaryBuffer::default();
            rustix::net::sendmsg(&self.0, slices, &mut control, SendFlags::NOSIGNAL)
        })?)
    }
}

/// Returns the number of bytes sent, which is 0 if the send buffer is full.
fn none_if_full(sent: Result<usize, Errno>) -> io::Result<usize> {
    match sent {
        Err(Errno::AGAIN) => Ok(0),
        sent => Ok(sent?),
    }
}

impl AsFd for Plain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
