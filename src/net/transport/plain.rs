//! A socket, and nothing between it and the connection.

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

/// A TCP or Unix stream that does not block.
#[derive(Debug)]
pub(crate) struct Plain(pub(crate) OwnedFd);

impl Plain {
    pub(crate) fn receive(&self, buffer: &mut Vec<u8>, flags: RecvFlags) -> io::Result<Received> {
        let room = buffer.capacity() - buffer.len();
        match retry_on_intr(|| recv(&self.0, spare_capacity(buffer), flags)) {
            Ok((_, 0)) => Ok(Received::End),
            Ok((_, count)) if count == room => Ok(Received::Full),
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
                rustix::net::sendmsg(
                    &self.0,
                    &[IoSlice::new(first), IoSlice::new(second)],
                    &mut SendAncillaryBuffer::default(),
                    SendFlags::NOSIGNAL,
                )
            }
        });
        none_if_full(sent)
    }

    pub(crate) fn send_more(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::NOSIGNAL | SendFlags::MORE;
        none_if_full(retry_on_intr(|| rustix::net::send(&self.0, bytes, flags)))
    }

    /// It has no flag against `SIGPIPE`: Rust programs ignore that signal unless they ask for it.
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

    /// The system does not tell whether the socket failed, or the file, or only `sendfile`, which not
    /// every file system has. Reading and sending do.
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

    /// What is known of the client. A failure to ask is none of it.
    pub(crate) fn presence(&self) -> Presence {
        let mut asked = [PollFd::new(&self.0, PollFlags::RDHUP)];
        match poll(&mut asked, Some(&Timespec::default())) {
            Ok(_)
                if asked[0]
                    .revents()
                    .intersects(PollFlags::HUP | PollFlags::ERR) =>
            {
                Presence::Gone
            }
            Ok(_) if asked[0].revents().contains(PollFlags::RDHUP) => Presence::Finished,
            Ok(_) | Err(_) => Presence::Here,
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

/// What needs to know where something ends before it receives it.
#[cfg(any(feature = "proxy", feature = "_tls"))]
impl Plain {
    /// Receives into `buffer` and returns how many bytes came; none if the client has finished
    /// sending.
    pub(crate) fn read(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
        let (count, _) = retry_on_intr(|| recv(&self.0, &mut *buffer, flags))?;
        Ok(count)
    }

    /// Sends from the start of all slices in one call and returns how many bytes went.
    #[cfg(feature = "_tls")]
    pub(crate) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(retry_on_intr(|| {
            let mut control = SendAncillaryBuffer::default();
            rustix::net::sendmsg(&self.0, slices, &mut control, SendFlags::NOSIGNAL)
        })?)
    }
}

/// Returns how many bytes were sent: 0 if the send buffer is full.
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
