//! Decodes the trailers of requests (RFC 9113 section 8.1).

use std::ops::ControlFlow;

use super::{Rejection, RequestBuffer, fields, most_decoded, pseudo};
use crate::http2::Error;
use crate::http2::hpack::Decoder;
use crate::message::head::MAX_FIELDS;
use crate::message::request_error::RequestError;

/// Decodes the header block of trailers into lines, each with its line end. They obey the rules of
/// headers, and none is a pseudo-header. The memory of `buffer` is used, whatever request it holds.
///
/// # Errors
///
/// As [`decode_head`](super::decode_head).
pub fn decode_trailers(
    decoder: &mut Decoder,
    block: &[u8],
    max_header_size: usize,
    buffer: &mut RequestBuffer,
) -> Result<Result<Vec<u8>, RequestError>, Error> {
    let mut lines = Lines {
        text: Vec::new(),
        count: 0,
        most: max_header_size,
    };
    let most = most_decoded(max_header_size);
    let flow = decoder.decode(block, &mut buffer.scratch, most, |field| {
        match lines.add(field.name, field.value) {
            Ok(()) => ControlFlow::Continue(()),
            Err(rejection) => ControlFlow::Break(rejection.error),
        }
    })?;
    Ok(match flow {
        ControlFlow::Continue(()) => Ok(lines.text),
        ControlFlow::Break(error) => Err(error),
    })
}

struct Lines {
    text: Vec<u8>,
    count: usize,
    most: usize,
}

impl Lines {
    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Rejection> {
        if name.starts_with(b":") {
            return Err(pseudo::malformed("a trailer is a pseudo-header"));
        }
        self.count += 1;
        let parts = [name, b": ", value, b"\r\n"];
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.count > MAX_FIELDS || length > self.most - self.text.len() {
            return Err(RequestError::HeadTooLarge.into());
        }
        fields::check(name, value)?;
        parts
            .iter()
            .for_each(|part| self.text.extend_from_slice(part));
        Ok(())
    }
}
