//! Responses that come later. Such a stream keeps what its response needs, and no place of a handler.
//! When the response has arrived, it is completed as a [`Call`]: layers may change it.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use http::{HeaderMap, StatusCode, Version};

use super::Http2;
use super::calls::{StreamReply, complete};
use super::request::Called;
use super::respond::drop_quietly;
use super::stream::{Step, Stream};
use crate::connection::call::Call;
use crate::connection::transaction::Transaction;
use crate::connection::{CloseReason, DriveResult, Service, WorkerBuffers};
use crate::http2::{KeptRequest, Mux, StreamId};
use crate::message::Later;
use crate::message::later::Resolution;
use crate::message::waker::Alarm;

/// A request that waits for its response.
pub(crate) struct WaitingRequest {
    transaction: Transaction,
    later: Later,
    request: KeptRequest,
    /// When the handler returned.
    since: Instant,
    state: State,
    /// Wakes the stream when the response is due by the clock.
    alarm: Option<Box<dyn Alarm>>,
}

enum State {
    Waiting,
    /// The wait has ended, and a worker completes the response.
    Ended(Resolution),
    /// The server has no place for a connection that waits.
    Refused,
}

/// Completes a response that has arrived.
pub(crate) struct CompleteCall {
    stream: StreamId,
    waiting: Box<WaitingRequest>,
}

/// A request whose client has left before its response, for observers.
pub(super) struct CancelledRequest(Transaction, KeptRequest);

impl WaitingRequest {
    /// A request in the buffers whose handler has returned.
    pub(super) fn new(
        transaction: Transaction,
        later: Later,
        buffers: &WorkerBuffers,
    ) -> Box<Self> {
        Box::new(Self {
            transaction,
            later,
            request: buffers.http2_request.keep_head(),
            since: Instant::now(),
            state: State::Waiting,
            alarm: None,
        })
    }

    /// The approximate memory.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.request.held() + self.later.held()
    }

    fn take_hints(&mut self) -> Option<Box<HeaderMap>> {
        let no_headers = || Cow::Owned(HeaderMap::new());
        self.later.take_hints(Version::HTTP_2, no_headers)
    }

    /// When the wait ends at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting => self.later.ends_at(),
            State::Ended(_) | State::Refused => None,
        }
    }

    /// Notes whether the wait has ended. Returns whether it has ended just now.
    fn poll(&mut self, now: Instant) -> bool {
        if !matches!(self.state, State::Waiting) {
            return false;
        }
        let Some(resolution) = self.later.poll(now) else {
            return false;
        };
        self.state = State::Ended(resolution);
        self.alarm = None;
        true
    }

    fn cancel(self) -> CancelledRequest {
        let Self {
            transaction,
            later,
            request,
            state,
            ..
        } = self;
        drop_quietly((later, state));
        CancelledRequest(transaction, request)
    }
}

impl Http2 {
    /// Lets a request wait for its response.
    #[cold]
    pub(super) fn wait_for_response(
        &mut self,
        stream: StreamId,
        mut waiting: Box<WaitingRequest>,
        buffers: &mut WorkerBuffers,
    ) {
        let Some(mux) = self.mux.as_mut().filter(|mux| mux.get(stream).is_some()) else {
            return self.work().cancelled.push(waiting.cancel());
        };
        // A body without a reader must not fill the windows. Content after a CONNECT may still be read.
        if mux.get(stream).is_some_and(|entry| entry.arrived.is_none()) {
            mux.discard(stream);
        }
        if let Some(hints) = waiting.take_hints() {
            let out = buffers.io.write_queue.bytes();
            mux.send_interim(stream, early_hints(), &hints, out);
            self.turn.has_interim = true;
        }
        match self.work().woken.waker(stream, buffers) {
            _ if !waiting.later.waits() => {}
            Some(waker) => {
                waiting.later.attach(waker.clone());
                let at = waiting.later.alarm();
                waiting.alarm = at.and_then(|at| waker.alarm(at, waker.clone()));
            }
            None => {
                waiting.state = State::Refused;
                self.work().to_complete.push_back(stream);
            }
        }
        self.set_step(stream, Step::Later(waiting));
        self.poll_later(stream, buffers);
    }

    /// Notes whether the wait of a stream has ended.
    pub(super) fn poll_later(&mut self, stream: StreamId, buffers: &WorkerBuffers) {
        // A timer may have fired while a call ran.
        let now = buffers.now.max(Instant::now());
        if let Some(entry) = self.stream_mut(stream)
            && let Step::Later(waiting) = &mut entry.step
            && waiting.poll(now)
        {
            self.work().to_complete.push_back(stream);
        }
    }

    /// Returns the call that completes the next response.
    pub(super) fn next_completion(
        &mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        if !self.can_read(service) {
            return None;
        }
        while let Some(stream) = (self.work.as_mut()).and_then(|work| work.to_complete.pop_front())
        {
            let is_later = |step: &Step| matches!(step, Step::Later(_));
            let Step::Later(waiting) = self.take_step(stream, is_later) else {
                continue;
            };
            self.set_step(stream, Step::Handling);
            self.reads += 1;
            self.turn.steps -= 1;
            buffers.call = Some(Call::Complete(CompleteCall { stream, waiting }));
            return Some(Called);
        }
        None
    }

    /// Drops the data of a stream that was reset. A request that waited is kept for observers.
    pub(super) fn drop_stream(&mut self, stream: Stream) {
        match stream.step {
            Step::Later(waiting) => self.work().cancelled.push(waiting.cancel()),
            step => drop_quietly(step),
        }
    }

    /// Drops all streams, because the connection ends.
    pub(super) fn cancel_all(&mut self, mut mux: Mux<Stream>) {
        for (_, stream) in mux.streams_mut() {
            self.drop_stream(mem::take(stream));
        }
    }

    /// Passes requests that were cancelled to the observers, after a part of a turn.
    #[inline]
    pub(super) fn observe_cancelled(
        &mut self,
        result: &io::Result<DriveResult>,
        buffers: &WorkerBuffers,
        service: &Service,
    ) {
        let may_close = matches!(result, Err(_) | Ok(DriveResult::Close(_)));
        if !may_close && self.work.is_none() {
            return;
        }
        // Aborted requests are counted by the shutdown.
        let has_closed = match result {
            Ok(DriveResult::Close(reason)) => *reason != CloseReason::Forced,
            Ok(_) => false,
            Err(_) => true,
        };
        if has_closed {
            self.cancel_waiting();
        }
        if let Some(work) = &mut self.work {
            for CancelledRequest(mut transaction, request) in work.cancelled.drain(..) {
                transaction.observe_cancelled(&request.raw_request(), buffers.worker, service);
            }
        }
    }

    fn cancel_waiting(&mut self) {
        for (_, stream) in self.mux.iter_mut().flat_map(Mux::streams_mut) {
            if let Step::Later(_) = stream.step
                && let Step::Later(waiting) = mem::take(&mut stream.step)
            {
                let work = self.work.get_or_insert_default();
                work.cancelled.push(waiting.cancel());
            }
        }
    }
}

impl CompleteCall {
    /// Completes the response. A panic outside of the layers resets the stream.
    pub(in crate::connection) fn run(
        self,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> StreamReply {
        let mut reply = Box::new(StreamReply::Failed {
            stream: self.stream,
        });
        let run = || *reply = self.complete(buffers, service);
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            buffers.replace();
        }
        StreamReply::Completed(reply)
    }

    fn complete(self, buffers: &mut WorkerBuffers, service: &Service) -> StreamReply {
        let Self { stream, waiting } = self;
        let WaitingRequest {
            mut transaction,
            later,
            request,
            since,
            state,
            alarm: _,
        } = *waiting;
        buffers.http2_request.restore(request);
        let is_head = buffers.http2_request.is_head;
        let received = buffers.received_http2();
        let mut response = match state {
            State::Ended(resolution) => {
                transaction.complete(resolution, later, since.elapsed(), &received, service)
            }
            State::Waiting | State::Refused => {
                transaction.refuse_to_wait(later, &received, service)
            }
        };
        if let Some(later) = Later::take(&mut response) {
            let waiting = WaitingRequest::new(transaction, later, buffers);
            return StreamReply::Later { stream, waiting };
        }
        complete(
            stream,
            &mut transaction,
            response,
            is_head,
            buffers,
            service,
        )
    }
}

fn early_hints() -> StatusCode {
    StatusCode::from_u16(103).expect("the number is a status")
}

impl fmt::Debug for WaitingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingRequest")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CompleteCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = &self.stream;
        f.debug_struct("CompleteCall")
            .field("stream", stream)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CancelledRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelledRequest").finish_non_exhaustive()
    }
}
