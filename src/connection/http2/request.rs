//! The way of a request from its head to its handler.

use std::borrow::Cow;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use bytes::Bytes;
use log::error;

use super::Http2;
use super::calls::{CalledBody, HandlerCall, ReadCall, stream_client};
use super::receive::Action;
use super::stream::{Outgoing, PartialRequest, Step};
use super::streamed_body::{BodyChannel, Inflow};
use crate::connection::call::Call;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::transaction::{ReceivedRequest, Transaction};
use crate::connection::{Admission, CloseReason, Phase, Service, WorkerBuffers};
use crate::http2::{Head, KeptRequest, Mux, RequestBuffer, StreamId};
use crate::message::head::expectation::Expectation;
use crate::message::request_error::RequestError;
use crate::message::{BodyMode, Overload, RawRequest, Request};

/// Responses of one connection that may wait for their client, with files and bodies of any size.
/// While there are more files, or more than a part of all memory, requests wait. Few descriptors are
/// left for files if each client has one for each of its streams.
const FREE_RESPONSES: usize = 8;

/// Which part of the memory budget the responses of one connection may take.
const OWED_PART: usize = 16;

/// A call lies in the worker's buffers. It is too large to be moved through the functions that
/// lead to it.
pub(super) struct Called;

/// The request in a worker's buffers, for a transaction.
pub(super) struct BufferedRequest<'b>(&'b mut RequestBuffer);

impl WorkerBuffers {
    pub(super) fn received_http2(&mut self) -> BufferedRequest<'_> {
        BufferedRequest(&mut self.http2_request)
    }
}

impl ReceivedRequest for BufferedRequest<'_> {
    fn request(&self) -> &Request {
        &self.0.request
    }

    fn request_mut(&mut self) -> &mut Request {
        &mut self.0.request
    }

    fn original(&self) -> Request {
        self.0.original()
    }

    fn raw_request(&self) -> RawRequest {
        self.0.raw_request()
    }

    fn request_line(&self) -> Cow<'_, str> {
        self.0.request_line()
    }
}

impl Http2 {
    /// Begins a request whose head is in the buffers. Returns the call of its handler if it can run.
    pub(super) fn begin(
        &mut self,
        stream: StreamId,
        head: &Head,
        is_ended: bool,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        self.turn.steps -= 1;
        self.idleness.has_had_request = true;
        io.end = CloseReason::Answered;
        // The head that arrives now is another one, with its own time.
        self.idleness.head = None;
        if let Some(entry) = self.stream_mut(stream) {
            entry.since = Some(buffers.now);
        }
        if let Admission::Shed(overload) = self.turn.admission {
            self.shed(stream, overload, io, buffers, service);
            return None;
        }
        if is_ended {
            buffers.http2_request.receive_body(Bytes::new(), None);
            if self.can_call(service) {
                return Some(self.call(stream, CalledBody::Complete, io, buffers, service));
            }
        }
        let mode = match (is_ended, self.turn.admission) {
            (true, _) => Some(BodyMode::Buffered),
            (false, Admission::Handle) => Some(body_mode(&buffers.http2_request.request, service)),
            // Only workers ask handlers.
            (false, _) => None,
        };
        if !is_ended && let Err(error) = check_length(head.content_length, mode, service) {
            self.reject(stream, error, io, buffers, service);
            return None;
        }
        let is_received = mode == Some(BodyMode::Buffered) && !is_ended;
        let request = PartialRequest {
            request: (!is_received).then(|| buffers.http2_request.keep()),
            mode,
            expectation: head.expectation,
            length: head.content_length,
            content: Vec::new(),
            trailers: None,
            is_ended,
            since: buffers.now,
        };
        if is_received {
            self.keep_partial(buffers);
            mem::swap(&mut buffers.http2_request, &mut buffers.http2_partial);
            self.partial = Some(stream);
            self.receive_body(stream, Box::new(request), buffers);
            return None;
        }
        self.call_or_wait(stream, Box::new(request), io, buffers, service)
    }

    /// Copies the request of an incomplete body out of the worker's buffers.
    pub(super) fn keep_partial(&mut self, buffers: &mut WorkerBuffers) {
        let Some(stream) = self.partial.take() else {
            return;
        };
        if let Some(Step::Receiving(request)) =
            self.stream_mut(stream).map(|stream| &mut stream.step)
        {
            request.request = Some(buffers.http2_partial.keep());
        }
    }

    /// Puts the request of a stream into the buffers for its response.
    pub(super) fn restore_request(
        &mut self,
        stream: StreamId,
        kept: Option<KeptRequest>,
        buffers: &mut WorkerBuffers,
    ) {
        match kept {
            Some(kept) => buffers.http2_request.restore(kept),
            None => {
                debug_assert_eq!(self.partial, Some(stream), "it is in the buffers");
                self.partial = None;
                mem::swap(&mut buffers.http2_request, &mut buffers.http2_partial);
            }
        }
    }

    /// Receives the body of a request until it is complete.
    pub(super) fn receive_body(
        &mut self,
        stream: StreamId,
        mut request: Box<PartialRequest>,
        buffers: &mut WorkerBuffers,
    ) {
        let out = buffers.write_queue.bytes();
        let Some(mux) = &mut self.mux else { return };
        if mem::replace(&mut request.expectation, Expectation::None) == Expectation::Continue
            && request.content.is_empty()
        {
            mux.send_continue(stream, out);
        }
        mux.release(stream, request.content.len(), out);
        request.since = buffers.now;
        self.set_step(stream, Step::Receiving(request));
    }

    /// Adds content to the request of a stream.
    pub(super) fn gather(
        &mut self,
        stream: StreamId,
        content: &[u8],
        is_ended: bool,
        io: &mut ConnectionIo,
        out: &mut Vec<u8>,
        service: &Service,
    ) -> Action {
        let held = match self.grows(stream, content.len()) {
            0 => 0,
            more => self.held() + more + io.socket.held(),
        };
        let Some(mux) = &mut self.mux else {
            return Action::Nothing;
        };
        let Some(entry) = mux.get_mut(stream) else {
            return Action::Nothing;
        };
        match &mut entry.step {
            Step::Receiving(request) => {
                if request.content.len() + content.len() > service.config.max_body {
                    return Action::Reject(stream, RequestError::BodyTooLarge);
                }
                if !io.share.grow(held) {
                    return Action::Reject(stream, RequestError::BufferLimit);
                }
                request.add(content, is_ended);
                if is_ended {
                    return Action::Complete(stream);
                }
                mux.raise_window(stream, out);
                mux.release(stream, content.len(), out);
            }
            // The window bounds what arrives until the handler asks for the body.
            Step::Waiting(request) | Step::Undecided(request) => request.add(content, is_ended),
            Step::Streaming(inflow) => inflow.push(content, is_ended),
            Step::Begun
            | Step::Handling
            | Step::Sending(_)
            | Step::Reading { .. }
            | Step::Discarding(_) => {}
        }
        Action::Nothing
    }

    /// How much memory a body needs for this much more content. It grows in large steps, so this is
    /// mostly 0.
    fn grows(&self, stream: StreamId, more: usize) -> usize {
        match self.stream(stream).map(|stream| &stream.step) {
            Some(Step::Receiving(request)) => {
                request.capacity_with(more) - request.content.capacity()
            }
            _ => 0,
        }
    }

    /// Ends a request by its trailers.
    pub(super) fn end_with_trailers(&mut self, stream: StreamId, lines: Vec<u8>) -> Action {
        let Some(entry) = self.stream_mut(stream) else {
            return Action::Nothing;
        };
        match &mut entry.step {
            Step::Receiving(request) => {
                request.is_ended = true;
                request.trailers = Some(lines);
                return Action::Complete(stream);
            }
            Step::Waiting(request) | Step::Undecided(request) => {
                request.is_ended = true;
                request.trailers = Some(lines);
            }
            Step::Streaming(inflow) => inflow.end_with_trailers(lines),
            Step::Begun
            | Step::Handling
            | Step::Sending(_)
            | Step::Reading { .. }
            | Step::Discarding(_) => {}
        }
        Action::Nothing
    }

    /// Calls the handler of a request whose body is complete, or lets the request wait.
    pub(super) fn complete(
        &mut self,
        stream: StreamId,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        self.turn.steps -= 1;
        match self.take_step(stream, |step| matches!(step, Step::Receiving(_))) {
            Step::Receiving(request) => self.call_or_wait(stream, request, io, buffers, service),
            _ => None,
        }
    }

    fn call_or_wait(
        &mut self,
        stream: StreamId,
        request: Box<PartialRequest>,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        if self.waiting.is_empty() && self.can_call(service) {
            return Some(self.call_partial(stream, request, io, buffers, service));
        }
        self.set_waiting(stream, request, buffers);
        None
    }

    /// Lets a request wait until one of the connection's handlers has returned.
    pub(super) fn set_waiting(
        &mut self,
        stream: StreamId,
        mut request: Box<PartialRequest>,
        buffers: &mut WorkerBuffers,
    ) {
        if request.request.is_none() {
            self.partial = None;
            request.request = Some(buffers.http2_partial.keep());
        }
        request.since = buffers.now;
        self.set_step(stream, Step::Waiting(request));
        self.waiting.push_back(stream);
    }

    /// Whether another handler of this connection may run.
    fn can_call(&self, service: &Service) -> bool {
        self.turn.admission == Admission::Handle
            && self.waiting.is_empty()
            && self.handlers < service.config.handlers_per_connection()
            && !self.owes_much(service)
    }

    /// Whether the client has to take responses before it gets more. A client of HTTP/1.1 would need
    /// a connection for each file and each large body.
    pub(super) fn owes_much(&self, service: &Service) -> bool {
        let Some(mux) = self.mux.as_ref().filter(|mux| mux.len() > FREE_RESPONSES) else {
            return false;
        };
        let (mut files, mut held) = (0, 0);
        for (_, stream) in mux.streams() {
            if let Step::Sending(sending) = &stream.step {
                files += usize::from(matches!(sending.content, Outgoing::File(_)));
                held += sending.held();
            }
        }
        files >= FREE_RESPONSES || held >= service.budget.most() / OWED_PART
    }

    /// Returns the call that is to run next: a handler of a request that has waited, or a read.
    pub(super) fn next_call(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        self.next_read(buffers, service)
            .or_else(|| self.next_waiting(io, buffers, service))
    }

    fn next_waiting(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        while let Some(&stream) = self.waiting.front() {
            let overload = match self.turn.admission {
                Admission::Shed(overload) => Some(overload),
                _ if self.owes_much(service) => {
                    self.restart_waiting(buffers.now);
                    return None;
                }
                _ if self.is_late(stream, buffers.now, service) => Some(Overload::Late),
                Admission::Protocol => return None,
                Admission::Handle if self.handlers >= service.config.handlers_per_connection() => {
                    return None;
                }
                Admission::Handle => None,
            };
            self.waiting.pop_front();
            // The stream may have been reset.
            let step = self.take_step(stream, |step| matches!(step, Step::Waiting(_)));
            match (step, overload) {
                (Step::Waiting(request), Some(overload)) => {
                    self.restore_request(stream, request.request, buffers);
                    self.shed(stream, overload, io, buffers, service);
                }
                (Step::Waiting(request), None) => {
                    self.turn.steps -= 1;
                    let call = self.call_waiting(stream, request, io, buffers, service);
                    if call.is_some() {
                        return call;
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The call of the handler of a request that has waited. If no handler was asked yet how it wants
    /// the body, this one may want all of it first.
    fn call_waiting(
        &mut self,
        stream: StreamId,
        mut request: Box<PartialRequest>,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        if let (None, Some(kept)) = (request.mode, &request.request) {
            let mode = body_mode(kept.request(), service);
            request.mode = Some(mode);
            if let Err(error) = check_length(request.length, Some(mode), service) {
                self.restore_request(stream, request.request, buffers);
                self.reject(stream, error, io, buffers, service);
                return None;
            }
            if mode == BodyMode::Buffered && !request.is_ended {
                self.receive_body(stream, request, buffers);
                return None;
            }
        }
        Some(self.call_partial(stream, request, io, buffers, service))
    }

    /// Requests that wait for their client do not wait for the server.
    fn restart_waiting(&mut self, now: Instant) {
        for (_, stream) in self.mux.iter_mut().flat_map(Mux::streams_mut) {
            if let Step::Waiting(request) = &mut stream.step {
                request.since = now;
            }
        }
    }

    /// Whether a request has waited too long for a handler. A drain handles every request.
    fn is_late(&self, stream: StreamId, now: Instant, service: &Service) -> bool {
        let Some(Step::Waiting(request)) = self.stream(stream).map(|stream| &stream.step) else {
            return false;
        };
        let waited = now.saturating_duration_since(request.since);
        service.phase.get() < Phase::Draining && waited >= service.config.queue_timeout
    }

    /// The call of the handler of a kept request.
    fn call_partial(
        &mut self,
        stream: StreamId,
        mut request: Box<PartialRequest>,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Called {
        match request.mode {
            _ if request.is_ended && !matches!(request.mode, Some(BodyMode::Streaming { .. })) => {
                let content = mem::take(&mut request.content).into();
                self.restore_request(stream, request.request.take(), buffers);
                buffers
                    .http2_request
                    .receive_body(content, request.trailers.take());
                self.call(stream, CalledBody::Complete, io, buffers, service)
            }
            Some(BodyMode::Streaming { most }) => {
                self.call_streaming(stream, *request, most, io, buffers, service)
            }
            Some(BodyMode::Buffered | BodyMode::HeadOnly) | None => {
                if let Some(kept) = &request.request {
                    buffers.http2_request.restore_copy(kept);
                }
                buffers.http2_request.withhold_body(request.length);
                let call = self.call(stream, CalledBody::Withheld, io, buffers, service);
                self.set_step(stream, Step::Undecided(request));
                call
            }
        }
    }

    fn call_streaming(
        &mut self,
        stream: StreamId,
        request: PartialRequest,
        most: u64,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Called {
        let window = self.mux.as_mut().map_or(0, |mux| {
            mux.raise_window(stream, buffers.write_queue.bytes());
            mux.receive_window(stream)
        });
        let channel = BodyChannel::new(
            request.length,
            most,
            request.expectation,
            window.div_ceil(2) as usize,
            service,
        );
        self.restore_request(stream, request.request, buffers);
        let trailers = buffers.http2_request.stream_body();
        let inflow = Inflow::new(channel.clone(), trailers);
        inflow.push(
            &request.content,
            request.is_ended && request.trailers.is_none(),
        );
        if let Some(lines) = request.trailers {
            inflow.end_with_trailers(lines);
        }
        let call = self.call(stream, CalledBody::Streamed(channel), io, buffers, service);
        self.streamed += 1;
        self.set_step(stream, Step::Streaming(inflow));
        call
    }

    /// The call of the handler of the request in the buffers.
    fn call(
        &mut self,
        stream: StreamId,
        body: CalledBody,
        io: &ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Called {
        let transaction = self.transaction(stream, io, buffers, service);
        self.handlers += 1;
        self.set_step(stream, Step::Handling);
        buffers.call = Some(Call::Handler(HandlerCall {
            stream,
            transaction,
            body,
        }));
        Called
    }

    /// Begins the transaction of the request in the buffers.
    pub(super) fn transaction(
        &self,
        stream: StreamId,
        io: &ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Transaction {
        let since = self.stream(stream).and_then(|stream| stream.since);
        let since = since.unwrap_or(buffers.now);
        let request = &mut buffers.http2_request.request;
        Transaction::begin(since, &io.client_info, request, service)
    }

    /// Moves the kept request of a stream into the buffers, for a response of the server's own.
    pub(super) fn restore(&mut self, stream: StreamId, buffers: &mut WorkerBuffers) {
        let is_kept = |step: &Step| matches!(step, Step::Receiving(_) | Step::Waiting(_));
        match self.take_step(stream, is_kept) {
            Step::Receiving(request) | Step::Waiting(request) => {
                self.restore_request(stream, request.request, buffers);
            }
            _ => buffers.http2_request.clear(),
        }
    }

    /// Gives the windows back what handlers have read, and sends `100 Continue` to clients whose
    /// handlers wait for a body.
    pub(super) fn supply_streamed_bodies(&mut self, buffers: &mut WorkerBuffers) {
        let Some(mux) = self.mux.as_mut().filter(|_| self.streamed > 0) else {
            return;
        };
        let out = buffers.write_queue.bytes();
        let streaming: Vec<_> = (mux.streams())
            .filter_map(|(id, stream)| match &stream.step {
                Step::Streaming(inflow) => Some((id, inflow.take_needs())),
                _ => None,
            })
            .collect();
        for (stream, needs) in streaming {
            if needs.needs_continue {
                mux.send_continue(stream, out);
            }
            mux.release(stream, needs.release, out);
        }
    }

    /// Whether a reader can be asked for the next part.
    pub(super) fn can_read(&self, service: &Service) -> bool {
        self.turn.admission == Admission::Handle
            && self.reads < service.config.reads_per_connection()
            && !self.to_read.is_empty()
    }

    fn next_read(&mut self, buffers: &mut WorkerBuffers, service: &Service) -> Option<Called> {
        if !self.can_read(service) {
            return None;
        }
        while let Some(stream) = self.to_read.pop_front() {
            let is_sending = |step: &Step| matches!(step, Step::Sending(_));
            let Step::Sending(sending) = self.take_step(stream, is_sending) else {
                continue;
            };
            let Some((source, part)) = sending.into_reader() else {
                continue;
            };
            let (client, guard) = stream_client();
            self.set_step(stream, Step::Reading { _guard: guard });
            self.reads += 1;
            self.turn.steps -= 1;
            buffers.call = Some(Call::Read(ReadCall {
                stream,
                source,
                part,
                client,
            }));
            return Some(Called);
        }
        None
    }
}

/// The error of a request whose announced body is too large for its mode, if that is known.
fn check_length(
    length: Option<u64>,
    mode: Option<BodyMode>,
    service: &Service,
) -> Result<(), RequestError> {
    let most = match mode {
        None | Some(BodyMode::HeadOnly) => return Ok(()),
        Some(BodyMode::Streaming { most }) => most,
        Some(BodyMode::Buffered) => service.config.max_body.min(service.budget.most()) as u64,
    };
    match length {
        Some(length) if length > most => Err(RequestError::BodyTooLarge),
        _ => Ok(()),
    }
}

/// Asks the handler for the body mode of a request.
fn body_mode(request: &Request, service: &Service) -> BodyMode {
    let mode = catch_unwind(AssertUnwindSafe(|| service.handler.body_mode(request)));
    mode.unwrap_or_else(|_| {
        let (method, target) = (request.method(), request.uri());
        error!("the handler panicked on the head of {method} {target}");
        BodyMode::Buffered
    })
}

impl PartialRequest {
    /// The memory for the body with this much more content.
    fn capacity_with(&self, more: usize) -> usize {
        let (needed, held) = (self.content.len() + more, self.content.capacity());
        if needed <= held {
            return held;
        }
        let announced = self.length.and_then(|length| usize::try_from(length).ok());
        needed.max(announced.unwrap_or(usize::MAX).min(2 * held))
    }

    fn add(&mut self, content: &[u8], is_ended: bool) {
        let capacity = self.capacity_with(content.len());
        self.content.reserve_exact(capacity - self.content.len());
        self.content.extend_from_slice(content);
        self.is_ended |= is_ended;
    }
}
