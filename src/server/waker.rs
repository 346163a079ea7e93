//! A way to wake a thread that waits for file descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;

use crate::sync::write;

/// An eventfd. It is only ever rung: those who watch it edge-triggered need not answer.
#[derive(Debug)]
pub(super) struct Waker(OwnedFd);

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(rustix::event::eventfd(0, flags)?))
    }

    /// Wakes one thread that waits for it.
    pub(super) fn wake(&self) {
        // The only failure is a counter that is full, and then it has been rung.
        let _ = write(&self.0, &1u64.to_ne_bytes());
    }

    /// Forgets all ringing so far.
    pub(super) fn drain(&self) {
        // The only failure is that it has not been rung.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
