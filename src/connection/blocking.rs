//! Blocking calls on a socket, for handlers. A connection itself never blocks.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::net::transport::{Received, Socket};

/// How often a blocking call checks whether it may continue. A forced shutdown can be late by this
/// time, and waits longer than this for its workers.
const INTERVAL: Duration = Duration::from_millis(100);

/// Why a blocking call failed.
#[derive(Debug)]
pub(super) enum BlockingError {
    /// The deadline passed.
    Late,
    /// The call may not continue.
    Stopped,
    /// The socket failed.
    Failed(io::Error),
}

impl From<io::Error> for BlockingError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Receives like [`Socket::receive`], and waits for bytes until the deadline while `may` returns true.
pub(super) fn receive(
    socket: &mut Socket,
    buffer: &mut Vec<u8>,
    deadline: Option<Instant>,
    may: impl Fn() -> bool,
) -> Result<Received, BlockingError> {
    while may() {
        match socket.receive(buffer)? {
            Received::WouldBlock => wait(socket, PollFlags::IN, deadline)?,
            received => return Ok(received),
        }
    }
    Err(BlockingError::Stopped)
}

/// Sends from the start of `bytes`, which are not empty, once there is room. Returns how many bytes
/// were taken.
pub(super) fn send(
    socket: &mut Socket,
    bytes: &[u8],
    deadline: Option<Instant>,
    may: impl Fn() -> bool,
) -> Result<usize, BlockingError> {
    while may() {
        match socket.write(bytes)? {
            0 => wait(socket, PollFlags::OUT, deadline)?,
            count => return Ok(count),
        }
    }
    Err(BlockingError::Stopped)
}

/// Repeats `step` whenever there is room, until it returns true.
pub(super) fn complete(
    socket: &mut Socket,
    deadline: Option<Instant>,
    may: impl Fn() -> bool,
    step: impl Fn(&mut Socket) -> io::Result<bool>,
) -> Result<(), BlockingError> {
    while may() {
        if step(socket)? {
            return Ok(());
        }
        wait(socket, PollFlags::OUT, deadline)?;
    }
    Err(BlockingError::Stopped)
}

/// Waits for `events`, for one interval at most.
fn wait(
    socket: &Socket,
    events: PollFlags,
    deadline: Option<Instant>,
) -> Result<(), BlockingError> {
    let left = deadline.map_or(INTERVAL, |deadline| {
        deadline
            .saturating_duration_since(Instant::now())
            .min(INTERVAL)
    });
    if left.is_zero() {
        return Err(BlockingError::Late);
    }
    let left = Timespec::try_from(left).ok();
    match poll(&mut [PollFd::new(socket, events)], left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(io::Error::from(error).into()),
    }
}
