//! Wakes a thread that waits for file descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;

use crate::sync::write;

/// An eventfd. A thread that polls it edge-triggered does not need to [drain](Self::drain) it.
#[derive(Debug)]
pub(super) struct Waker(OwnedFd);

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(rustix::event::eventfd(0, flags)?))
    }

    /// Wakes one thread that waits for it.
    pub(super) fn wake(&self) {
        // The only possible error is a full counter, and then a wake-up is already pending.
        let _ = write(&self.0, &1u64.to_ne_bytes());
    }

    /// Clears all pending wake-ups.
    pub(super) fn drain(&self) {
        // The only possible error is that no wake-up is pending.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
