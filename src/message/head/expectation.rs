//! `Expect` (RFC 9110 section 10.1.1).

use crate::message::headers::list;
use crate::message::request_error::RequestError;

/// Whether the client waits before it sends the body (RFC 9110 section 10.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// It does not wait.
    None,
    /// It waits for `100 Continue`.
    Continue,
}

/// What the lines of `Expect` say in total, after one more. Before the first line, `so_far` is
/// `None`.
pub(crate) fn and(
    so_far: Option<Result<Expectation, RequestError>>,
    value: &[u8],
) -> Result<Expectation, RequestError> {
    match (so_far, is_continue(value)) {
        (None | Some(Ok(_)), true) => Ok(Expectation::Continue),
        _ => Err(RequestError::Expectation),
    }
}

/// Whether the list of expectations has nothing but `100-continue`.
fn is_continue(value: &[u8]) -> bool {
    let mut members = list::items(value)
        .filter(|member| !member.is_empty())
        .peekable();
    members.peek().is_some() && members.all(|one| one.eq_ignore_ascii_case(b"100-continue"))
}
