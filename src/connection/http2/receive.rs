//! Receives frames and passes them to the streams.

use std::io;
use std::mem;
use std::time::Instant;

use log::debug;

use super::request::Called;
use super::stream::{Step, Stream};
use super::{CallClock, Flow, Http2, Http2Event, STEPS_PER_TURN};
use crate::connection::connection_io::{ConnectionIo, Readiness};
use crate::connection::{CloseReason, DriveResult, Service, WorkerBuffers};
use crate::http2::{
    Error, ErrorCode, Event, Head, Mux, MuxConfig, PREFACE, Preface, ResetBy, StreamId,
};
use crate::message::request_error::RequestError;
use crate::net::transport::Received;

/// What the next frame leads to.
pub(super) enum Arrival {
    /// More may follow.
    Frame,
    /// A request is complete and its handler can run.
    Call,
    /// The rest of a frame, or another one, is needed.
    Incomplete,
}

/// What a frame asks of the connection, once its bytes are consumed.
pub(super) enum Action {
    Nothing,
    Incomplete { in_head: bool },
    Begin(StreamId, Head, bool),
    RejectHead(StreamId, RequestError),
    Reject(StreamId, RequestError),
    Complete(StreamId),
    Acknowledged,
    Fail(Error),
}

impl Http2 {
    /// Decodes the next frame of the input.
    pub(super) fn receive_frame(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Arrival {
        let action = match self.mux {
            Some(_) => self.decode_frame(io, buffers, service),
            None => self.receive_preface(buffers, service),
        };
        match action {
            Action::Nothing => {}
            Action::Incomplete { in_head } => {
                self.note_head(in_head, buffers);
                return Arrival::Incomplete;
            }
            Action::Begin(stream, head, is_ended) => {
                if let Some(Called) = self.begin(stream, &head, is_ended, io, buffers, service) {
                    return Arrival::Call;
                }
            }
            Action::Complete(stream) => {
                if let Some(Called) = self.complete(stream, io, buffers, service) {
                    return Arrival::Call;
                }
            }
            Action::RejectHead(stream, error) => {
                self.turn.steps -= 1;
                self.idleness.head = None;
                self.reject(stream, error, io, buffers, service);
            }
            Action::Reject(stream, error) => {
                self.restore(stream, buffers);
                self.reject(stream, error, io, buffers, service);
            }
            Action::Acknowledged => self.shutdown.acknowledge(),
            Action::Fail(error) => self.fail(&error, io, buffers),
        }
        Arrival::Frame
    }

    /// Waits for the client's preface, and answers it with the SETTINGS.
    fn receive_preface(&mut self, buffers: &mut WorkerBuffers, service: &Service) -> Action {
        match Preface::detect(buffers.io.input.unread()) {
            Preface::Partial => {
                return Action::Incomplete {
                    in_head: !buffers.io.input.is_empty(),
                };
            }
            Preface::Other => {
                return Action::Fail(Error::Connection {
                    code: ErrorCode::ProtocolError,
                    reason: "the client's preface is missing",
                });
            }
            Preface::Complete => {}
        }
        buffers.io.input.consume(PREFACE.len());
        let config = &service.config;
        let config = MuxConfig {
            max_streams: config.max_streams,
            max_stream_window: config.stream_window,
            connection_window: config.connection_window,
            max_header_size: config.max_header_size,
            websockets: config.websockets,
            client_settings: config.client_settings,
            ..MuxConfig::default()
        };
        let mut mux = Mux::new(config, buffers.io.write_queue.bytes());
        mux.borrow_memory(&mut buffers.http2_streams);
        mux.tick(buffers.now);
        self.mux = Some(mux);
        Action::Nothing
    }

    fn decode_frame(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Action {
        let Some(mux) = &mut self.mux else {
            return Action::Nothing;
        };
        let mut unread = buffers.io.input.unread();
        let before = unread.len();
        let out = buffers.io.write_queue.bytes();
        let event = mux.receive(&mut unread, &mut buffers.http2_request, out);
        let used = before - unread.len();
        let action = match event {
            Ok(Event::Incomplete { in_head }) => Action::Incomplete { in_head },
            Ok(Event::Request {
                stream,
                head,
                ended,
            }) => Action::Begin(stream, head, ended),
            Ok(Event::Rejected { stream, error }) => Action::RejectHead(stream, error),
            Ok(Event::Data {
                stream,
                content,
                ended,
            }) => {
                let out = buffers.io.write_queue.bytes();
                self.gather(stream, content, ended, io, out, service)
            }
            Ok(Event::Trailers { stream, lines }) => self.end_with_trailers(stream, lines),
            Ok(Event::Reset {
                stream,
                code,
                by,
                data,
            }) => {
                let (side, counted) = match by {
                    ResetBy::Client => ("client", Http2Event::ClientReset),
                    ResetBy::Server => ("server", Http2Event::ServerReset),
                };
                debug!("{io}: stream {stream} was reset by the {side}: {code}");
                self.stats.add(counted);
                self.forget(stream, data, buffers.now);
                Action::Nothing
            }
            Ok(Event::ShutdownAcknowledged) => Action::Acknowledged,
            Ok(Event::Goaway { code }) => {
                debug!("{io}: the client opens no more streams: {code}");
                Action::Nothing
            }
            Err(error) => Action::Fail(error),
        };
        buffers.io.input.consume(used);
        action
    }

    /// Sends the output so far, and receives if the socket may have bytes. Parks the connection if it
    /// has none.
    pub(super) fn receive_more(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Flow> {
        if self.turn.blocked.is_none() {
            // The frames may have opened windows.
            self.fill(buffers);
            #[cfg(feature = "inspect")]
            if self.is_breaking_off() {
                return Ok(Flow::Continue);
            }
            if !buffers.io.write_queue.is_empty() && !self.can_wait(io, buffers) {
                return self.flush(io, buffers, service);
            }
            if self.can_read(service) {
                return Ok(Flow::Continue);
            }
        }
        // All frames that have arrived come before a call.
        if let Some(Called) = self.next_driven(buffers, service) {
            return Ok(Flow::Return(self.lend(io, buffers, service)));
        }
        if self.turn.steps < STEPS_PER_TURN {
            buffers.catch_up();
            self.turn.clock = CallClock::default();
        }
        self.turn.steps -= 1;
        match io.receive(buffers.io.input.room())? {
            Received::Full => {
                buffers.enlarge_input();
                Ok(Flow::Continue)
            }
            Received::Short => Ok(Flow::Continue),
            // Output that has waited leaves first.
            Received::WouldBlock | Received::End if self.turn.has_waited => Ok(Flow::Continue),
            Received::WouldBlock => self.park(io, buffers, service),
            // Without WINDOW_UPDATEs few responses would arrive, so clients do not close one side
            // early as those of HTTP/1.1 do: this one has left, and readers and handlers must know.
            Received::End => Ok(Flow::Return(DriveResult::Close(match self.unfinished() {
                0 => CloseReason::ClientClosed,
                _ => CloseReason::ClientLeft,
            }))),
        }
    }

    /// Whether the output can wait for one more receive, so that it leaves together with what that leads
    /// to. Only acknowledgements and WINDOW_UPDATEs wait, and only if the client has sent more already.
    fn can_wait(&mut self, io: &ConnectionIo, buffers: &WorkerBuffers) -> bool {
        let is_first = !mem::replace(&mut self.turn.has_waited, true);
        is_first && io.readiness == Readiness::Readable && buffers.io.write_queue.responses() == 0
    }

    /// Notes whether a head is incomplete, since when, and how much of it has arrived.
    fn note_head(&mut self, is_incomplete: bool, buffers: &WorkerBuffers) {
        let held = self.mux.as_ref().map_or(0, Mux::held);
        let since = self.idleness.head.map_or(buffers.now, |(since, _)| since);
        let received = buffers.io.input.unread().len() + held;
        self.idleness.head = is_incomplete.then_some((since, received));
    }

    /// Notes a stream that was reset. The drop of its data may run a handler's code.
    pub(super) fn forget(&mut self, id: StreamId, stream: Stream, now: Instant) {
        match stream.step {
            Step::Streaming(_) => self.streamed -= 1,
            Step::Waiting(_) | Step::Sending(_) | Step::Later(_) => {
                if let Some(work) = &mut self.work {
                    work.forget(id);
                }
            }
            _ => {}
        }
        self.drop_stream(stream);
        self.note_idle(now);
    }
}
