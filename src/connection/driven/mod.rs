//! A protocol behind an upgrade that the pool drives.
//!
//! The connection stays in the pool: it parks in its slot like any other, and a worker that drives it
//! calls the [`DrivenProtocol`]. So it waits without a worker.

mod stream;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use log::{debug, error};

use self::stream::DrivenIo;
use super::close::CloseMode;
use super::connection_io::ConnectionIo;
use super::state::State;
use super::{Admission, CloseReason, DriveResult, Phase, Service, WaitFor, WorkerBuffers};
use crate::message::upgrade::{DrivenProtocol, DrivenStream, DrivenWaker, MakeDriven, NextStep};
use crate::sync::CENTURY;

/// The state of a driven protocol on one connection.
#[derive(Default)]
pub(super) struct Driven {
    /// Nothing once it has ended.
    protocol: Option<Box<dyn DrivenProtocol>>,
    /// Since when the client has taken nothing although there is something to send.
    stalled: Option<Instant>,
    /// The memory that the protocol keeps since its last call.
    held: usize,
}

impl Driven {
    /// Makes the protocol of a connection whose response has been sent.
    pub(super) fn begin(
        make: MakeDriven,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
    ) -> Self {
        // HTTP has ended, and the connection has not.
        io.state = State::Http;
        io.end = CloseReason::Upgraded;
        io.deadlines.end();
        let Some(waker) = buffers.waker() else {
            error!("{io}: closed: the poller is full");
            return Self::default();
        };
        let made = catch_unwind(AssertUnwindSafe(|| make(DrivenWaker::new(waker))));
        if made.is_err() {
            error!("{io}: making an upgraded protocol panicked");
        }
        Self {
            protocol: made.ok(),
            stalled: None,
            held: 0,
        }
    }

    /// Calls the protocol, and returns what it waits for.
    pub(super) fn drive(
        &mut self,
        io: &mut ConnectionIo,
        admission: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        if io.state != State::Http {
            return Ok(close(io, buffers, service));
        }
        if service.phase.get() >= Phase::Forced {
            return Ok(DriveResult::Close(CloseReason::Forced));
        }
        // The protocol's code runs on workers only, and its client waits for no response.
        if admission != Admission::Handle {
            return Ok(DriveResult::Requeue);
        }
        let Some(protocol) = &mut self.protocol else {
            return Ok(DriveResult::Close(CloseReason::Upgraded));
        };
        buffers.catch_up();
        let phase = service.phase.get();
        let mut driven = DrivenIo::new(io, buffers, phase, self.stalled);
        let next = catch_unwind(AssertUnwindSafe(|| {
            let next = protocol.ready(&mut DrivenStream::new(&mut driven));
            (next, protocol.held())
        }));
        let (is_limited, was_tried) = (driven.is_limited, driven.was_tried);
        self.stalled = driven.stalled;
        let (next, held) = match next {
            Ok((next, held)) => (Some(next), held),
            Err(_) => (None, 0),
        };
        self.held = held;
        let (until, has_more) = match next {
            Some(NextStep::Wait) => (None, false),
            Some(NextStep::WaitUntil(until)) => (Some(until), false),
            Some(NextStep::Yield) => (None, true),
            Some(NextStep::Close) => {
                self.end(io);
                io.state = State::Closing(CloseMode::Linger);
                io.deadlines.end();
                return Ok(close(io, buffers, service));
            }
            None => {
                error!("{io}: an upgraded protocol panicked");
                self.end(io);
                return Ok(DriveResult::Close(CloseReason::Upgraded));
            }
        };
        let now = buffers.catch_up();
        self.check_room(was_tried, now, io, service)?;
        if self.is_overdue(now, service) {
            self.end(io);
            return Ok(DriveResult::Close(CloseReason::SlowReader));
        }
        // A drain that has begun within the call has found no parked connection to wake.
        let has_news = phase == Phase::Running && service.phase.get() > Phase::Running;
        if has_more || is_limited || has_news {
            return Ok(io.keep_with(self.held, buffers, DriveResult::Requeue));
        }
        let result = DriveResult::Park(self.wait(until, now, io, service));
        Ok(io.keep_with(self.held, buffers, result))
    }

    /// Finds out whether the client still has to take something before more can be written.
    fn check_room(
        &mut self,
        was_tried: bool,
        now: Instant,
        io: &mut ConnectionIo,
        service: &Service,
    ) -> io::Result<()> {
        if !io.socket.flush()? {
            self.stalled.get_or_insert(now);
        } else if !was_tried {
            // The protocol has seen that there is room, or it has nothing to send any more.
            self.stalled = self.stalled.filter(|_| !io.socket.is_writable());
        } else if self.is_overdue(now, service) && io.socket.is_writable() {
            // The protocol itself took long.
            self.stalled = Some(now);
        }
        Ok(())
    }

    fn is_overdue(&self, now: Instant, service: &Service) -> bool {
        (self.stalled).is_some_and(|since| since + service.config.write_timeout <= now)
    }

    fn wait(
        &self,
        until: Option<Instant>,
        now: Instant,
        io: &mut ConnectionIo,
        service: &Service,
    ) -> super::Pending {
        let until = until.unwrap_or(now + Duration::from_secs(CENTURY));
        match self.stalled {
            None => io.deadlines.wait(WaitFor::Upgraded, until),
            Some(since) => {
                let deadline = until.min(since + service.config.write_timeout);
                io.deadlines.wait(WaitFor::UpgradedOrRoom, deadline)
            }
        }
    }

    /// Drops the protocol.
    fn end(&mut self, io: &ConnectionIo) {
        self.held = 0;
        let protocol = self.protocol.take();
        if catch_unwind(AssertUnwindSafe(|| drop(protocol))).is_err() {
            error!("{io}: dropping an upgraded protocol panicked");
        }
    }

    /// The memory that the protocol keeps.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Upgraded connections that have not ended: one.
    pub(super) fn unfinished() -> u64 {
        1
    }
}

/// Continues to close the connection, which the protocol has ended.
fn close(io: &mut ConnectionIo, buffers: &mut WorkerBuffers, service: &Service) -> DriveResult {
    buffers.io.input.clear();
    io.close(buffers, service).unwrap_or_else(|error| {
        // The client may have gone first.
        debug!("{io}: the socket failed: {error}");
        DriveResult::Close(CloseReason::Upgraded)
    })
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven")
            .field("stalled", &self.stalled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
