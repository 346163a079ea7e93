//! What the head of a response says of its content, and which headers the server sets itself (RFC
//! 9110 sections 6.4.1 and 8.6).

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, StatusCode};

use crate::message::Response;

/// The status that is sent. An interim status would leave the client waiting, or let it read the
/// next bytes as another protocol. A handler that returns one has failed, unless it upgrades the
/// connection.
pub(crate) fn last_status(response: &Response) -> StatusCode {
    let status = response.status();
    if status.is_informational() {
        return last_of_interim(response);
    }
    status
}

#[cold]
fn last_of_interim(response: &Response) -> StatusCode {
    match response.body().protocol() {
        Some(_) => StatusCode::SWITCHING_PROTOCOLS,
        None => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Whether the server sets this header itself and ignores that of a response, so that a handler
/// can't announce another length than it sends, or change the connection.
pub(crate) fn is_set_by_the_server(name: &HeaderName) -> bool {
    name == CONTENT_LENGTH || name == TRANSFER_ENCODING || name == CONNECTION || name == UPGRADE
}

/// Whether no content follows, whatever the body of the response is: the method or the status
/// forbids it.
pub(crate) fn omits_content(status: StatusCode, is_head: bool) -> bool {
    is_head || is_bodiless(status) || status == StatusCode::RESET_CONTENT
}

/// Whether a response with this status never has content (RFC 9110 sections 15.3.5 and 15.4.5).
pub(crate) fn is_bodiless(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// The value of `Content-Length` for a body of this length. A handler that answers HEAD without the
/// body of GET may state its length.
pub(crate) fn content_length(
    status: StatusCode,
    is_head: bool,
    headers: &HeaderMap,
    length: Option<u64>,
) -> Option<u64> {
    if is_bodiless(status) {
        return None;
    }
    // RFC 9110 section 15.3.6: content is forbidden, and a length of 0 says so.
    if status == StatusCode::RESET_CONTENT {
        return Some(0);
    }
    let stated = || headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    match length {
        Some(0) if is_head => stated().or(Some(0)),
        _ => length,
    }
}
