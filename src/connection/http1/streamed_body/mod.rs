//! A request body that the handler reads while it arrives.
//!
//! The handler owns the request, and with it the body. While the handler runs, the connection checks
//! out its socket and input to a [`BodyChannel`] that it shares with the body's reader. Afterwards it
//! takes them back, wherever the handler has put the body; a later read fails.

use std::io::{self, ErrorKind, Read};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use log::error;

use super::Http1;
use crate::connection::blocking::{self, BlockingError};
use crate::connection::config::Config;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::deadlines::part_deadline;
use crate::connection::phase::PhaseCell;
use crate::connection::worker_buffers::INPUT_ROOM;
use crate::connection::{CloseReason, DriveResult, Phase, Service, WakeReason, WorkerBuffers};
use crate::http1::{BodyDecoder, CONTINUE, Expectation, Input, Persistence};
use crate::message::body::{self, BodySource};
use crate::message::request_error::RequestError;
use crate::message::response::failed;
use crate::message::{BodyMode, Later, Overload, Request, Response};
use crate::net::transport::{Received, Socket};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// Receives that may be spent on content that the handler has not read. A small body usually arrives
/// within them.
const DISCARDS: usize = 4;

/// The connection's parts that the handler reads from, shared by the connection and the reader.
struct BodyChannel {
    state: Mutex<Option<ChannelState>>,
    /// The connection waits to take the state back.
    is_closed: AtomicBool,
    phase: Arc<PhaseCell>,
}

/// The parts that a connection checks out.
struct ChannelState {
    socket: Socket,
    input: Input,
    decoder: BodyDecoder,
    /// How long reads have waited for the client. The time between reads is the handler's.
    waited: Duration,
    /// The unsent rest of an interim response.
    interim: &'static [u8],
    failure: Option<Failure>,
    config: Config,
}

/// Why nothing more can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// The client's request is invalid or too slow.
    Rejected(RequestError),
    /// The handler has returned, or the server is forced to stop.
    Stopped,
    /// The socket has failed.
    Failed(ErrorKind),
}

/// The reader in the body of the handler's request.
struct Reader(Arc<BodyChannel>);

/// Asks the handler for the body mode of a request, unless the request is shed.
#[inline(never)]
pub(super) fn body_mode(
    request: &mut Request,
    overload: Option<Overload>,
    service: &Service,
) -> Option<BodyMode> {
    if overload.is_some() {
        return None;
    }
    let mode = catch_unwind(AssertUnwindSafe(|| {
        service.handler.prepare(request);
        service.handler.body_mode(request)
    }));
    Some(mode.unwrap_or_else(|_| {
        let (method, target) = (request.method(), request.uri());
        error!("the handler panicked on the head of {method} {target}");
        BodyMode::Buffered
    }))
}

impl Http1 {
    /// Calls the handler of a request whose body it reads meanwhile. Returns a result if the call
    /// must wait, or if the response must not be sent.
    #[cold]
    pub(super) fn respond_while_streaming(
        &mut self,
        io: &mut ConnectionIo,
        wake: WakeReason,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        // The responses to earlier requests must not wait for this body.
        if let Some(result) = io.send(buffers, service)? {
            return Ok(Some(result));
        }
        // Otherwise every part that arrives would wake a worker, although only the handler reads it.
        if wake != WakeReason::Deregistered && self.decoder.lacks_body(&buffers.io.input) {
            return Ok(Some(DriveResult::Deregister));
        }
        let Some(decoder) = self.decoder.stream(&mut buffers.request) else {
            return Ok(None);
        };
        if decoder
            .length()
            .is_none_or(|length| length > INPUT_ROOM as u64)
        {
            buffers.enlarge_input();
        }
        let mut failure = None;
        self.respond(io, buffers, service, |_, io, transaction, buffers| {
            let channel = BodyChannel::open(io, decoder, buffers, service);
            let mut response = transaction.handle(&mut buffers.received(service), service);
            let mut state = channel.close();
            transaction.set_received(state.decoder.taken());
            match state.failure {
                None => state.discard_rest(),
                Some(Failure::Rejected(error)) => {
                    let received = buffers.received(service);
                    transaction.note_body_failure(error);
                    response = transaction.reveal_body_failure(response, &received, service);
                }
                Some(_) => {}
            }
            if !state.decoder.is_done() {
                if response.body().is_later() {
                    response = Later::map(response, reject_late_upgrade);
                }
                transaction.reject_early_upgrade(&mut response, buffers, service);
            }
            failure = state.failure;
            state.give_back(io, buffers);
            response
        })?;
        let is_aborted = failure == Some(Failure::Stopped) && service.phase.get() >= Phase::Forced;
        Ok(is_aborted.then_some(DriveResult::Close(CloseReason::Forced)))
    }
}

/// Replaces an upgrade that comes later by a 500, because the request's body was not read to its end.
fn reject_late_upgrade(response: Response) -> Response {
    if response.body().protocol().is_none() {
        return response;
    }
    error!("a later response upgraded a request before the end of its body; a 500 is sent");
    failed(StatusCode::INTERNAL_SERVER_ERROR)
}

impl BodyChannel {
    /// Checks out the connection's socket and input to the body of the request in the buffers.
    fn open(
        io: &mut ConnectionIo,
        decoder: BodyDecoder,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Arc<Self> {
        let length = decoder.length();
        let channel = Arc::new(Self {
            state: Mutex::new(Some(ChannelState {
                socket: io.socket.take(),
                input: mem::take(&mut buffers.io.input),
                decoder,
                waited: Duration::ZERO,
                interim: &[],
                failure: None,
                config: service.config.clone(),
            })),
            is_closed: AtomicBool::new(false),
            phase: Arc::clone(&service.phase),
        });
        buffers.request.request.body_mut().set_source(BodySource {
            reader: body::Reader::Any(Box::new(Reader(Arc::clone(&channel)))),
            length,
            held: 0,
            trailers: None,
        });
        channel
    }

    /// Takes the state back. A read in another thread ends within the interval at which blocking
    /// calls look at their condition.
    fn close(&self) -> ChannelState {
        self.is_closed.store(true, Ordering::SeqCst);
        let state = self.lock().take();
        state.expect("a channel is closed once")
    }

    fn is_open(&self) -> bool {
        !self.is_closed.load(Ordering::SeqCst) && self.phase.get() < Phase::Forced
    }

    fn lock(&self) -> MutexGuard<'_, Option<ChannelState>> {
        ignore_poison(self.state.lock())
    }
}

impl ChannelState {
    fn give_back(self, io: &mut ConnectionIo, buffers: &mut WorkerBuffers) {
        // The start of the next request is unknown.
        if self.failure.is_some() || !self.decoder.is_done() {
            buffers.request.context.persistence = Persistence::Close;
        }
        io.expect_more();
        io.socket.put_back(self.socket);
        buffers
            .io
            .write_queue
            .bytes()
            .extend_from_slice(self.interim);
        buffers.io.input = self.input;
        // Reads may have waited for long, and other clients must not pay for that.
        buffers.catch_up();
    }

    fn read(&mut self, buffer: &mut [u8], may: impl Fn() -> bool) -> Result<usize, Failure> {
        match self.failure {
            Some(failure) => return Err(failure),
            None if buffer.is_empty() => return Ok(0),
            None => {}
        }
        let read = self.next(buffer, may);
        self.failure = read.err();
        read
    }

    /// Reads the next part of the content, or 0 bytes at its end.
    fn next(&mut self, buffer: &mut [u8], may: impl Fn() -> bool) -> Result<usize, Failure> {
        loop {
            let count = self.decoder.take(&mut self.input, buffer)?;
            if count > 0 || self.decoder.is_done() {
                return Ok(count);
            }
            let began = Instant::now();
            let received = self.receive(began, &may);
            self.waited += began.elapsed();
            if received? == Received::End {
                return Err(Failure::Rejected(RequestError::Incomplete));
            }
        }
    }

    fn receive(&mut self, now: Instant, may: impl Fn() -> bool) -> Result<Received, BlockingError> {
        let deadline = part_deadline(now, self.waited, self.decoder.taken(), &self.config);
        let deadline = Some(deadline);
        if self.decoder.take_expectation() == Expectation::Continue && self.input.is_empty() {
            self.interim = CONTINUE;
        }
        if !self.interim.is_empty() {
            self.send_interim(deadline, &may)?;
        }
        blocking::receive(&mut self.socket, self.input.room(), deadline, may)
    }

    /// Sends the rest of an interim response, with TLS to the last byte: a client that waits for it
    /// sends nothing, so no later send would take the rest along.
    fn send_interim(
        &mut self,
        deadline: Option<Instant>,
        may: impl Fn() -> bool,
    ) -> Result<(), BlockingError> {
        while !self.interim.is_empty() {
            let sent = blocking::send(&mut self.socket, self.interim, deadline, &may)?;
            self.interim = &self.interim[sent..];
        }
        blocking::complete(&mut self.socket, deadline, may, Socket::flush)
    }

    /// Discards the content that the handler has not read, if it is here and short.
    fn discard_rest(&mut self) {
        let mut discarded = [0; 4096];
        for _ in 0..DISCARDS {
            loop {
                match self.decoder.take(&mut self.input, &mut discarded) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
            if self.decoder.is_done() {
                return;
            }
            match self.socket.receive(self.input.room()) {
                Ok(Received::Full | Received::Short) => {}
                _ => return,
            }
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        let read = match &mut *state {
            Some(state) => state.read(buffer, || self.0.is_open()),
            None => Err(Failure::Stopped),
        };
        read.map_err(Into::into)
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Rejected(error)
    }
}

impl From<BlockingError> for Failure {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::Late => Self::Rejected(RequestError::BodyTimeout),
            BlockingError::Stopped => Self::Stopped,
            BlockingError::Failed(error) => Self::Failed(error.kind()),
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rejected(error) => error.into(),
            Failure::Stopped => Self::new(
                ErrorKind::NotConnected,
                "the response is complete, or the server was forced to stop",
            ),
            Failure::Failed(kind) => Self::new(kind, RequestError::Incomplete),
        }
    }
}

#[cfg(test)]
mod tests;
