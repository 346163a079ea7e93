//! A request's body that its handler reads while it comes.
//!
//! The handler owns the request, and so what it reads from. For the time of the call the connection
//! lends it the socket and what has been received, and takes them back afterwards, wherever the body
//! has gone: whoever reads it then is told that it is over.

use std::io::{self, ErrorKind, Read};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use log::error;

use super::account::Account;
use super::blocking::{self, Vain};
use super::patience::part_deadline;
use super::{Connection, Desk, Service, Treatment, Verdict, Wake, Why};
use crate::body::{self, Source};
use crate::config::Config;
use crate::http1::{CONTINUE, Expectation, Inflow, Input, Persistence, Refusal};
use crate::phase::{Phase, PhaseCell};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::transport::{Received, Socket};
use crate::{Intake, Request, Response};

/// Receives that may be spent on what a handler leaves unread. It is what comes of a small body
/// while the handler makes up its mind.
const DISCARDS: usize = 4;

/// What is lent, and to whom. The handler's side and the connection's have the same one.
struct Loan {
    lent: Mutex<Option<Lent>>,
    /// It is wanted back.
    is_over: AtomicBool,
    phase: Arc<PhaseCell>,
}

/// What the connection lends.
struct Lent {
    socket: Socket,
    input: Input,
    inflow: Inflow,
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
    Refused(Refusal),
    /// The loan is over, or the server is forced to stop.
    Stopped,
    /// The socket has failed.
    Failed(ErrorKind),
}

/// The handler's side.
struct Reader(Arc<Loan>);

/// How a request's body is taken, unless nothing of the handler's may run that could say so.
#[inline(never)]
pub(super) fn ask(request: &Request, treatment: Treatment, service: &Service) -> Option<Intake> {
    if let Treatment::Shed(_) = treatment {
        return None;
    }
    let answer = catch_unwind(AssertUnwindSafe(|| service.handler.intake(request)));
    Some(answer.unwrap_or_else(|_| {
        let (method, target) = (request.method(), request.uri());
        error!("the handler panicked on the head of {method} {target}");
        Intake::Whole
    }))
}

impl Connection {
    /// Has the handler answer a request whose body it reads meanwhile. A verdict if that must wait,
    /// or the answer must not leave.
    #[cold]
    pub(super) fn answer_reader(
        &mut self,
        wake: Wake,
        desk: &mut Desk,
        service: &Service,
    ) -> io::Result<Option<Verdict>> {
        // What was asked before must not wait for this body.
        if let Some(verdict) = self.send(desk, service)? {
            return Ok(Some(verdict));
        }
        // Every part that comes would wake a worker, and only the handler wants it.
        if wake != Wake::Unwatched && self.decoder.lacks_body(&desk.input) {
            return Ok(Some(Verdict::Unwatch));
        }
        let Some(inflow) = self.decoder.stream(&mut desk.slot) else {
            return Ok(None);
        };
        let mut failure = None;
        self.answer(desk, service, |connection, account, desk| {
            let loan = connection.lend(inflow, desk, service);
            let mut response = account.handle(desk, service);
            let mut lent = loan.take_back();
            account.note_received(lent.inflow.taken());
            match lent.failure {
                None => lent.discard_rest(),
                Some(Failure::Refused(why)) => account.put_right(&mut response, why, desk, service),
                Some(_) => {}
            }
            if !lent.inflow.is_done() {
                account.withdraw(&mut response, desk, service);
            }
            failure = lent.failure;
            connection.take_back(lent, desk);
            response
        })?;
        let is_cut = failure == Some(Failure::Stopped) && service.phase.get() >= Phase::Forced;
        Ok(is_cut.then_some(Verdict::Close(Why::Forced)))
    }

    /// Gives the request in the slot its body to read.
    fn lend(&mut self, inflow: Inflow, desk: &mut Desk, service: &Service) -> Arc<Loan> {
        let length = inflow.length();
        let loan = Arc::new(Loan {
            lent: Mutex::new(Some(Lent {
                socket: self.socket.lend(),
                input: mem::take(&mut desk.input),
                inflow,
                waited: Duration::ZERO,
                interim: &[],
                failure: None,
                config: service.config.clone(),
            })),
            is_over: AtomicBool::new(false),
            phase: Arc::clone(&service.phase),
        });
        desk.slot.request.body_mut().set_source(Source {
            reader: body::Reader::Any(Box::new(Reader(Arc::clone(&loan)))),
            length,
            held: 0,
        });
        loan
    }

    fn take_back(&mut self, lent: Lent, desk: &mut Desk) {
        // Where the next request would begin can't be told.
        if lent.failure.is_some() || !lent.inflow.is_done() {
            desk.slot.terms.persistence = Persistence::Close;
        }
        self.look_again();
        self.socket.take_back(lent.socket);
        desk.outbox.bytes().extend_from_slice(lent.interim);
        desk.input = lent.input;
        // Reads may have waited for long, and nobody else is to pay for that.
        desk.catch_up();
    }
}

impl Account {
    /// The handler's answer to a body that could not be read: where it takes that for a failure of
    /// its own, the client is told better.
    fn put_right(&mut self, response: &mut Response, why: Refusal, desk: &Desk, service: &Service) {
        if response.status().is_server_error() && self.is_handled() {
            *response = self.refuse(why, desk, service);
        }
    }
}

impl Loan {
    /// Ends it. Whoever reads now has to come to an end, which takes a moment at most.
    fn take_back(&self) -> Lent {
        self.is_over.store(true, Ordering::SeqCst);
        let lent = self.lock().take();
        lent.expect("it is taken back once")
    }

    fn is_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst) && self.phase.get() < Phase::Forced
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lent>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
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
                return Err(Failure::Refused(Refusal::Incomplete));
            }
        }
    }

    fn receive(&mut self, now: Instant, is_on: impl Fn() -> bool) -> Result<Received, Vain> {
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
    ) -> Result<(), Vain> {
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

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Vain> for Failure {
    fn from(vain: Vain) -> Self {
        match vain {
            Vain::Late => Self::Refused(Refusal::BodyTimeout),
            Vain::Stopped => Self::Stopped,
            Vain::Failed(error) => Self::Failed(error.kind()),
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
            Failure::Failed(kind) => Self::new(kind, Refusal::Incomplete),
        }
    }
}

#[cfg(test)]
mod tests;
