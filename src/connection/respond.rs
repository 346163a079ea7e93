//! How a request gets its answer, and whether that is the last one.

use std::io;
use std::sync::atomic::Ordering;

use http::header::CONNECTION;
use log::debug;

use super::Phase;
use super::transaction::Transaction;
use super::{BodyStream, CloseMode, Connection, Service, State, WorkerBuffers};
use crate::http1;
use crate::http1::{CONTINUE, Ending, Expectation, Limits, Persistence};
use crate::message::Response;
use crate::message::body::Withheld;
use crate::message::headers::list::lists;
use crate::message::request_error::RequestError;

impl Connection {
    /// Answers the request in the slot with that.
    pub(super) fn answer(
        &mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
        answer: impl FnOnce(&mut Self, &mut Transaction, &mut WorkerBuffers) -> Response,
    ) -> io::Result<()> {
        let mut transaction = self.open_account(buffers, service);
        let response = answer(self, &mut transaction, buffers);
        self.close_account(&transaction, response, buffers, service)
    }

    /// Answers the request in the slot, whose handler has said that it needs no more than the head.
    /// If it turns out to need the body, there is no response yet, and the body is received.
    #[cold]
    pub(super) fn answer_by_head(
        &mut self,
        limits: &Limits,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<()> {
        let mut transaction = self.open_account(buffers, service);
        transaction.note_received(0);
        let body = buffers.slot.request.body().as_withheld();
        let is_wanted = body.map(Withheld::watch).unwrap_or_default();
        let response = transaction.handle(buffers, service);
        if response.body().as_withheld().is_some() || is_wanted.load(Ordering::Relaxed) {
            buffers.catch_up();
            match self.decoder.gather(limits) {
                Ok(_) if self.decoder.needs() > service.budget.most() => {
                    self.refuse(RequestError::BodyTooLarge, buffers, service);
                }
                Ok(Expectation::Continue) => {
                    buffers.write_queue.bytes().extend_from_slice(CONTINUE);
                }
                Ok(Expectation::None) => {}
                Err(refusal) => self.refuse(refusal, buffers, service),
            }
            return Ok(());
        }
        let can_go_on = self.decoder.can_discard(limits);
        // What comes of the body must not be taken for another request.
        if !can_go_on || service.phase.get() != Phase::Running || self.socket.keys_near_limit() {
            buffers.slot.context.persistence = Persistence::Close;
        }
        self.expect_more();
        self.close_account(&transaction, response, buffers, service)?;
        let after = match self.state {
            State::Open => Persistence::KeepAlive,
            _ => Persistence::Close,
        };
        if can_go_on {
            self.decoder.discard(limits, after);
            self.state = State::Open;
        } else {
            self.decoder.abandon(&mut buffers.slot);
        }
        Ok(())
    }

    /// Ends the connection after a response that has been made, whatever still comes.
    pub(super) fn stop_discarding(&mut self) {
        self.state = State::Closing(CloseMode::Linger);
        self.deadlines.end();
    }

    // Inlined: a response is large to move.
    #[inline(always)]
    fn close_account(
        &mut self,
        transaction: &Transaction,
        mut response: Response,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<()> {
        transaction.mark(&mut response, buffers, service);
        let ending = self.ending(&response, buffers, service)?;
        if ending == Ending::Close {
            let promised = buffers.slot.context.persistence == Persistence::Close;
            let silent = !self.more_is_here(buffers) && self.incoming == BodyStream::None;
            self.state = State::Closing(if promised && silent {
                CloseMode::Plain
            } else {
                CloseMode::Linger
            });
        }
        transaction.close(response, ending, buffers, service);
        buffers.write_queue.push_answer();
        self.deadlines.end();
        Ok(())
    }

    /// Begins the account of the request in the slot.
    fn open_account(&self, buffers: &mut WorkerBuffers, service: &Service) -> Transaction {
        let since = self.deadlines.arriving_since().unwrap_or(buffers.now);
        Transaction::open(since, &self.origin, &mut buffers.slot.request, service)
    }

    /// Decides whether this answer is the last on its connection.
    #[inline(always)]
    fn ending(
        &mut self,
        response: &Response,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Ending> {
        if buffers.slot.context.persistence == Persistence::Close
            || lists(response.headers(), &CONNECTION, "close")
            || http1::is_open_ended(response, &buffers.slot.context)
        {
            return Ok(Ending::Close);
        }
        if service.phase.get() == Phase::Running && !self.socket.keys_near_limit() {
            return Ok(Ending::KeepAlive);
        }
        if self.is_read_to_its_end(buffers, service) {
            return Ok(Ending::Close);
        }
        // Requests that were sent behind this one are answered too, so the last answer is the
        // one behind which nothing has arrived. The handler may have taken long, and something may
        // have come meanwhile.
        if buffers.input.is_empty() {
            self.expect_more();
            self.receive(buffers)?;
        }
        Ok(if self.more_is_here(buffers) {
            Ending::KeepAlive
        } else {
            Ending::Close
        })
    }

    /// Whether something was sent behind the request, a part of it at least.
    fn more_is_here(&self, buffers: &WorkerBuffers) -> bool {
        !buffers.input.is_empty() || self.socket.has_begun()
    }

    /// Answers a request that is not taken, complete or not, and ends the connection.
    pub(super) fn refuse(
        &mut self,
        refusal: RequestError,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        debug!("{self}: {refusal}");
        self.reject_request(buffers, service, |transaction, buffers| {
            transaction.refuse(refusal, buffers, service)
        });
    }

    /// The same with this answer.
    pub(super) fn reject_request(
        &mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
        answer: impl FnOnce(&mut Transaction, &mut WorkerBuffers) -> Response,
    ) {
        self.decoder.abandon(&mut buffers.slot);
        let mut transaction = self.open_account(buffers, service);
        let mut response = answer(&mut transaction, buffers);
        transaction.mark(&mut response, buffers, service);
        transaction.close(response, Ending::Close, buffers, service);
        self.state = State::Closing(CloseMode::Linger);
        self.deadlines.end();
    }
}
