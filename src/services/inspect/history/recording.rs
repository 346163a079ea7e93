//! A request that has no response yet.

use std::sync::Arc;
use std::time::Instant;

use super::History;
use super::entry::Outcome;
use crate::message::broken::BrokenHead;
use crate::message::{Later, Response};
use crate::services::inspect::faults::AppliedFaults;

/// Notes the outcome of a request in the history. If it is dropped without a response, the client has
/// left or the handler has panicked.
pub(crate) struct Recording {
    history: Arc<History>,
    id: u64,
    started: Instant,
    is_complete: bool,
}

impl Recording {
    pub(super) fn new(history: Arc<History>, id: u64) -> Self {
        Self {
            history,
            id,
            started: Instant::now(),
            is_complete: false,
        }
    }

    /// Notes this response, at once or when a later response arrives.
    pub(crate) fn complete(self, response: Response) -> Response {
        Later::map(response, move |response| {
            let mut recording = self;
            recording.note(&response);
            response
        })
    }

    fn note(&mut self, response: &Response) {
        self.is_complete = true;
        let after = self.started.elapsed();
        let faults = AppliedFaults::of(response);
        let broken = response.body().broken();
        let outcome = match broken.map(|broken| broken.head) {
            Some(BrokenHead::Omitted) => Outcome::Unsent {
                faults: faults.unwrap_or_default(),
                after,
            },
            _ => Outcome::Response {
                status: response.status(),
                length: response.body().length(),
                after,
                faults,
            },
        };
        self.history.set_outcome(self.id, outcome);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.is_complete {
            let after = self.started.elapsed();
            self.history
                .set_outcome(self.id, Outcome::Nothing { after });
        }
    }
}
