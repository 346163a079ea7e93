//! Responses on streams: a handler's, and those that the server makes itself.

use std::mem;

use http::header::CONNECTION;
use log::{debug, error};

use super::calls::{StreamReply, is_client_gone, observe};
use super::request::most_buffered;
use super::stream::{Outflow, Outgoing, PartialRequest, Sending, Step, Stream};
use super::{Http2, Http2Event};
use crate::connection::close::CloseMode;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::state::State;
use crate::connection::transaction::Transaction;
pub(super) use crate::connection::transaction::drop_quietly;
use crate::connection::write_queue::{COPIED_BODY, Memory};
use crate::connection::{Service, WorkerBuffers};
use crate::http2::{Content, Error, ErrorCode, Mux, StreamId};
use crate::message::body;
#[cfg(feature = "inspect")]
use crate::message::broken::BrokenHead;
use crate::message::headers::list::lists;
use crate::message::request_error::RequestError;
use crate::message::{Overload, Response};

/// A connection ends before its client has used all stream ids.
const LAST_STREAM: StreamId = StreamId::new(0x7fff_0000).expect("the number is not 0");

impl Http2 {
    /// Sends the results of calls, as far as windows allow.
    pub(super) fn apply_replies(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        let Some(work) = &mut self.work else { return };
        for reply in mem::take(&mut work.replies) {
            self.apply(reply, io, buffers, service);
        }
    }

    #[inline]
    pub(super) fn apply(
        &mut self,
        reply: StreamReply,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        match reply {
            StreamReply::Response {
                stream,
                response,
                is_head,
            } => {
                self.note_handler(stream);
                self.respond(stream, response, is_head, io, buffers);
            }
            StreamReply::Later { stream, waiting } => {
                self.note_handler(stream);
                self.wait_for_response(stream, waiting, buffers);
            }
            StreamReply::Completed(reply) => {
                self.reads -= 1;
                // The reply counts as a handler's.
                self.handlers += 1;
                self.apply(*reply, io, buffers, service);
            }
            StreamReply::NeedsBody { stream } => {
                self.note_handler(stream);
                self.receive_needed_body(stream, io, buffers, service);
            }
            StreamReply::NeedsHttp1 { stream } => {
                self.note_handler(stream);
                self.reset(stream, ErrorCode::Http11Required, buffers);
            }
            StreamReply::Accepted {
                stream,
                response,
                make,
            } => {
                self.note_handler(stream);
                self.begin_driven(stream, &response, make, buffers);
            }
            StreamReply::Driven(driven) => {
                self.reads -= 1;
                self.apply_driven(driven, buffers);
            }
            StreamReply::Failed { stream } => {
                self.note_handler(stream);
                self.reset(stream, ErrorCode::InternalError, buffers);
            }
            StreamReply::Part {
                stream,
                source,
                part,
            } => {
                self.reads -= 1;
                let outflow = Outflow::new(source, part);
                self.send_read(stream, outflow, buffers);
            }
            StreamReply::End { stream, trailers } => {
                self.reads -= 1;
                self.end_content(stream, &trailers, buffers);
            }
            StreamReply::Broken { stream, error } => {
                self.reads -= 1;
                if !is_client_gone(&error) {
                    error!("{io}: reading the response body of stream {stream} failed: {error}");
                }
                self.reset(stream, ErrorCode::InternalError, buffers);
            }
        }
    }

    /// Notes that a handler has returned, and reads no body any more.
    fn note_handler(&mut self, stream: StreamId) {
        self.handlers -= 1;
        let is_streaming = |step: &Step| matches!(step, Step::Streaming(_));
        if let Step::Streaming(_) = self.take_step(stream, is_streaming) {
            self.streamed -= 1;
            self.set_step(stream, Step::Handling);
        }
    }

    /// Receives the body of a request whose handler has first run without it.
    fn receive_needed_body(
        &mut self,
        stream: StreamId,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        let is_undecided = |step: &Step| matches!(step, Step::Undecided(_));
        let Step::Undecided(request) = self.take_step(stream, is_undecided) else {
            return;
        };
        match request.body_error(service) {
            Some(error) => {
                self.restore_request(stream, request.request, buffers);
                self.reject(stream, error, io, buffers, service);
            }
            None if request.is_ended => {
                self.set_waiting(stream, request, buffers);
            }
            None => self.receive_body(stream, request, buffers),
        }
    }

    /// Sends a response, as far as windows allow.
    // Inlined, because a response is large to move.
    #[inline]
    fn respond(
        &mut self,
        stream: StreamId,
        response: Response,
        is_head: bool,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
    ) {
        let date = buffers.date();
        let is_full = self.is_full(buffers);
        let out = buffers.io.write_queue.bytes();
        let Some(mux) = self.mux.as_mut().filter(|mux| mux.get(stream).is_some()) else {
            return drop_quietly(response);
        };
        #[cfg(feature = "inspect")]
        if let Some(broken) = response.body().broken()
            && broken.head == BrokenHead::Omitted
        {
            let end = broken.end;
            drop_quietly(response);
            return self.end_headless(stream, end, buffers);
        }
        let is_last = lists(response.headers(), &CONNECTION, "close");
        let content = mux.respond(stream, &response, is_head, &date, out);
        match (content, response.into_body().into_content()) {
            (Content::Follows, body::Content::Memory(bytes)) if !bytes.is_empty() => {
                let is_small = bytes.len() <= COPIED_BODY && bytes.len() <= mux.capacity(stream);
                if is_small && !is_full {
                    mux.send_data(stream, &bytes, true, out);
                    self.finish(stream, buffers);
                } else {
                    self.send_later(stream, Outgoing::Memory(Memory::new(bytes)));
                    if !self.has_room(io, buffers) {
                        // The end of the turn closes the connection.
                        self.turn.steps = 0;
                    }
                }
            }
            (Content::Follows, body::Content::File(part)) if part.left > 0 => {
                self.send_later(stream, Outgoing::File(part));
            }
            (Content::Follows, body::Content::Reader(source)) if source.length != Some(0) => {
                self.send_source(stream, source, buffers);
            }
            #[cfg(feature = "inspect")]
            (content, body::Content::Broken(broken)) => {
                self.send_broken(stream, *broken, content, buffers);
            }
            (_, content) => {
                drop_quietly(content);
                self.finish(stream, buffers);
            }
        }
        if is_last || io.socket.keys_near_limit() || stream >= LAST_STREAM {
            self.close_after_response(buffers);
        }
    }

    pub(super) fn send_later(&mut self, stream: StreamId, content: Outgoing) {
        let sending = Sending::new(content);
        if let Some(mux) = &mut self.mux {
            mux.set_pending(stream, Some(sending.pending()));
        }
        self.set_step(stream, Step::Sending(Box::new(sending)));
    }

    /// Sends the part that a reader has returned.
    fn send_read(&mut self, stream: StreamId, outflow: Outflow, buffers: &mut WorkerBuffers) {
        match self.stream(stream).map(|stream| &stream.step) {
            Some(Step::Reading { .. }) => {
                self.send_later(stream, Outgoing::Reader(outflow));
                self.fill(buffers);
            }
            _ => drop_quietly(outflow),
        }
    }

    /// Ends the content of a response.
    pub(super) fn end_content(
        &mut self,
        stream: StreamId,
        trailers: &http::HeaderMap,
        buffers: &mut WorkerBuffers,
    ) {
        let Some(mux) = self.mux.as_mut().filter(|mux| mux.get(stream).is_some()) else {
            return;
        };
        let out = buffers.io.write_queue.bytes();
        match trailers.is_empty() {
            true => mux.append_data(stream, &[], true, out),
            false => mux.send_trailers(stream, trailers, out),
        }
        self.finish(stream, buffers);
    }

    /// Notes that a response is complete. The rest of its request is discarded.
    pub(super) fn finish(&mut self, stream: StreamId, buffers: &mut WorkerBuffers) {
        buffers.io.write_queue.push_response();
        if let Some(entry) = self.stream_mut(stream) {
            entry.step = Step::Discarding(buffers.now);
            entry.arrived = None;
        }
        if let Some(mux) = &mut self.mux {
            mux.discard(stream);
        }
        self.note_idle(buffers.now);
    }

    /// Resets a stream.
    pub(super) fn reset(&mut self, stream: StreamId, code: ErrorCode, buffers: &mut WorkerBuffers) {
        let out = buffers.io.write_queue.bytes();
        if let Some(mux) = &mut self.mux
            && let Some(data) = mux.reset(stream, code, out)
        {
            self.forget_reset(stream, data, buffers);
        }
    }

    /// Resets a stream whose client gives its response no window.
    pub(super) fn cancel_stalled(
        &mut self,
        stream: StreamId,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
    ) {
        let Some(mux) = &mut self.mux else { return };
        match mux.cancel_stalled(stream, buffers.io.write_queue.bytes()) {
            Ok(Some(data)) => self.forget_reset(stream, data, buffers),
            Ok(None) => {}
            Err(error) => self.fail(&error, io, buffers),
        }
    }

    fn forget_reset(&mut self, stream: StreamId, data: Stream, buffers: &mut WorkerBuffers) {
        self.stats.add(Http2Event::ServerReset);
        self.forget(stream, data, buffers.now);
    }

    /// Responds to a request that is rejected.
    pub(super) fn reject(
        &mut self,
        stream: StreamId,
        error: RequestError,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        debug!("{io}: stream {stream}: {error}");
        self.respond_here(stream, io, buffers, service, |transaction, buffers| {
            let detail = buffers.http2_request.explain(error);
            transaction.reject(error, detail, &buffers.received_http2(), service)
        });
        let is_discarded = |step: &Step| matches!(step, Step::Discarding(_));
        if error == RequestError::BodyTimeout
            && self
                .stream(stream)
                .is_some_and(|stream| is_discarded(&stream.step))
        {
            self.reset(stream, ErrorCode::NoError, buffers);
        }
    }

    /// Responds 503 to a request that waited too long or in too long a queue.
    pub(super) fn shed(
        &mut self,
        stream: StreamId,
        overload: Overload,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        self.turn.steps -= 1;
        buffers.add_shed(overload);
        self.respond_here(stream, io, buffers, service, |transaction, buffers| {
            transaction.shed(overload, &buffers.received_http2(), service)
        });
    }

    /// Responds to the request in the buffers without its handler.
    fn respond_here(
        &mut self,
        stream: StreamId,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
        respond: impl FnOnce(&mut Transaction, &mut WorkerBuffers) -> Response,
    ) {
        let is_head = buffers.http2_request.is_head;
        let mut transaction = self.transaction(stream, io, buffers, service);
        let mut response = respond(&mut transaction, buffers);
        transaction.decorate(&mut response, &buffers.received_http2(), service);
        observe(&transaction, &response, is_head, buffers, service);
        self.respond(stream, response, is_head, io, buffers);
    }

    /// Ends the connection, because the client broke a rule for all of it.
    pub(super) fn fail(
        &mut self,
        error: &Error,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
    ) {
        debug!("{io}: {error}");
        self.stats.add_goaway(error.code());
        if let Some(mut mux) = self.mux.take() {
            if let Some(kind) = mux.abuse_kind() {
                self.stats.add_abuse(kind);
            }
            mux.close(error, buffers.io.write_queue.bytes());
            self.cancel_all(mux);
        }
        io.state = State::Closing(CloseMode::Linger);
        io.deadlines.end();
    }
}

impl PartialRequest {
    /// The error of a request whose body is too large to be kept.
    fn body_error(&self, service: &Service) -> Option<RequestError> {
        let most = most_buffered(self.mode, service).min(service.budget.most() as u64);
        let length = (self.length).map_or(self.content.len() as u64, |length| length);
        (length > most).then_some(RequestError::BodyTooLarge)
    }
}

/// Each drop is guarded on its own: a second panic while the first unwinds would end the process.
impl Drop for Http2 {
    fn drop(&mut self) {
        if let Some(work) = &mut self.work {
            work.replies.drain(..).for_each(drop_quietly);
        }
        if let Some(mux) = self.mux.take() {
            drop_streams(mux);
        }
    }
}

fn drop_streams(mut mux: Mux<Stream>) {
    for (_, stream) in mux.streams_mut() {
        drop_quietly(mem::take(&mut stream.step));
    }
}
