//! What an incomplete request waits for, and the memory that it may keep meanwhile.

use super::Http1;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::{DriveResult, Service, WaitFor, WakeReason, WorkerBuffers};
use crate::http1::Progress;
use crate::message::request_error::RequestError;

impl Http1 {
    /// Reserves memory for the received part of an incomplete request.
    ///
    /// # Errors
    ///
    /// If the budget has no room now, or could never have enough for this request.
    pub(super) fn make_room(
        &self,
        io: &mut ConnectionIo,
        progress: Progress,
        buffers: &WorkerBuffers,
        service: &Service,
    ) -> Result<(), RequestError> {
        let unfinished = match progress {
            Progress::Nothing => io.socket.held(),
            _ => buffers.io.input.unread().len() + self.decoder.held() + io.socket.held(),
        };
        let most = service.budget.most();
        match progress {
            Progress::Head if unfinished > most => Err(RequestError::HeadTooLarge),
            Progress::Body if unfinished.max(self.decoder.needs()) > most => {
                Err(RequestError::BodyTooLarge)
            }
            _ if io.share.grow(unfinished) => Ok(()),
            _ => Err(RequestError::BufferLimit),
        }
    }

    pub(super) fn wait_for_request(
        &self,
        io: &mut ConnectionIo,
        progress: Progress,
        wake: WakeReason,
        buffers: &WorkerBuffers,
        service: &Service,
    ) -> DriveResult {
        let (now, config) = (buffers.now, &service.config);
        let held = io.socket.held();
        DriveResult::Park(match progress {
            Progress::Nothing => return io.wait_for_first_byte(wake, now, service),
            Progress::Head => {
                let received = buffers.io.input.unread().len() + held;
                io.deadlines.for_head(received, now, config)
            }
            Progress::Body => {
                let received = self.decoder.received() + held;
                io.deadlines.for_body(received, now, config)
            }
        })
    }
}

/// The error of a request whose deadline has passed. Call this only after everything that has
/// arrived was decoded: a client must not pay for busy workers.
pub(super) fn overdue(io: &ConnectionIo, buffers: &WorkerBuffers) -> Option<RequestError> {
    match io.deadlines.overdue(buffers.now)? {
        WaitFor::Head => Some(RequestError::HeadTimeout),
        WaitFor::Body => Some(RequestError::BodyTimeout),
        _ => None,
    }
}

/// The progress of a request, where a part of a TLS record counts as a part of its head.
pub(super) fn progress(io: &ConnectionIo, decoded: Progress) -> Progress {
    match decoded {
        Progress::Nothing if io.socket.has_partial_record() => Progress::Head,
        _ => decoded,
    }
}
