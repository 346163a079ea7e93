//! A request's body that the handler reads, all of which is here.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use crate::http1::{BodyDecoder, Input, RequestBuffer};
use crate::message::body::{BodySource, Reader};
use crate::message::request_error::RequestError;

/// What is left of the request's message.
pub(crate) struct Upload {
    input: Input,
    inflow: BodyDecoder,
    failure: Arc<OnceLock<RequestError>>,
}

impl Upload {
    /// Gives the request in the slot this body to read, and returns where it is told if that fails.
    pub(crate) fn begin(
        inflow: BodyDecoder,
        input: Input,
        slot: &mut RequestBuffer,
    ) -> Arc<OnceLock<RequestError>> {
        let failure = Arc::default();
        let length = inflow.length();
        let upload = Self {
            input,
            inflow,
            failure: Arc::clone(&failure),
        };
        slot.request.body_mut().set_source(BodySource {
            reader: Reader::Any(Box::new(upload)),
            length,
            held: 0,
        });
        failure
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, RequestError> {
        if let Some(refusal) = self.failure.get() {
            return Err(*refusal);
        }
        match self.inflow.take(&mut self.input, buffer)? {
            0 if !buffer.is_empty() && !self.inflow.is_done() => Err(RequestError::Incomplete),
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
