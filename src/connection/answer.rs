//! How a request gets its answer, and whether that is the last one.

use std::io;
use std::sync::atomic::Ordering;

use http::header::CONNECTION;
use log::debug;

use super::account::Account;
use super::{Connection, Desk, Farewell, Incoming, Service, Stage};
use crate::Response;
use crate::body::Withheld;
use crate::http1::{self, CONTINUE, Ending, Expectation, Limits, Persistence, Refusal};
use crate::phase::Phase;

impl Connection {
    /// Answers the request in the slot with that.
    pub(super) fn answer(
        &mut self,
        desk: &mut Desk,
        service: &Service,
        answer: impl FnOnce(&mut Self, &mut Account, &mut Desk) -> Response,
    ) -> io::Result<()> {
        let mut account = self.open_account(desk, service);
        let response = answer(self, &mut account, desk);
        self.close_account(&account, response, desk, service)
    }

    /// Answers the request in the slot, whose handler has said that it needs no more than the head.
    /// If it turns out to need the body, there is no response yet, and the body is received.
    #[cold]
    pub(super) fn answer_by_head(
        &mut self,
        limits: &Limits,
        desk: &mut Desk,
        service: &Service,
    ) -> io::Result<()> {
        let mut account = self.open_account(desk, service);
        account.note_received(0);
        let body = desk.slot.request.body().as_withheld();
        let is_wanted = body.map(Withheld::watch).unwrap_or_default();
        let response = account.handle(desk, service);
        if response.body().as_withheld().is_some() || is_wanted.load(Ordering::Relaxed) {
            desk.catch_up();
            match self.decoder.gather(limits) {
                Ok(_) if self.decoder.needs() > service.budget.most() => {
                    self.refuse(Refusal::BodyTooLarge, desk, service);
                }
                Ok(Expectation::Continue) => desk.outbox.bytes().extend_from_slice(CONTINUE),
                Ok(Expectation::None) => {}
                Err(refusal) => self.refuse(refusal, desk, service),
            }
            return Ok(());
        }
        let can_go_on = self.decoder.can_discard(limits);
        // What comes of the body must not be taken for another request.
        if !can_go_on || service.phase.get() != Phase::Running || self.socket.is_worn() {
            desk.slot.terms.persistence = Persistence::Close;
        }
        self.look_again();
        self.close_account(&account, response, desk, service)?;
        let after = match self.stage {
            Stage::Open => Persistence::KeepAlive,
            _ => Persistence::Close,
        };
        if can_go_on {
            self.decoder.discard(limits, after);
            self.stage = Stage::Open;
        } else {
            self.decoder.abandon(&mut desk.slot);
        }
        Ok(())
    }

    /// Ends the connection after a response that has been made, whatever still comes.
    pub(super) fn stop_discarding(&mut self) {
        self.stage = Stage::Closing(Farewell::Linger);
        self.patience.end();
    }

    fn close_account(
        &mut self,
        account: &Account,
        mut response: Response,
        desk: &mut Desk,
        service: &Service,
    ) -> io::Result<()> {
        account.mark(&mut response, desk, service);
        let ending = self.ending(&response, desk, service)?;
        if ending == Ending::Close {
            let promised = desk.slot.terms.persistence == Persistence::Close;
            let silent = !self.more_is_here(desk) && self.incoming == Incoming::None;
            self.stage = Stage::Closing(if promised && silent {
                Farewell::Plain
            } else {
                Farewell::Linger
            });
        }
        account.close(response, ending, desk, service);
        desk.outbox.push_answer();
        self.patience.end();
        Ok(())
    }

    /// Begins the account of the request in the slot.
    fn open_account(&self, desk: &mut Desk, service: &Service) -> Account {
        let since = self.patience.arriving_since().unwrap_or(desk.now);
        Account::open(since, &self.origin, &mut desk.slot.request, service)
    }

    /// Decides whether this answer is the last on its connection.
    #[inline(always)]
    fn ending(
        &mut self,
        response: &Response,
        desk: &mut Desk,
        service: &Service,
    ) -> io::Result<Ending> {
        if desk.slot.terms.persistence == Persistence::Close
            || http1::lists(response.headers(), &CONNECTION, "close")
            || http1::is_open_ended(response, &desk.slot.terms)
        {
            return Ok(Ending::Close);
        }
        if service.phase.get() == Phase::Running && !self.socket.is_worn() {
            return Ok(Ending::KeepAlive);
        }
        if self.is_read_to_its_end(desk, service) {
            return Ok(Ending::Close);
        }
        // Requests that were sent behind this one are answered too, so the last answer is the
        // one behind which nothing has arrived. The handler may have taken long, and something may
        // have come meanwhile.
        if desk.input.is_empty() {
            self.look_again();
            self.receive(desk)?;
        }
        Ok(if self.more_is_here(desk) {
            Ending::KeepAlive
        } else {
            Ending::Close
        })
    }

    /// Whether something was sent behind the request, a part of it at least.
    fn more_is_here(&self, desk: &Desk) -> bool {
        !desk.input.is_empty() || self.socket.has_begun()
    }

    /// Answers a request that is not taken, complete or not, and ends the connection.
    pub(super) fn refuse(&mut self, refusal: Refusal, desk: &mut Desk, service: &Service) {
        debug!("{self}: {refusal}");
        self.turn_down(desk, service, |account, desk| {
            account.refuse(refusal, desk, service)
        });
    }

    /// The same with this answer.
    pub(super) fn turn_down(
        &mut self,
        desk: &mut Desk,
        service: &Service,
        answer: impl FnOnce(&mut Account, &mut Desk) -> Response,
    ) {
        self.decoder.abandon(&mut desk.slot);
        let mut account = self.open_account(desk, service);
        let mut response = answer(&mut account, desk);
        account.mark(&mut response, desk, service);
        account.close(response, Ending::Close, desk, service);
        self.stage = Stage::Closing(Farewell::Linger);
        self.patience.end();
    }
}
