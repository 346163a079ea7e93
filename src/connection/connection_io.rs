//! The part of a connection that every protocol needs: socket, buffers, deadlines and budget.

use std::fmt;
use std::io;
use std::mem;
use std::time::Instant;

use log::error;

use super::budget::Share;
use super::checkout::Checkout;
use super::deadlines::Deadlines;
use super::state::State;
use super::worker_buffers::IoBuffers;
use super::write_queue::{Backlog, FlushResult, WriteQueue};
use super::{CloseReason, DriveResult, Service, WaitFor, WakeReason, WorkerBuffers};
use crate::message::body::{Client as _, Presence};
use crate::message::{ClientInfo, PeerAddr};
use crate::net::ListenerProtocol;
use crate::net::transport::{Received, Socket};

/// A client's socket with the buffers, deadlines and budget of its connection.
pub(super) struct ConnectionIo {
    pub(super) socket: Checkout<Socket>,
    pub(super) client_info: ClientInfo,
    /// Received bytes that were not consumed when the connection was parked.
    pub(super) carried: Box<[u8]>,
    /// Output that was not sent when the connection was parked.
    pub(super) unsent: Option<Box<WriteQueue>>,
    /// Input and output of a lent connection.
    pub(super) lent: Option<Box<IoBuffers>>,
    pub(super) state: State,
    /// Why the connection closes if it closes in order.
    pub(super) end: CloseReason,
    pub(super) readiness: Readiness,
    pub(super) deadlines: Deadlines,
    /// The connection's share of the memory budget: its incomplete requests and unsent output.
    pub(super) share: Share,
}

/// Whether the socket may have bytes to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// There may be some.
    Readable,
    /// All bytes were received; the next event of the poller reports new ones.
    Drained,
    /// The client has closed its side, and no further event will report that.
    HungUp,
}

impl ConnectionIo {
    pub(super) fn new(
        socket: Socket,
        peer: PeerAddr,
        protocol: &ListenerProtocol,
        now: Instant,
        service: &Service,
    ) -> Self {
        let state = State::first(protocol);
        Self {
            socket: Checkout::new(socket),
            client_info: ClientInfo::new(peer),
            carried: Box::default(),
            unsent: None,
            lent: None,
            state,
            end: CloseReason::Answered,
            readiness: Readiness::Readable,
            deadlines: state.deadlines(now, &service.config),
            share: Share::new(&service.budget),
        }
    }

    /// Responses that have not been sent in full.
    pub(super) fn unsent_responses(&self) -> u64 {
        self.output().map_or(0, WriteQueue::responses)
    }

    /// Whether a parked or lent connection has output that was not sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.output().is_some_and(|queue| !queue.is_empty())
    }

    fn output(&self) -> Option<&WriteQueue> {
        match &self.lent {
            Some(lent) => Some(&lent.write_queue),
            None => self.unsent.as_deref(),
        }
    }

    /// Notes that bytes may have arrived since the last receive.
    pub(super) fn expect_more(&mut self) {
        if self.readiness == Readiness::Drained {
            self.readiness = Readiness::Readable;
        }
    }

    /// Receives into `buffer` if the socket may have bytes.
    pub(super) fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        if self.readiness == Readiness::Drained {
            return Ok(Received::WouldBlock);
        }
        let received = self.socket.receive(buffer)?;
        let is_drained = matches!(received, Received::Short | Received::WouldBlock);
        if is_drained && self.readiness == Readiness::Readable {
            self.readiness = Readiness::Drained;
        }
        Ok(received)
    }

    /// Sends the write queue. Returns a result if the connection can't continue now.
    pub(super) fn send(
        &mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        if self.readiness == Readiness::HungUp
            && let Some(body) = buffers.io.write_queue.polled()
        {
            match self.socket.presence() {
                Presence::Gone => return Ok(Some(DriveResult::Close(CloseReason::ClientLeft))),
                Presence::Finished => body.client_finished(),
                Presence::Here => {}
            }
        }
        let was_empty = buffers.io.write_queue.is_empty();
        match buffers
            .io
            .write_queue
            .flush(&mut self.socket, buffers.now)?
        {
            FlushResult::All(responses) => {
                buffers.answered += responses;
                let waited_for = self.deadlines.waits_for();
                if !was_empty && matches!(waited_for, Some(WaitFor::Room | WaitFor::Waker)) {
                    self.deadlines.end();
                }
                Ok(None)
            }
            FlushResult::Last(responses) => {
                buffers.answered += responses;
                Ok(Some(DriveResult::Upgrade))
            }
            FlushResult::Enough => {
                self.deadlines.end();
                Ok(Some(self.keep(buffers, DriveResult::Requeue)))
            }
            FlushResult::Part(progress, backlog) => Ok(Some(
                self.wait_for_room(progress, backlog, buffers, service),
            )),
            FlushResult::Pending(until) => {
                let pending = self.deadlines.for_waker(until, buffers.now);
                Ok(Some(self.keep(buffers, DriveResult::Park(pending))))
            }
            FlushResult::Gone => Ok(Some(DriveResult::Close(CloseReason::ClientLeft))),
            FlushResult::Broken(error) => {
                error!("{self}: reading the response body failed: {error}");
                Ok(Some(DriveResult::Close(CloseReason::Broken)))
            }
        }
    }

    /// Parks the connection until the client reads, or closes it at the write deadline.
    pub(super) fn wait_for_room(
        &mut self,
        progress: usize,
        backlog: Backlog,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> DriveResult {
        let now = buffers.catch_up();
        let pending = self
            .deadlines
            .for_room(progress, backlog, now, &service.config);
        // The send before this was the last attempt at the deadline.
        if pending.deadline <= now {
            DriveResult::Close(CloseReason::SlowReader)
        } else {
            self.keep(buffers, DriveResult::Park(pending))
        }
    }

    /// Returns `result` if the budget has room for the unsent output, and closes otherwise.
    pub(super) fn keep(&mut self, buffers: &WorkerBuffers, result: DriveResult) -> DriveResult {
        self.keep_with(0, buffers, result)
    }

    /// Like [`keep`](Self::keep), with room for `held` bytes that the protocol keeps.
    pub(super) fn keep_with(
        &mut self,
        held: usize,
        buffers: &WorkerBuffers,
        result: DriveResult,
    ) -> DriveResult {
        let unsent = buffers.io.write_queue.held() + self.socket.held();
        let unread = buffers.io.input.unread().len();
        if self.share.grow(held + unread + unsent) {
            result
        } else {
            DriveResult::Close(CloseReason::BufferLimit)
        }
    }

    /// Parks the connection until the first byte of a request, or closes it if it is idle for too
    /// long or the server drains.
    pub(super) fn wait_for_first_byte(
        &mut self,
        wake: WakeReason,
        now: Instant,
        service: &Service,
    ) -> DriveResult {
        match wake {
            WakeReason::Recalled => DriveResult::Close(CloseReason::Drained),
            WakeReason::Expired if self.deadlines.waits_for().is_some() => {
                DriveResult::Close(CloseReason::Idle)
            }
            _ => DriveResult::Park(self.deadlines.for_first_byte(now, &service.config)),
        }
    }

    /// Moves what was kept while the connection was parked into the worker's buffers.
    pub(super) fn unpack(&mut self, buffers: &mut WorkerBuffers) {
        if let Some(lent) = self.lent.take() {
            buffers.take_back(lent);
        }
        if !self.carried.is_empty() {
            buffers.io.input.extend(&mem::take(&mut self.carried));
        }
        if let Some(unsent) = self.unsent.take() {
            buffers.io.write_queue.put_back(*unsent);
        }
    }

    /// Moves what the connection must keep out of the worker's buffers, into as little memory as
    /// possible. `held` is what its protocol keeps.
    pub(super) fn pack(&mut self, held: usize, buffers: &mut WorkerBuffers) {
        if !buffers.io.input.is_empty() {
            self.carried = buffers.io.input.unread().into();
            buffers.io.input.clear();
        }
        if !buffers.io.write_queue.is_empty() {
            self.unsent = Some(Box::new(buffers.io.write_queue.take()));
        }
        let unsent = self.unsent.as_ref().map_or(0, |queue| queue.held());
        self.share
            .shrink(self.carried.len() + held + self.socket.held() + unsent);
        buffers.reset();
    }
}

/// Writes the peer's address, for the log.
impl fmt::Display for ConnectionIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client_info.peer().fmt(f)
    }
}
