//! Requests that wait until their handlers can run.

use std::time::Instant;

use super::Http2;
use super::request::{Called, body_mode, check_length};
use super::stream::{Outgoing, PartialRequest, Step};
use crate::connection::connection_io::ConnectionIo;
use crate::connection::{Admission, Phase, Service, WorkerBuffers};
use crate::http2::{Mux, StreamId};
use crate::message::Overload;

/// Responses of one connection that may wait for their client, with files and bodies of any size.
/// While there are more files, or more than a part of all memory, requests wait. Few descriptors are
/// left for files if each client has one for each of its streams.
const FREE_RESPONSES: usize = 8;

/// Which part of the memory budget the responses of one connection may take.
const OWED_PART: usize = 16;

impl Http2 {
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
        self.work().waiting.push_back(stream);
    }

    /// Whether a request waits for a handler.
    pub(super) fn has_waiting(&self) -> bool {
        self.work
            .as_ref()
            .is_some_and(|work| work.first_waiting().is_some())
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

    /// Returns the call of the oldest request that waits, and sheds those that have waited too long.
    pub(super) fn next_waiting(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Called> {
        while let Some(stream) = self.work.as_ref().and_then(|work| work.first_waiting()) {
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
            self.work().waiting.pop_front();
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
        if let (None, Some(kept)) = (request.mode, &mut request.request) {
            let mode = body_mode(kept.request_mut(), service);
            request.mode = Some(mode);
            // The body may have arrived before its handler was asked.
            let here = Some(request.content.len() as u64);
            let length = request.length.or(here);
            if let Err(error) = check_length(length, Some(mode), service) {
                self.restore_request(stream, request.request, buffers);
                self.reject(stream, error, io, buffers, service);
                return None;
            }
            if mode.is_buffered() && !request.is_ended {
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
}
