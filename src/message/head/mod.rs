//! The rules for heads that all protocols share: what a request may say, and what a response says of
//! its content. A protocol adds the rules of its own.

pub(crate) mod content_length;
pub(crate) mod date;
pub(crate) mod expectation;
pub(crate) mod explain;
pub(crate) mod host;
pub(crate) mod percent;
pub(crate) mod response;
pub(crate) mod target;

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, ORIGIN};

/// Most header lines in one head. Browsers send about 20; a chain of proxies adds a dozen. In HTTP/2
/// each part of a cookie counts.
pub const MAX_FIELDS: usize = 100;

/// Headers that decide about access or the meaning of content and have one value (RFC 9110 section
/// 5.3). A proxy in front may use another line than the handler does, so a repeated one is rejected,
/// even if the values are equal. Clients send one: browsers join values that a page sets twice,
/// Node uses the first, and nginx rejects a second `Authorization`. Where RFC 9110 defines the
/// effect of several lines, as for conditional dates, it is followed. `Host` and `Content-Length`
/// are checked elsewhere.
const SINGLE: [HeaderName; 3] = [AUTHORIZATION, CONTENT_TYPE, ORIGIN];

/// Whether a header is repeated that must not be.
#[cold]
pub(crate) fn repeats_a_single(headers: &HeaderMap) -> bool {
    let is_repeated = |name: &HeaderName| headers.get_all(name).iter().nth(1).is_some();
    SINGLE.iter().any(is_repeated)
}
