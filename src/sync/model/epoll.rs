//! A model of the part of epoll that the poller uses.

use std::os::fd::{AsFd, AsRawFd};

use rustix::buffer::Buffer;
use rustix::event::Timespec;
pub(crate) use rustix::event::epoll::{CreateFlags, Event, EventData, EventFlags, create, delete};
use rustix::io::Result;

use super::{SYSTEM, is_readable, lock_system};

pub(crate) fn add(
    epoll: impl AsFd,
    source: impl AsFd,
    data: EventData,
    flags: EventFlags,
) -> Result<()> {
    let mut registered = lock_system();
    registered.push(source.as_fd().as_raw_fd());
    rustix::event::epoll::add(epoll, source, data, flags)?;
    SYSTEM.epoll_waiters.notify_one();
    Ok(())
}

pub(crate) fn modify(
    epoll: impl AsFd,
    source: impl AsFd,
    data: EventData,
    flags: EventFlags,
) -> Result<()> {
    let _system = lock_system();
    rustix::event::epoll::modify(epoll, source, data, flags)?;
    SYSTEM.epoll_waiters.notify_one();
    Ok(())
}

/// Waits without a limit, or not at all if there is a timeout: no time passes in a model.
pub(crate) fn wait<Buf: Buffer<Event>>(
    epoll: impl AsFd,
    events: Buf,
    timeout: Option<&Timespec>,
) -> Result<Buf::Output> {
    let mut system = lock_system();
    while timeout.is_none() && !is_readable(&epoll) {
        system = super::wait(&SYSTEM.epoll_waiters, system);
    }
    rustix::event::epoll::wait(epoll, events, Some(&Timespec::default()))
}
