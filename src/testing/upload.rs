//! A request body that the handler streams, and of which every byte is available.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use crate::http1::{BodyDecoder, Input, RequestBuffer};
use crate::message::body::{BodySource, Reader};
use crate::message::request_error::RequestError;

/// The unread part of the request.
pub(crate) struct Upload {
    input: Input,
    body_decoder: BodyDecoder,
    body_error: Arc<OnceLock<RequestError>>,
}

impl Upload {
    /// Makes this the body of the request in `buffer`. The result receives the error if reading
    /// fails.
    pub(crate) fn begin(
        body_decoder: BodyDecoder,
        input: Input,
        buffer: &mut RequestBuffer,
    ) -> Arc<OnceLock<RequestError>> {
        let body_error = Arc::default();
        let length = body_decoder.length();
        let upload = Self {
            input,
            body_decoder,
            body_error: Arc::clone(&body_error),
        };
        buffer.request.body_mut().set_source(BodySource {
            reader: Reader::Any(Box::new(upload)),
            length,
            held: 0,
            trailers: None,
        });
        body_error
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, RequestError> {
        if let Some(error) = self.body_error.get() {
            return Err(*error);
        }
        match self.body_decoder.take(&mut self.input, buffer)? {
            0 if !buffer.is_empty() && !self.body_decoder.is_done() => {
                Err(RequestError::Incomplete)
            }
            count => Ok(count),
        }
    }
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer)
            .map_err(|error| io::Error::from(*self.body_error.get_or_init(|| error)))
    }
}
