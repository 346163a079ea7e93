//! Waits for responses that come later.

use std::borrow::Cow;
use std::thread;
use std::time::Instant;

use http::{HeaderMap, Version};

use crate::message::later::Resolution;
use crate::message::waker::ThreadWaker;
use crate::message::{Later, Response};

/// Waits for the response, on this thread. `late` makes the server's own response after the deadline.
/// The early hints before it are the second result.
#[track_caller]
pub(super) fn wait(
    mut response: Response,
    late: impl Fn() -> Response,
) -> (Response, Vec<HeaderMap>) {
    let mut hints = Vec::new();
    while let Some(mut later) = Later::take(&mut response) {
        // A client of HTTP/2 takes all.
        let no_headers = || Cow::Owned(HeaderMap::new());
        let taken = later.take_hints(Version::HTTP_2, no_headers);
        hints.extend(taken.map(|hints| *hints));
        response = wait_once(later, &late);
    }
    (response, hints)
}

#[track_caller]
fn wait_once(mut later: Later, late: impl Fn() -> Response) -> Response {
    later.attach(ThreadWaker::current());
    loop {
        let now = Instant::now();
        match later.poll(now) {
            Some(Resolution::Response(response) | Resolution::Late(Some(response))) => {
                return later.complete(*response);
            }
            Some(Resolution::Call(respond)) => return later.complete(respond.call()),
            Some(Resolution::Late(None)) => return late(),
            Some(Resolution::Abandoned) => {
                panic!("the responder was dropped without a response")
            }
            None => {}
        }
        match later.alarm().into_iter().chain(later.ends_at()).min() {
            Some(until) => thread::park_timeout(until.saturating_duration_since(now)),
            None => thread::park(),
        }
    }
}
