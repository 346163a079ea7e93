//! A request's body that its handler reads while it comes.
//!
//! The handler owns the request, and so what it reads from. For the time of the call the connection
//! lends it the socket and what has been received, and takes them back afterwards, wherever the body
//! has gone: whoever reads it then is told that it is over.

use std::io::{self, ErrorKind, Read};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::error;

use super::Phase;
use super::blocking;
use super::blocking::BlockingError;
use super::config::Config;
use super::deadlines::part_deadline;
use super::phase::PhaseCell;
use super::transaction::Transaction;
use super::{Admission, CloseReason, Connection, DriveResult, Service, WakeReason, WorkerBuffers};
use crate::http1::{BodyDecoder, CONTINUE, Expectation, Input, Persistence};
use crate::message::body;
use crate::message::body::BodySource;
use crate::message::request_error::RequestError;
use crate::message::{BodyMode, Request, Response};
use crate::net::transport::{Received, Socket};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// Receives that may be spent on what a handler leaves unread. It is what comes of a small body
/// while the handler makes up its mind.
const DISCARDS: usize = 4;

/// What is lent, and to whom. The handler's side and the connection's have the same one.
struct BodyChannel {
    lent: Mutex<Option<ChannelState>>,
    /// It is wanted back.
    is_over: AtomicBool,
    phase: Arc<PhaseCell>,
}

/// What the connection lends.
struct ChannelState {
    socket: Socket,
    input: Input,
    inflow: BodyDecoder,
    /// How long reads have waited for the client, who does not pay for the time between them.
    waited: Duration,
    /// What has not gone of an interim answer.
    interim: &'static [u8],
    failure: Option<Failure>,
    config: Config,
}

/// Why nothing more can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// The client's fault.
    Refused(RequestError),
    /// The loan is over, or the server is forced to stop.
    Stopped,
    /// The socket has failed.
    Failed(ErrorKind),
}

/// The handler's side.
struct Reader(Arc<BodyChannel>);

/// How a request's body is taken, unless nothing of the handler's may run that could say so.
#[inline(never)]
pub(super) fn ask(request: &Request, treatment: Admission, service: &Service) -> Option<BodyMode> {
    if let Admission::Shed(_) = treatment {
        return None;
    }
    let answer = catch_unwind(AssertUnwindSafe(|| service.handler.body_mode(request)));
    Some(answer.unwrap_or_else(|_| {
        let (method, target) = (request.method(), request.uri());
        error!("the handler panicked on the head of {method} {target}");
        BodyMode::Buffered
    }))
}

impl Connection {
    /// Has the handler answer a request whose body it reads meanwhile. A verdict if that must wait,
    /// or the answer must not leave.
    #[cold]
    pub(super) fn answer_reader(
        &mut self,
        wake: WakeReason,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        // What was asked before must not wait for this body.
        if let Some(verdict) = self.send(buffers, service)? {
            return Ok(Some(verdict));
        }
        // Every part that comes would wake a worker, and only the handler wants it.
        if wake != WakeReason::Unwatched && self.decoder.lacks_body(&buffers.input) {
            return Ok(Some(DriveResult::Unwatch));
        }
        let Some(inflow) = self.decoder.stream(&mut buffers.slot) else {
            return Ok(None);
        };
        let mut failure = None;
        self.answer(buffers, service, |connection, transaction, buffers| {
            let loan = connection.lend(inflow, buffers, service);
            let mut response = transaction.handle(buffers, service);
            let mut lent = loan.take_back();
            transaction.note_received(lent.inflow.taken());
            match lent.failure {
                None => lent.discard_rest(),
                Some(Failure::Refused(why)) => {
                    transaction.put_right(&mut response, why, buffers, service);
                }
                Some(_) => {}
            }
            if !lent.inflow.is_done() {
                transaction.withdraw(&mut response, buffers, service);
            }
            failure = lent.failure;
            connection.take_back(lent, buffers);
            response
        })?;
        let is_cut = failure == Some(Failure::Stopped) && service.phase.get() >= Phase::Forced;
        Ok(is_cut.then_some(DriveResult::Close(CloseReason::Forced)))
    }

    /// Gives the request in the slot its body to read.
    fn lend(
        &mut self,
        inflow: BodyDecoder,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Arc<BodyChannel> {
        let length = inflow.length();
        let loan = Arc::new(BodyChannel {
            lent: Mutex::new(Some(ChannelState {
                socket: self.socket.lend(),
                input: mem::take(&mut buffers.input),
                inflow,
                waited: Duration::ZERO,
                interim: &[],
                failure: None,
                config: service.config.clone(),
            })),
            is_over: AtomicBool::new(false),
            phase: Arc::clone(&service.phase),
        });
        buffers.slot.request.body_mut().set_source(BodySource {
            reader: body::Reader::Any(Box::new(Reader(Arc::clone(&loan)))),
            length,
            held: 0,
        });
        loan
    }

    fn take_back(&mut self, lent: ChannelState, buffers: &mut WorkerBuffers) {
        // Where the next request would begin can't be told.
        if lent.failure.is_some() || !lent.inflow.is_done() {
            buffers.slot.context.persistence = Persistence::Close;
        }
        self.expect_more();
        self.socket.take_back(lent.socket);
        buffers.write_queue.bytes().extend_from_slice(lent.interim);
        buffers.input = lent.input;
        // Reads may have waited for long, and nobody else is to pay for that.
        buffers.catch_up();
    }
}

impl Transaction {
    /// The handler's answer to a body that could not be read: where it takes that for a failure of
    /// its own, the client is told better.
    fn put_right(
        &mut self,
        response: &mut Response,
        why: RequestError,
        buffers: &WorkerBuffers,
        service: &Service,
    ) {
        if response.status().is_server_error() && self.is_handled() {
            *response = self.refuse(why, buffers, service);
        }
    }
}

impl BodyChannel {
    /// Ends it. Whoever reads now has to come to an end, which takes a moment at most.
    fn take_back(&self) -> ChannelState {
        self.is_over.store(true, Ordering::SeqCst);
        let lent = self.lock().take();
        lent.expect("it is taken back once")
    }

    fn is_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst) && self.phase.get() < Phase::Forced
    }

    fn lock(&self) -> MutexGuard<'_, Option<ChannelState>> {
        ignore_poison(self.lent.lock())
    }
}

impl ChannelState {
    fn read(&mut self, buffer: &mut [u8], is_on: impl Fn() -> bool) -> Result<usize, Failure> {
        match self.failure {
            Some(failure) => return Err(failure),
            None if buffer.is_empty() => return Ok(0),
            None => {}
        }
        let read = self.next(buffer, is_on);
        self.failure = read.err();
        read
    }

    /// The next part of the content; nothing at its end.
    fn next(&mut self, buffer: &mut [u8], is_on: impl Fn() -> bool) -> Result<usize, Failure> {
        loop {
            let count = self.inflow.take(&mut self.input, buffer)?;
            if count > 0 || self.inflow.is_done() {
                return Ok(count);
            }
            let began = Instant::now();
            let received = self.receive(began, &is_on);
            self.waited += began.elapsed();
            if received? == Received::End {
                return Err(Failure::Refused(RequestError::Incomplete));
            }
        }
    }

    fn receive(
        &mut self,
        now: Instant,
        is_on: impl Fn() -> bool,
    ) -> Result<Received, BlockingError> {
        let until = part_deadline(now, self.waited, self.inflow.taken(), &self.config);
        let until = Some(until);
        if self.inflow.take_expectation() == Expectation::Continue && self.input.is_empty() {
            self.interim = CONTINUE;
        }
        if !self.interim.is_empty() {
            self.send_interim(until, &is_on)?;
        }
        blocking::receive(&mut self.socket, self.input.room(), until, is_on)
    }

    /// Sends what has not gone of an interim answer, under TLS to its last byte: nothing comes from a
    /// client that waits for it, and so nothing takes the rest along.
    fn send_interim(
        &mut self,
        until: Option<Instant>,
        is_on: impl Fn() -> bool,
    ) -> Result<(), BlockingError> {
        while !self.interim.is_empty() {
            let sent = blocking::send(&mut self.socket, self.interim, until, &is_on)?;
            self.interim = &self.interim[sent..];
        }
        blocking::complete(&mut self.socket, until, is_on, Socket::send_rest)
    }

    /// Throws away what the handler has not read, if it is here and little.
    fn discard_rest(&mut self) {
        let mut void = [0; 4096];
        for _ in 0..DISCARDS {
            loop {
                match self.inflow.take(&mut self.input, &mut void) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
            if self.inflow.is_done() {
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
        let mut lent = self.0.lock();
        let read = match &mut *lent {
            Some(lent) => lent.read(buffer, || self.0.is_on()),
            None => Err(Failure::Stopped),
        };
        read.map_err(Into::into)
    }
}

impl From<RequestError> for Failure {
    fn from(refusal: RequestError) -> Self {
        Self::Refused(refusal)
    }
}

impl From<BlockingError> for Failure {
    fn from(vain: BlockingError) -> Self {
        match vain {
            BlockingError::Late => Self::Refused(RequestError::BodyTimeout),
            BlockingError::Stopped => Self::Stopped,
            BlockingError::Failed(error) => Self::Failed(error.kind()),
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => why.into(),
            Failure::Stopped => Self::new(
                ErrorKind::NotConnected,
                "the request has its answer, or the server was forced to stop",
            ),
            Failure::Failed(kind) => Self::new(kind, RequestError::Incomplete),
        }
    }
}

#[cfg(test)]
mod tests;
