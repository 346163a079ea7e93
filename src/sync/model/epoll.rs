//! epoll, as far as the lot uses it.

use std::os::fd::{AsFd, AsRawFd};

use rustix::buffer::Buffer;
use rustix::event::Timespec;
pub(crate) use rustix::event::epoll::{CreateFlags, Event, EventData, EventFlags, create, delete};
use rustix::io::Result;

use super::{SYSTEM, enter, is_readable};

pub(crate) fn add(
    epoll: impl AsFd,
    source: impl AsFd,
    data: EventData,
    flags: EventFlags,
) -> Result<()> {
    let mut registered = enter();
    registered.push(source.as_fd().as_raw_fd());
    rustix::event::epoll::add(epoll, source, data, flags)?;
    SYSTEM.watchers.notify_one();
    Ok(())
}

pub(crate) fn modify(
    epoll: impl AsFd,
    source: impl AsFd,
    data: EventData,
    flags: EventFlags,
) -> Result<()> {
    let _system = enter();
    rustix::event::epoll::modify(epoll, source, data, flags)?;
    SYSTEM.watchers.notify_one();
    Ok(())
}

/// Waits for ever, or not at all: no time passes in a model.
pub(crate) fn wait<Buf: Buffer<Event>>(
    epoll: impl AsFd,
    events: Buf,
    timeout: Option<&Timespec>,
) -> Result<Buf::Output> {
    let mut system = enter();
    while timeout.is_none() && !is_readable(&epoll) {
        system = super::wait(&SYSTEM.watchers, system);
    }
    rustix::event::epoll::wait(epoll, events, Some(&Timespec::default()))
}
