//! Waiting for a socket, as handlers may and connections never do.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::net::transport::{Received, Socket};

/// How often whoever waits looks whether he still may: it is what the end of a server that is
/// forced to stop may be late by, and less than it waits for its workers.
const LOOK: Duration = Duration::from_millis(100);

/// Why a wait was in vain.
#[derive(Debug)]
pub(super) enum BlockingError {
    /// It took too long.
    Late,
    /// Nobody may wait any longer.
    Stopped,
    /// The socket failed.
    Failed(io::Error),
}

impl From<io::Error> for BlockingError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Receives as [`Socket::receive`] does, and waits until then, as long as it `may`, if nothing is
/// there.
pub(super) fn receive(
    socket: &mut Socket,
    buffer: &mut Vec<u8>,
    until: Option<Instant>,
    may: impl Fn() -> bool,
) -> Result<Received, BlockingError> {
    while may() {
        match socket.receive(buffer)? {
            Received::Nothing => wait(socket, PollFlags::IN, until)?,
            received => return Ok(received),
        }
    }
    Err(BlockingError::Stopped)
}

/// Sends from the start of `bytes`, of which there are some, as soon as there is room, and returns
/// how many are taken.
pub(super) fn send(
    socket: &mut Socket,
    bytes: &[u8],
    until: Option<Instant>,
    may: impl Fn() -> bool,
) -> Result<usize, BlockingError> {
    while may() {
        match socket.take(bytes)? {
            0 => wait(socket, PollFlags::OUT, until)?,
            count => return Ok(count),
        }
    }
    Err(BlockingError::Stopped)
}

/// Does this again whenever there is room, until it is done.
pub(super) fn complete(
    socket: &mut Socket,
    until: Option<Instant>,
    may: impl Fn() -> bool,
    step: impl Fn(&mut Socket) -> io::Result<bool>,
) -> Result<(), BlockingError> {
    while may() {
        if step(socket)? {
            return Ok(());
        }
        wait(socket, PollFlags::OUT, until)?;
    }
    Err(BlockingError::Stopped)
}

/// Waits for this, for a moment at most.
fn wait(socket: &Socket, what: PollFlags, until: Option<Instant>) -> Result<(), BlockingError> {
    let left = until.map_or(LOOK, |until| {
        until.saturating_duration_since(Instant::now()).min(LOOK)
    });
    if left.is_zero() {
        return Err(BlockingError::Late);
    }
    let left = Timespec::try_from(left).ok();
    match poll(&mut [PollFd::new(socket, what)], left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(io::Error::from(error).into()),
    }
}
