//! httpbin's cookie, by which tests see that a client keeps the cookies of a challenge.

use http::header::HeaderValue;

use crate::services::inspect::captured::Captured;
use crate::services::inspect::vocabulary::cookies;
use crate::services::inspect::vocabulary::input::Pairs;

pub(super) const COOKIE_OF_CHALLENGE: HeaderValue =
    HeaderValue::from_static("fake=fake_value; Path=/");

/// Whether the client sent the cookie of the challenge, if `?require-cookie=` wants it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    Unwanted,
    Sent,
    OthersSent,
    NoneSent,
}

impl Cookie {
    pub(super) fn of(captured: &Captured) -> Self {
        let query = Pairs::parse(captured.query().as_bytes());
        let wanted = query.get("require-cookie").unwrap_or_default();
        if !["1", "t", "true"]
            .iter()
            .any(|yes| wanted.eq_ignore_ascii_case(yes))
        {
            return Self::Unwanted;
        }
        let sent = cookies::sent(&captured.headers());
        if sent.contains(&("fake".to_owned(), "fake_value".to_owned())) {
            Self::Sent
        } else if sent.is_empty() {
            Self::NoneSent
        } else {
            Self::OthersSent
        }
    }
}
