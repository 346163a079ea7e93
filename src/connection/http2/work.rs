//! The work that waits on a connection.

use std::collections::VecDeque;

use super::StreamReply;
use super::deadlines::WindowWait;
use super::later::CancelledRequest;
use crate::connection::woken::Woken;
use crate::http2::StreamId;

/// The work of a connection that is not done at once. A request that is handled when it arrives needs
/// none of it, and neither does an idle connection, so it is made for the first entry and freed when the
/// connection has no stream.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Requests that wait until one of the connection's handlers has returned.
    pub(super) waiting: VecDeque<StreamId>,
    /// Responses whose readers are asked for the next part.
    pub(super) to_read: VecDeque<StreamId>,
    /// Protocols behind an extended CONNECT for which something has happened.
    pub(super) to_drive: VecDeque<StreamId>,
    /// Responses that came later and are completed by a worker.
    pub(super) to_complete: VecDeque<StreamId>,
    /// Requests whose clients have left before their responses, until observers know.
    pub(super) cancelled: Vec<CancelledRequest>,
    /// Results of calls that were stored while the connection was elsewhere.
    pub(super) replies: Vec<StreamReply>,
    pub(super) woken: Woken<StreamId>,
    pub(super) window_wait: Option<WindowWait>,
}

impl Work {
    /// Whether all of this work belongs to streams, so that none is left without streams.
    pub(super) fn is_of_streams(&self) -> bool {
        self.cancelled.is_empty() && self.replies.is_empty()
    }

    /// The request that has waited longest for a handler.
    pub(super) fn first_waiting(&self) -> Option<StreamId> {
        self.waiting.front().copied()
    }

    /// Whether a call is due that does not call a handler.
    pub(super) fn has_reads(&self) -> bool {
        self.can_read() || !self.to_drive.is_empty()
    }

    /// Whether a reader is to be asked, or a response that came later to be completed.
    pub(super) fn can_read(&self) -> bool {
        !(self.to_read.is_empty() && self.to_complete.is_empty())
    }

    /// Forgets a stream that is gone.
    pub(super) fn forget(&mut self, stream: StreamId) {
        for queue in [
            &mut self.waiting,
            &mut self.to_read,
            &mut self.to_drive,
            &mut self.to_complete,
        ] {
            queue.retain(|waiting| *waiting != stream);
        }
    }
}
