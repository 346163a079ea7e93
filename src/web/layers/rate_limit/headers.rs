//! The headers that tell clients their limit (draft-ietf-httpapi-ratelimit-headers-10).

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};

use crate::message::{Later, Response};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// The description of one limit for clients.
#[derive(Debug)]
pub(super) struct LimitHeaders {
    /// The name of the policy, a String of structured fields (RFC 9651 section 3.3.3).
    name: String,
    policy: HeaderValue,
}

/// The rest of a client's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Requests(u32),
    /// Nothing, for this number of seconds.
    Nothing(u64),
}

impl LimitHeaders {
    /// Panics if the name is not printable ASCII.
    #[track_caller]
    pub(super) fn new(name: &str, requests: u32, time: Duration) -> Self {
        assert!(
            name.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "the name of a policy is printable ASCII, not {name:?}"
        );
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        let name = format!("\"{name}\"");
        let mut policy = format!("{name};q={requests}");
        // The draft knows only whole seconds.
        if time.subsec_nanos() == 0 {
            let written = write!(policy, ";w={}", time.as_secs());
            debug_assert!(written.is_ok(), "writing to a String can't fail");
        }
        Self {
            name,
            policy: header(policy),
        }
    }

    /// Adds the headers to a response, also if it comes later. Another limit may have added its own.
    pub(super) fn add(&self, left: Left, response: Response) -> Response {
        let name = &self.name;
        let state = header(match left {
            Left::Requests(count) => format!("{name};r={count}"),
            Left::Nothing(seconds) => format!("{name};r=0;t={seconds}"),
        });
        let policy = self.policy.clone();
        Later::map(response, move |mut response| {
            let headers = response.headers_mut();
            headers.append(POLICY, policy);
            headers.append(STATE, state);
            response
        })
    }
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("it is printable ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, time: Duration, left: Left, policy: &str, state: &str) {
        let response = LimitHeaders::new(name, 7, time).add(left, Response::default());
        let headers = response.headers();
        assert_eq!(
            (&headers[POLICY], &headers[STATE]),
            (&header(policy.into()), &header(state.into()))
        );
    }

    #[test]
    fn headers_are_structured_fields() {
        let minute = Duration::from_secs(60);
        check(
            "default",
            minute,
            Left::Requests(3),
            "\"default\";q=7;w=60",
            "\"default\";r=3",
        );
        check(
            "a \"b\" \\",
            minute,
            Left::Nothing(9),
            r#""a \"b\" \\";q=7;w=60"#,
            r#""a \"b\" \\";r=0;t=9"#,
        );
        check(
            "fast",
            Duration::from_millis(1500),
            Left::Requests(0),
            "\"fast\";q=7",
            "\"fast\";r=0",
        );
    }

    #[test]
    #[should_panic(expected = "printable ASCII")]
    fn name_that_is_no_string_panics() {
        let _ = LimitHeaders::new("é", 1, Duration::ZERO);
    }
}
