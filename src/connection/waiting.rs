//! What a connection waits for when it can do nothing, and what is here of that.

use super::write_queue::Backlog;
use super::{
    CloseReason, Connection, DriveResult, Pending, Service, WaitFor, WakeReason, WorkerBuffers,
};
use crate::http1::Progress;
use crate::message::request_error::RequestError;

impl Connection {
    /// What a new connection waits for, unless something has come already.
    pub(crate) fn first_wait(&self) -> Option<Pending> {
        self.deadlines.wait().filter(|_| !self.socket.has_unread())
    }

    pub(super) fn wait_for_room(
        &mut self,
        progress: usize,
        owed: Backlog,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> DriveResult {
        let now = buffers.catch_up();
        let wait = self
            .deadlines
            .for_room(progress, owed, now, &service.config);
        // At its deadline it was tried once more, and not enough went.
        if wait.deadline <= now {
            DriveResult::Close(CloseReason::SlowReader)
        } else {
            self.keep(buffers, DriveResult::Park(wait))
        }
    }

    /// Keeps what has not been sent until then, if there is room for it.
    pub(super) fn keep(&mut self, buffers: &WorkerBuffers, verdict: DriveResult) -> DriveResult {
        if self
            .share
            .grow(buffers.input.unread().len() + buffers.write_queue.held() + self.socket.held())
        {
            verdict
        } else {
            DriveResult::Close(CloseReason::BufferLimit)
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
        buffers: &WorkerBuffers,
        service: &Service,
    ) -> Result<(), RequestError> {
        let unfinished = match progress {
            Progress::Nothing => self.socket.held(),
            _ => buffers.input.unread().len() + self.decoder.held() + self.socket.held(),
        };
        let most = service.budget.most();
        match progress {
            Progress::Head if unfinished > most => Err(RequestError::HeadTooLong),
            Progress::Body if unfinished.max(self.decoder.needs()) > most => {
                Err(RequestError::BodyTooLarge)
            }
            _ if self.share.grow(unfinished) => Ok(()),
            _ => Err(RequestError::BufferLimit),
        }
    }

    pub(super) fn wait_for_request(
        &mut self,
        progress: Progress,
        wake: WakeReason,
        buffers: &WorkerBuffers,
        service: &Service,
    ) -> DriveResult {
        match (progress, wake) {
            (Progress::Nothing, WakeReason::Recalled) => {
                return DriveResult::Close(CloseReason::Drained);
            }
            (Progress::Nothing, WakeReason::Expired) if self.deadlines.waits_for().is_some() => {
                return DriveResult::Close(CloseReason::Idle);
            }
            _ => {}
        }
        let received = self.received(progress, buffers);
        let wait = self
            .deadlines
            .for_request(progress, received, buffers.now, &service.config);
        DriveResult::Park(wait)
    }

    /// The refusal of a request whose deadline has passed. It is asked for only when everything
    /// that has come was looked at: a client must not pay for workers that were busy.
    pub(super) fn overdue(&self, buffers: &WorkerBuffers) -> Option<RequestError> {
        match self.deadlines.overdue(buffers.now)? {
            WaitFor::Head => Some(RequestError::HeadTimeout),
            WaitFor::Body => Some(RequestError::BodyTimeout),
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
    pub(super) fn received(&self, progress: Progress, buffers: &WorkerBuffers) -> usize {
        match progress {
            Progress::Nothing => 0,
            Progress::Head => buffers.input.unread().len() + self.socket.held(),
            Progress::Body => self.decoder.received() + self.socket.held(),
        }
    }
}
