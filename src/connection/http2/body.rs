//! The bodies of requests, while they arrive.

use std::mem;

use super::Http2;
use super::receive::Action;
use super::request::most_buffered;
use super::stream::{PartialRequest, Step};
use crate::connection::connection_io::ConnectionIo;
use crate::connection::{Service, WorkerBuffers};
use crate::http2::{KeptRequest, StreamId};
use crate::message::head::expectation::Expectation;
use crate::message::request_error::RequestError;

/// A body whose length is announced gets memory for this many times what has arrived.
const GROWTH: usize = 8;

impl Http2 {
    /// Copies the request of an incomplete body out of the worker's buffers.
    pub(super) fn keep_partial(&mut self, buffers: &mut WorkerBuffers) {
        let Some(stream) = self.partial.take() else {
            return;
        };
        match self.stream_mut(stream).map(|stream| &mut stream.step) {
            Some(Step::Receiving(request)) => {
                request.request = Some(buffers.http2_partial.keep());
            }
            // The stream was reset.
            _ => buffers.http2_partial.clear(),
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
        let out = buffers.io.write_queue.bytes();
        let Some(mux) = &mut self.mux else { return };
        if mem::replace(&mut request.expectation, Expectation::None) == Expectation::Continue
            && request.content.is_empty()
        {
            mux.send_continue(stream, out);
            request.is_continued = true;
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
        if let Some(arrived) = &mut entry.arrived {
            arrived.push(content, is_ended);
            self.drive_soon(stream);
            return Action::Nothing;
        }
        match &mut entry.step {
            Step::Receiving(request) => {
                let length = request.content.len() + content.len();
                if length as u64 > most_buffered(request.mode, service) {
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
            | Step::Later(_)
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
            | Step::Later(_)
            | Step::Sending(_)
            | Step::Reading { .. }
            | Step::Discarding(_) => {}
        }
        Action::Nothing
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

    /// Opens the windows by as much as handlers have read, and sends `100 Continue` to clients whose
    /// handlers wait for a body.
    pub(super) fn supply_streamed_bodies(&mut self, buffers: &mut WorkerBuffers) {
        let Some(mux) = self.mux.as_mut().filter(|_| self.streamed > 0) else {
            return;
        };
        let out = buffers.io.write_queue.bytes();
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
}

impl PartialRequest {
    /// The memory for the body with this much more content.
    fn capacity_with(&self, more: usize) -> usize {
        let (needed, held) = (self.content.len() + more, self.content.capacity());
        if needed <= held {
            return held;
        }
        let announced = self.length.and_then(|length| usize::try_from(length).ok());
        needed.max(match announced {
            // The first frame makes room for a body of 64 KiB.
            Some(announced) => announced.min(GROWTH * needed),
            None => 2 * held,
        })
    }

    fn add(&mut self, content: &[u8], is_ended: bool) {
        let capacity = self.capacity_with(content.len());
        self.content.reserve_exact(capacity - self.content.len());
        self.content.extend_from_slice(content);
        self.is_ended |= is_ended;
    }
}
