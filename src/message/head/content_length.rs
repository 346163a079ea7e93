//! `Content-Length` (RFC 9110 section 8.6).

use crate::message::request_error::RequestError;

/// Accepts digits only: `+5`, `0x5` and `5, 5` are numbers for some readers.
pub(crate) fn parse(value: &[u8]) -> Result<u64, RequestError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(RequestError::ContentLength);
    }
    value
        .iter()
        .try_fold(0u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .ok_or(RequestError::ContentLength)
}
