//! HTTP/1.1 on a connection: requests are received and answered one after another.

#[cfg(feature = "inspect")]
mod broken;
mod interim;
mod later;
#[cfg(feature = "http2")]
mod preface;
mod read_limit;
mod request;
mod respond;
mod streamed_body;
mod waiting;

use std::io;

use self::later::WaitingRequest;
use self::read_limit::ReadLimit;
use self::waiting::overdue;
use super::connection_io::ConnectionIo;
use super::state::State;
use super::{
    Admission, CloseReason, DriveResult, Phase, Service, TURN, WaitFor, WakeReason, WorkerBuffers,
};
use crate::http1::{CONTINUE, Decoder, Event, Limits, Persistence, Progress};
use crate::message::Request;
use crate::message::request_error::RequestError;
use crate::net::transport::Received;
use crate::sync;

/// Responses and receives before other connections have their turn. A larger number saves little
/// and lets a client that pipelines without end delay all others.
const STEPS_PER_TURN: i32 = 32;

/// The state of HTTP/1.1 on one connection.
#[derive(Debug, Default)]
pub(super) struct Http1 {
    decoder: Decoder,
    /// How far the connection is read, once that is decided.
    read_limit: Option<Box<ReadLimit>>,
    /// The request whose response comes later.
    waiting: Option<Box<WaitingRequest>>,
    /// Whether the first bytes of the client may be the preface of HTTP/2.
    #[cfg(feature = "http2")]
    may_be_http2: bool,
}

impl Service {
    fn limits(&self) -> Limits {
        Limits {
            head: self.config.max_header_size,
            body: self.config.max_body,
        }
    }
}

impl Http1 {
    /// Bytes of memory that it keeps.
    pub(super) fn held(&self) -> usize {
        let waiting = self.waiting.as_ref().map_or(0, |waiting| waiting.held());
        self.decoder.held() + waiting
    }

    /// Whether a request waits for a response that comes later.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Requests that have begun to arrive or wait for their responses.
    pub(super) fn unfinished(&self, io: &ConnectionIo) -> u64 {
        match self.is_waiting() {
            true => 1 + u64::from(!io.carried.is_empty() || io.socket.has_unread()),
            false => u64::from(self.has_partial_record(io)),
        }
    }

    /// Whether a request may have begun to arrive.
    fn has_partial_record(&self, io: &ConnectionIo) -> bool {
        let is_arriving = matches!(
            io.deadlines.waits_for(),
            Some(WaitFor::Head | WaitFor::Body)
        ) || !io.carried.is_empty()
            || self.decoder.held() > 0
            || io.socket.has_partial_record()
            || io.socket.has_unread();
        is_arriving && !self.decoder.is_discarding()
    }

    /// Receives requests and sends responses until the connection must wait or has had its turn.
    pub(super) fn drive(
        &mut self,
        io: &mut ConnectionIo,
        wake: WakeReason,
        admission: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        let result = self.turn(io, wake, admission, buffers, service);
        if self.is_waiting() {
            match result {
                Ok(DriveResult::Close(reason)) => self.cancel(reason, buffers, service),
                Err(_) => self.cancel(CloseReason::Failed, buffers, service),
                Ok(_) => {}
            }
        }
        result
    }

    fn turn(
        &mut self,
        io: &mut ConnectionIo,
        wake: WakeReason,
        admission: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        let overload = match admission {
            Admission::Handle => None,
            Admission::Shed(overload) => Some(overload),
            // Only multiplexed connections are driven without their handlers.
            Admission::Protocol => return Ok(DriveResult::Requeue),
        };
        let limits = service.limits();
        let mut steps = STEPS_PER_TURN;
        loop {
            if io.state != State::Http || buffers.io.write_queue.is_full() {
                match io.send(buffers, service)? {
                    Some(result) => return Ok(result),
                    None if io.state != State::Http => return io.close(buffers, service),
                    None => {}
                }
            }
            if service.phase.get() >= Phase::Forced {
                return Ok(DriveResult::Close(CloseReason::Forced));
            }
            if self.is_waiting() && steps > -STEPS_PER_TURN {
                steps -= 1;
                if let Some(result) = self.continue_waiting(io, buffers, service)? {
                    return Ok(result);
                }
                continue;
            }
            if steps <= 0 {
                if let Some(error) = overdue(io, buffers) {
                    self.reject(io, error, buffers, service);
                    continue;
                }
                return Ok(io.send(buffers, service)?.unwrap_or(DriveResult::Requeue));
            }
            let body_mode =
                |request: &mut Request| streamed_body::body_mode(request, overload, service);
            let (input, request) = (&mut buffers.io.input, &mut buffers.request);
            let event = self.decoder.decode_with(input, request, &limits, body_mode);
            match (event, overload) {
                (Ok(Event::Request), _) => {
                    steps -= 1;
                    self.respond(
                        io,
                        buffers,
                        service,
                        |_, _, transaction, buffers| match overload {
                            None => transaction.handle(&mut buffers.received(service), service),
                            Some(overload) => {
                                respond::shed(transaction, overload, buffers, service)
                            }
                        },
                    )?;
                    if !buffers.io.input.is_empty() && sync::elapsed(buffers.now) > TURN {
                        steps = 0;
                    }
                }
                (Ok(Event::Continue), None) if self.decoder.needs() > service.budget.most() => {
                    self.reject(io, RequestError::BodyTooLarge, buffers, service);
                }
                (Ok(Event::Continue), None) => {
                    buffers.io.write_queue.bytes().extend_from_slice(CONTINUE);
                    io.client_info.set_continued();
                }
                (Ok(Event::Stream), None) => {
                    // Reading the body may take long, so this is the last request of the turn.
                    steps = 0;
                    let result = self.respond_while_streaming(io, wake, buffers, service)?;
                    if let Some(result) = result {
                        return Ok(result);
                    }
                }
                (Ok(Event::HeadOnly), None) => {
                    steps -= 1;
                    self.respond_to_head(io, &limits, buffers, service)?;
                }
                (Ok(Event::Discarded(Persistence::KeepAlive)), _) => {}
                (Ok(Event::Discarded(Persistence::Close)), _) => self.stop_discarding(io),
                (Err(_), _) if self.decoder.is_discarding() => self.stop_discarding(io),
                // Shedding before the body arrives costs least.
                (
                    Ok(Event::Continue | Event::Stream | Event::HeadOnly)
                    | Err(RequestError::BodyTooLarge),
                    Some(overload),
                ) => self.shed_by_head(io, overload, buffers, service),
                (Ok(Event::Incomplete(progress)), _) => {
                    let is_first = steps == STEPS_PER_TURN;
                    steps -= 1;
                    let result =
                        self.receive_more(io, progress, wake, is_first, buffers, service)?;
                    if let Some(result) = result {
                        return Ok(result);
                    }
                }
                (Err(error), _) => self.reject(io, error, buffers, service),
            }
        }
    }

    /// Sends the responses so far and receives more of a request. Returns a result if nothing has
    /// arrived or the connection can't continue now. `is_first` says that this is the first step of a
    /// turn.
    fn receive_more(
        &mut self,
        io: &mut ConnectionIo,
        progress: Progress,
        wake: WakeReason,
        is_first: bool,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        if let Some(result) = io.send(buffers, service)? {
            return Ok(Some(result));
        }
        if !is_first {
            buffers.catch_up();
        }
        let progress = waiting::progress(io, progress);
        if let Err(error) = self.make_room(io, progress, buffers, service) {
            if progress == Progress::Nothing {
                // The response is not to the previous request.
                buffers.request.clear();
            }
            self.reject(io, error, buffers, service);
            return Ok(None);
        }
        let result = self.wait_for_request(io, progress, wake, buffers, service);
        if matches!(result, DriveResult::Close(_)) {
            if self.decoder.is_discarding() {
                // Bytes that still arrive must not make the kernel discard the response.
                self.stop_discarding(io);
                return Ok(None);
            }
            // One look is enough: empty lines are not a request, however many arrive.
            if !is_first {
                return Ok(Some(result));
            }
        }
        let buffer = match self.decoder.body_room() {
            Some(body) => body,
            None => buffers.io.input.room(),
        };
        match io.receive(buffer)? {
            Received::Full | Received::Short => Ok(None),
            // A part of a TLS record has arrived.
            Received::WouldBlock if waiting::progress(io, progress) != progress => Ok(None),
            Received::WouldBlock => match overdue(io, buffers) {
                Some(error) => {
                    self.reject(io, error, buffers, service);
                    Ok(None)
                }
                None => Ok(Some(result)),
            },
            Received::End => Ok(Some(DriveResult::Close(
                match waiting::progress(io, progress) {
                    Progress::Nothing => CloseReason::ClientClosed,
                    Progress::Head | Progress::Body => CloseReason::ClientLeft,
                },
            ))),
        }
    }
}
