//! A request's body that the handler reads, all of which is here.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use crate::body::{Reader, Source};
use crate::http1::{Inflow, Input, Refusal, Slot};

/// What is left of the request's message.
pub(super) struct Upload {
    input: Input,
    inflow: Inflow,
    failure: Arc<OnceLock<Refusal>>,
}

impl Upload {
    /// Gives the request in the slot this body to read, and returns where it is told if that fails.
    pub(super) fn begin(inflow: Inflow, input: Input, slot: &mut Slot) -> Arc<OnceLock<Refusal>> {
        let failure = Arc::default();
        let length = inflow.length();
        let upload = Self {
            input,
            inflow,
            failure: Arc::clone(&failure),
        };
        slot.request.body_mut().set_source(Source {
            reader: Reader::Any(Box::new(upload)),
            length,
            held: 0,
        });
        failure
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, Refusal> {
        if let Some(refusal) = self.failure.get() {
            return Err(*refusal);
        }
        match self.inflow.take(&mut self.input, buffer)? {
            0 if !buffer.is_empty() && !self.inflow.is_done() => Err(Refusal::Incomplete),
            count => Ok(count),
        }
    }
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer)
            .map_err(|refusal| io::Error::from(*self.failure.get_or_init(|| refusal)))
    }
}
