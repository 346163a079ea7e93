//! Models of [`sync`](super) that loom controls.
//!
//! Locks and atomics are loom's. System calls are real, on descriptors that never block, so that
//! readiness and edges are those of a real server. Two properties are modelled. One lock is held
//! around each call, so that loom knows that their order matters. A thread that waits in the system
//! waits for a condition variable, and each call that wakes a thread notifies it.
//!
//! As in the system, an event wakes one of the threads that wait at that moment, and another thread
//! may then be faster to take the event. An event for which no thread waits stays pending.

pub(crate) mod channel;
pub(crate) mod epoll;

mod explore;

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
use rustix::buffer::Buffer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Result;
use rustix::net::RecvFlags;

pub(crate) use self::explore::{explore, explore_large, explore_small};
pub(crate) use super::ignore_poison;

loom::lazy_static! {
    /// The part of the system through which threads affect each other.
    static ref SYSTEM: System = System::default();
}

#[derive(Default)]
struct System {
    /// The descriptors registered with epoll. There is one instance in a model.
    registered: Mutex<Vec<RawFd>>,
    /// Wakes threads that wait in epoll.
    epoll_waiters: Condvar,
    /// Wakes the acceptor, which waits for its waker.
    acceptor: Condvar,
}

/// The time at which everything in a model happens. The real time depends on what else the machine does:
/// on a busy one, the idle grace of a drain would be over in some runs and not in others, and loom could
/// not repeat an interleaving.
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns a time that is always the same, because no time passes in a model.
pub(crate) fn now() -> Instant {
    *NOW
}

/// Returns zero, because no time passes in a model: the test decides which turns are slow.
pub(crate) fn elapsed(_since: Instant) -> Duration {
    Duration::ZERO
}

/// Wakes a thread by writing to its waker.
pub(crate) fn write(waker: impl AsFd, bytes: &[u8]) -> Result<usize> {
    let registered = lock_system();
    let written = rustix::io::write(&waker, bytes);
    if registered.contains(&waker.as_fd().as_raw_fd()) {
        SYSTEM.epoll_waiters.notify_one();
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
    let _system = lock_system();
    rustix::net::recv(socket, buffer, flags)
}

/// Sends bytes as a client.
pub(crate) fn send(mut client: &UnixStream, bytes: &str) {
    let _system = lock_system();
    let sent = client.write_all(bytes.as_bytes());
    sent.expect("a few bytes fit into the send buffer");
    SYSTEM.epoll_waiters.notify_one();
}

/// Ends a client's sending direction.
pub(crate) fn finish(client: &UnixStream) {
    let _system = lock_system();
    let finished = client.shutdown(Shutdown::Write);
    finished.expect("the client is open");
    SYSTEM.epoll_waiters.notify_one();
}

/// Waits as the acceptor until the waker fires.
pub(crate) fn wait_for_waker(waker: impl AsFd) {
    let mut system = lock_system();
    while !is_readable(&waker) {
        system = wait(&SYSTEM.acceptor, system);
    }
    let _ = rustix::io::read(waker, &mut [0u8; 8]);
}

/// Lets other threads run, as if time passed.
pub(crate) fn yield_now() {
    loom::thread::yield_now();
}

fn lock_system() -> MutexGuard<'static, Vec<RawFd>> {
    ignore_poison(SYSTEM.registered.lock())
}

fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    ignore_poison(condvar.wait(guard))
}

fn is_readable(descriptor: impl AsFd) -> bool {
    let mut sources = [PollFd::new(&descriptor, PollFlags::IN)];
    let ready = poll(&mut sources, Some(&Timespec::default()));
    ready.expect("a descriptor can be polled") > 0
}
