//! A request whose response comes later. The connection waits for its waker and reads nothing meanwhile,
//! because responses have an order.

use std::borrow::Cow;
use std::io;
use std::time::Instant;

use http::Version;

use super::Http1;
use crate::connection::connection_io::{ConnectionIo, Readiness};
use crate::connection::transaction::{Transaction, drop_quietly};
use crate::connection::{CloseReason, DriveResult, Phase, Service, WorkerBuffers};
use crate::http1::{CONTINUE, KeptHead, early_hints};
use crate::message::body::{Client, Presence};
use crate::message::waker::Alarm;
use crate::message::{Later, Response};

/// A request that waits for its response.
pub(super) struct WaitingRequest {
    transaction: Transaction,
    later: Later,
    head: KeptHead,
    /// When the handler returned.
    since: Instant,
    body: RequestBody,
    probe: Probe,
    /// Wakes the connection when the response is due by the clock.
    _alarm: Option<Box<dyn Alarm>>,
}

/// A way to learn whether a client that has closed its side still reads. The system tells nothing more
/// of it until something is sent: then the system of a client that is gone resets the connection.
///
/// `100 Continue` can be sent at any time before the response, because every client of HTTP/1.1 discards
/// it if it has not asked for it (RFC 9110 section 15.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    Possible,
    /// It was sent, or the client speaks HTTP/1.0 and would take it for the response.
    Impossible,
}

impl Probe {
    fn of(version: Version) -> Self {
        match version {
            Version::HTTP_10 => Self::Impossible,
            _ => Self::Possible,
        }
    }
}

/// The part of the request's body that is read after the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestBody {
    /// Nothing.
    Done,
    /// It has not arrived, and is discarded.
    Withheld,
}

impl WaitingRequest {
    /// The approximate memory.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.head.held() + self.later.held()
    }
}

impl Http1 {
    /// Lets the request of a response that comes later wait.
    #[cold]
    #[inline(never)]
    pub(super) fn wait_for_later(
        &mut self,
        mut response: Response,
        transaction: Transaction,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<()> {
        let body = RequestBody::Done;
        match Later::take(&mut response) {
            Some(later) => self.wait_for_response(later, transaction, body, io, buffers, service),
            None => self.finish_body(io, &transaction, response, body, buffers, service),
        }
    }

    /// Takes the wait out of a response that comes later, and the request waits. Returns the response
    /// that is sent at once if it can't.
    #[cold]
    #[inline(never)]
    pub(super) fn wait_for_response(
        &mut self,
        mut later: Later,
        mut transaction: Transaction,
        body: RequestBody,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<()> {
        let now = buffers.catch_up();
        send_hints(&mut later, buffers);
        let mut timer = None;
        if later.waits() {
            let Some(waker) = buffers.waker() else {
                let received = buffers.received(service);
                let response = transaction.refuse_to_wait(later, &received, service);
                return self.finish_body(io, &transaction, response, body, buffers, service);
            };
            later.attach(waker.clone());
            let alarm = later.alarm().filter(|at| *at > now);
            timer = alarm.and_then(|at| waker.alarm(at, waker.clone()));
        }
        let probe = Probe::of(buffers.request.context.version);
        self.waiting = Some(Box::new(WaitingRequest {
            _alarm: timer,
            transaction,
            later,
            head: buffers.request.keep_head(),
            since: now,
            body,
            probe,
        }));
        Ok(())
    }

    /// Sends the response to the request that waits, if the response has arrived.
    #[cold]
    #[inline(never)]
    pub(super) fn continue_waiting(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        // The responses to earlier requests must not wait for this one.
        if let Some(result) = io.send(buffers, service)? {
            return Ok(Some(result));
        }
        if io.readiness == Readiness::HungUp
            && let Some(result) = self.check_client(io, buffers, service)?
        {
            return Ok(Some(result));
        }
        let Some(waiting) = &mut self.waiting else {
            return Ok(None);
        };
        let held = waiting.held() + self.decoder.held() + io.socket.held();
        let has_room = io.share.grow(buffers.io.input.unread().len() + held);
        let resolution = waiting.later.poll(buffers.now);
        if has_room && resolution.is_none() {
            let deadline = waiting.later.ends_at();
            let pending = io.deadlines.for_waker(deadline, buffers.now);
            return Ok(Some(DriveResult::Park(pending)));
        }
        let Some(waiting) = self.waiting.take() else {
            return Ok(None);
        };
        let WaitingRequest {
            mut transaction,
            later,
            head,
            since,
            body,
            probe: _,
            _alarm: _,
        } = *waiting;
        buffers.request.restore_head(head);
        let waited = buffers.now.saturating_duration_since(since);
        let received = buffers.received(service);
        let mut response = match resolution {
            Some(resolution) => transaction.complete(resolution, later, waited, &received, service),
            None => transaction.refuse_to_wait(later, &received, service),
        };
        match Later::take(&mut response) {
            Some(later) => {
                self.wait_for_response(later, transaction, body, io, buffers, service)?;
            }
            None => self.finish_body(io, &transaction, response, body, buffers, service)?,
        }
        Ok(None)
    }

    /// Finds out whether a client that has closed its side is gone. While the server runs, a client that
    /// may still read is left alone, but a shutdown should wait only for clients that do read.
    fn check_client(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        let Some(waiting) = &mut self.waiting else {
            return Ok(None);
        };
        match io.socket.presence() {
            Presence::Gone => return Ok(Some(DriveResult::Close(CloseReason::ClientLeft))),
            Presence::Here => return Ok(None),
            Presence::Finished => waiting.later.client_finished(),
        }
        if service.phase.get() < Phase::Draining || waiting.probe == Probe::Impossible {
            return Ok(None);
        }
        waiting.probe = Probe::Impossible;
        buffers.io.write_queue.bytes().extend_from_slice(CONTINUE);
        io.send(buffers, service)
    }

    fn finish_body(
        &mut self,
        io: &mut ConnectionIo,
        transaction: &Transaction,
        response: Response,
        body: RequestBody,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<()> {
        match body {
            RequestBody::Done => self.finish(io, transaction, response, buffers, service),
            RequestBody::Withheld => {
                self.finish_without_body(io, transaction, response, buffers, service)
            }
        }
    }

    /// Gives up the request that waits, because its connection closes.
    #[cold]
    pub(super) fn cancel(
        &mut self,
        reason: CloseReason,
        buffers: &WorkerBuffers,
        service: &Service,
    ) {
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        let WaitingRequest {
            mut transaction,
            later,
            head,
            ..
        } = *waiting;
        drop_quietly(later);
        // An aborted request is counted by the shutdown.
        if reason != CloseReason::Forced {
            transaction.observe_cancelled(&head.raw_request(), buffers.worker, service);
        }
    }
}

/// Appends early hints to the write queue, which is sent before the response is made.
fn send_hints(later: &mut Later, buffers: &mut WorkerBuffers) {
    let request = &buffers.request;
    let hints = later.take_hints(request.context.version, || Cow::Owned(request.headers()));
    if let Some(hints) = hints {
        early_hints(&hints, buffers.io.write_queue.bytes());
    }
}

impl std::fmt::Debug for WaitingRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitingRequest")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}
