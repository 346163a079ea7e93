//! Stand-ins for [`sync`](super) that loom controls.
//!
//! Locks and atomics are loom's. The system's calls are still the system's, on real descriptors
//! that never block, so that readiness and its edges are what they are in a server. Two things
//! about them are modelled. One lock is held around each call, by which loom knows that their
//! order matters. And a thread that waits in the system waits for a condition variable, which each
//! call that wakes a thread notifies.
//!
//! As in the system, an event wakes one waiter of those that wait by then, who may find that a
//! thread which came later was faster; and an event that nobody waits for stays until someone does.

pub(crate) mod channel;
pub(crate) mod epoll;

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
use rustix::buffer::Buffer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Result;
use rustix::net::RecvFlags;

pub(crate) use super::ignore_poison;

loom::lazy_static! {
    /// The system, as far as threads meet in it.
    static ref SYSTEM: System = System::default();
}

#[derive(Default)]
struct System {
    /// What is registered with epoll. There is one instance in a model.
    registered: Mutex<Vec<RawFd>>,
    /// Where they wait that wait in epoll.
    watchers: Condvar,
    /// Where the acceptor waits for its bell.
    acceptor: Condvar,
}

/// How long ago that was. No time passes in a model: what counts as slow is the test's to say.
pub(crate) fn elapsed(_since: Instant) -> Duration {
    Duration::ZERO
}

/// Rings a bell.
pub(crate) fn write(bell: impl AsFd, bytes: &[u8]) -> Result<usize> {
    let registered = enter();
    let written = rustix::io::write(&bell, bytes);
    if registered.contains(&bell.as_fd().as_raw_fd()) {
        SYSTEM.watchers.notify_one();
    } else {
        SYSTEM.acceptor.notify_one();
    }
    written
}

pub(crate) fn recv<Buf: Buffer<u8>>(
    socket: impl AsFd,
    buffer: Buf,
    flags: RecvFlags,
) -> Result<(Buf::Output, usize)> {
    let _system = enter();
    rustix::net::recv(socket, buffer, flags)
}

/// A client sends.
pub(crate) fn send(mut client: &UnixStream, bytes: &str) {
    let _system = enter();
    let sent = client.write_all(bytes.as_bytes());
    sent.expect("the server takes a few bytes at any time");
    SYSTEM.watchers.notify_one();
}

/// A client has sent everything.
pub(crate) fn finish(client: &UnixStream) {
    let _system = enter();
    let finished = client.shutdown(Shutdown::Write);
    finished.expect("the client has not been closed");
    SYSTEM.watchers.notify_one();
}

/// The acceptor waits until its bell rings.
pub(crate) fn hear(bell: impl AsFd) {
    let mut system = enter();
    while !is_readable(&bell) {
        system = wait(&SYSTEM.acceptor, system);
    }
    let _ = rustix::io::read(bell, &mut [0u8; 8]);
}

/// Some time passes: others go on.
pub(crate) fn tick() {
    loom::thread::yield_now();
}

fn enter() -> MutexGuard<'static, Vec<RawFd>> {
    ignore_poison(SYSTEM.registered.lock())
}

fn wait<'a, T>(place: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    ignore_poison(place.wait(guard))
}

fn is_readable(descriptor: impl AsFd) -> bool {
    let mut sources = [PollFd::new(&descriptor, PollFlags::IN)];
    let ready = poll(&mut sources, Some(&Timespec::default()));
    ready.expect("a descriptor can be polled") > 0
}
