//! What a connection waits for when it can do nothing, and what is here of that.

use super::outbox::Owed;
use super::{Connection, Desk, Service, Verdict, Wait, Wake, What, Why};
use crate::http1::{Progress, Refusal};

impl Connection {
    /// What a new connection waits for, unless something has come already.
    pub(crate) fn first_wait(&self) -> Option<Wait> {
        self.patience.wait().filter(|_| !self.socket.has_unread())
    }

    pub(super) fn wait_for_room(
        &mut self,
        progress: usize,
        owed: Owed,
        desk: &mut Desk,
        service: &Service,
    ) -> Verdict {
        let now = desk.catch_up();
        let wait = self.patience.for_room(progress, owed, now, &service.config);
        // At its deadline it was tried once more, and not enough went.
        if wait.deadline <= now {
            Verdict::Close(Why::SlowReader)
        } else {
            self.keep(desk, Verdict::Park(wait))
        }
    }

    /// Keeps what has not been sent until then, if there is room for it.
    pub(super) fn keep(&mut self, desk: &Desk, verdict: Verdict) -> Verdict {
        if self
            .share
            .grow(desk.input.unread().len() + desk.outbox.held() + self.socket.held())
        {
            verdict
        } else {
            Verdict::Close(Why::NoRoom)
        }
    }

    /// Has room for what is here of a request that is not complete.
    ///
    /// # Errors
    ///
    /// If there is none at the moment, or if there never could be.
    pub(super) fn make_room(
        &mut self,
        progress: Progress,
        desk: &Desk,
        service: &Service,
    ) -> Result<(), Refusal> {
        let unfinished = match progress {
            Progress::Nothing => self.socket.held(),
            _ => desk.input.unread().len() + self.decoder.held() + self.socket.held(),
        };
        let most = service.budget.most();
        match progress {
            Progress::Head if unfinished > most => Err(Refusal::HeadTooLong),
            Progress::Body if unfinished.max(self.decoder.needs()) > most => {
                Err(Refusal::BodyTooLarge)
            }
            _ if self.share.grow(unfinished) => Ok(()),
            _ => Err(Refusal::NoRoom),
        }
    }

    pub(super) fn wait_for_request(
        &mut self,
        progress: Progress,
        wake: Wake,
        desk: &Desk,
        service: &Service,
    ) -> Verdict {
        match (progress, wake) {
            (Progress::Nothing, Wake::Recalled) => return Verdict::Close(Why::Drained),
            (Progress::Nothing, Wake::Expired) if self.patience.waits_for().is_some() => {
                return Verdict::Close(Why::Idle);
            }
            _ => {}
        }
        let received = self.received(progress, desk);
        let wait = self
            .patience
            .for_request(progress, received, desk.now, &service.config);
        Verdict::Park(wait)
    }

    /// The refusal of a request whose deadline has passed. It is asked for only when everything
    /// that has come was looked at: a client must not pay for workers that were busy.
    pub(super) fn overdue(&self, desk: &Desk) -> Option<Refusal> {
        match self.patience.overdue(desk.now)? {
            What::Head => Some(Refusal::HeadTimeout),
            What::Body => Some(Refusal::BodyTimeout),
            _ => None,
        }
    }

    /// How far a request has come that has come this far for the decoder: a part of a record is a part
    /// of its head.
    pub(super) fn progress(&self, progress: Progress) -> Progress {
        match progress {
            Progress::Nothing if self.socket.has_begun() => Progress::Head,
            _ => progress,
        }
    }

    /// How many bytes of what is waited for are here.
    pub(super) fn received(&self, progress: Progress, desk: &Desk) -> usize {
        match progress {
            Progress::Nothing => 0,
            Progress::Head => desk.input.unread().len() + self.socket.held(),
            Progress::Body => self.decoder.received() + self.socket.held(),
        }
    }
}
