//! The way of a request from its head to its handler.

use std::borrow::Cow;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use log::error;

use super::Http2;
use super::calls::{CalledBody, HandlerCall, ReadCall, stream_client};
use super::driven::Arrived;
use super::stream::{PartialRequest, Step};
use super::streamed_body::{BodyChannel, Inflow};
use crate::connection::call::Call;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::transaction::{ReceivedRequest, Transaction};
use crate::connection::{Admission, CloseReason, Service, WorkerBuffers};
use crate::http2::{Head, Mux, RequestBuffer, StreamId};
use crate::message::request_error::RequestError;
use crate::message::{BodyMode, RawRequest, Request};

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

    fn explain(&self, error: RequestError) -> Cow<'static, str> {
        self.0.explain(error)
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
        // What follows a CONNECT is not its body.
        let is_ended = self.note_connect(stream, is_ended, buffers) || is_ended;
        if is_ended {
            buffers.http2_request.receive_body(Bytes::new(), None);
            if self.can_call(service) {
                return Some(self.call(stream, CalledBody::Complete, io, buffers, service));
            }
        }
        let mode = match (is_ended, self.turn.admission) {
            (true, _) => Some(BodyMode::Buffered),
            (false, Admission::Handle) => {
                Some(body_mode(&mut buffers.http2_request.request, service))
            }
            // Only workers ask handlers.
            (false, _) => None,
        };
        if !is_ended && let Err(error) = check_length(head.content_length, mode, service) {
            self.reject(stream, error, io, buffers, service);
            return None;
        }
        let is_received = mode.is_some_and(BodyMode::is_buffered) && !is_ended;
        let request = PartialRequest {
            request: (!is_received).then(|| buffers.http2_request.keep()),
            mode,
            expectation: head.expectation,
            is_continued: false,
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

    /// Lets what follows an extended CONNECT be kept. Returns whether the request is one.
    #[inline]
    fn note_connect(&mut self, stream: StreamId, is_ended: bool, buffers: &WorkerBuffers) -> bool {
        let is_websocket = buffers.http2_request.is_websocket;
        if is_websocket && let Some(entry) = self.stream_mut(stream) {
            entry.arrived = Some(Arrived::new(is_ended));
        }
        is_websocket
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
        if !self.has_waiting() && self.can_call(service) {
            return Some(self.call_partial(stream, request, io, buffers, service));
        }
        self.set_waiting(stream, request, buffers);
        None
    }

    /// Whether another handler of this connection may run.
    fn can_call(&self, service: &Service) -> bool {
        self.turn.admission == Admission::Handle
            && !self.has_waiting()
            && self.handlers < service.config.handlers_per_connection()
            && !self.owes_much(service)
    }

    /// Returns the call that is to run next: a handler of a request that has waited, or a read.
    pub(super) fn next_call(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        self.next_read(buffers, service)
            .or_else(|| self.next_completion(buffers, service))
            .or_else(|| self.next_waiting(io, buffers, service))
    }

    /// The call of the handler of a kept request.
    pub(super) fn call_partial(
        &mut self,
        stream: StreamId,
        mut request: Box<PartialRequest>,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Called {
        match request.mode {
            _ if request.is_ended && !matches!(request.mode, Some(BodyMode::Streaming { .. })) => {
                if request.is_continued {
                    io.client_info.set_continued();
                }
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
            Some(BodyMode::Buffered | BodyMode::BufferedUpTo { .. } | BodyMode::HeadOnly)
            | None => {
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
            mux.raise_window(stream, buffers.io.write_queue.bytes());
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
        io: &mut ConnectionIo,
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
        &mut self,
        stream: StreamId,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Transaction {
        let since = self.stream(stream).and_then(|stream| stream.since);
        let arrival = buffers.arrival(since);
        let settings = self.mux.as_mut().and_then(Mux::take_first_settings);
        if let Some(settings) = settings {
            io.client_info = io.client_info.with_settings(settings);
        }
        let client_info = io.client_info.request_on(stream.get());
        let request = &mut buffers.http2_request.request;
        Transaction::begin(arrival, client_info, request, service)
    }

    /// Whether a reader can be asked for the next part, or a response that came later be completed.
    pub(super) fn can_read(&self, service: &Service) -> bool {
        self.work.as_ref().is_some_and(|work| work.can_read()) && self.can_call_reads(service)
    }

    /// Whether a call may run that does not call a handler.
    pub(super) fn can_call_reads(&self, service: &Service) -> bool {
        self.turn.admission == Admission::Handle
            && self.reads < service.config.reads_per_connection()
    }

    /// Whether a call is due that does not call a handler.
    pub(super) fn has_reads(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.has_reads())
    }

    fn next_read(&mut self, buffers: &mut WorkerBuffers, service: &Service) -> Option<Called> {
        if !self.can_read(service) {
            return None;
        }
        while let Some(stream) = (self.work.as_mut()).and_then(|work| work.to_read.pop_front()) {
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
pub(super) fn check_length(
    length: Option<u64>,
    mode: Option<BodyMode>,
    service: &Service,
) -> Result<(), RequestError> {
    let most = match mode {
        None | Some(BodyMode::HeadOnly) => return Ok(()),
        Some(BodyMode::Streaming { most }) => most,
        Some(BodyMode::Buffered | BodyMode::BufferedUpTo { .. }) => {
            most_buffered(mode, service).min(service.budget.most() as u64)
        }
    };
    match length {
        Some(length) if length > most => Err(RequestError::BodyTooLarge),
        _ => Ok(()),
    }
}

/// The largest body that is received as a whole in this mode, or if the handler needs it after all.
pub(super) fn most_buffered(mode: Option<BodyMode>, service: &Service) -> u64 {
    match mode {
        Some(BodyMode::BufferedUpTo { most }) => most,
        _ => service.config.max_body as u64,
    }
}

/// Asks the handler for the body mode of a request.
pub(super) fn body_mode(request: &mut Request, service: &Service) -> BodyMode {
    let mode = catch_unwind(AssertUnwindSafe(|| {
        service.handler.prepare(request);
        service.handler.body_mode(request)
    }));
    mode.unwrap_or_else(|_| {
        let (method, target) = (request.method(), request.uri());
        error!("the handler panicked on the head of {method} {target}");
        BodyMode::Buffered
    })
}
