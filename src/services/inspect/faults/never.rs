//! Requests that get no response.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::apply::nothing;
use super::spec::Defect;
use crate::message::broken::BrokenEnd;
use crate::message::{IntoResponse as _, Later, Responder, Response};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// Requests that wait for nothing: until their clients leave, a limit has passed or the server shuts
/// down. Then their connections close.
#[derive(Debug, Default, Clone)]
pub(super) struct Unanswered(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    responders: BTreeMap<u64, Responder>,
    /// Requests so far, so that each has a key of its own.
    count: u64,
    /// Whether no request waits any more.
    is_over: bool,
}

impl Unanswered {
    /// A response that never comes. After `longest`, the connection closes.
    pub(super) fn response(&self, longest: Duration) -> Response {
        let mut waiting = self.lock();
        if waiting.is_over {
            return close();
        }
        let (responder, later) = Later::new();
        let key = waiting.count;
        waiting.count += 1;
        responder.on_cancel({
            let unanswered = self.clone();
            move || unanswered.end(key)
        });
        waiting.responders.insert(key, responder);
        drop(waiting);
        later.deadline_with(longest, close()).into_response()
    }

    /// Closes the connection of a request that was cancelled. The client may have finished sending and
    /// still read.
    fn end(&self, key: u64) {
        let responder = self.lock().responders.remove(&key);
        if let Some(responder) = responder {
            // An error means that the client has gone.
            let _ = responder.respond(close());
        }
    }

    /// Closes the connections of all requests, and of those that follow.
    pub(super) fn end_all(&self) {
        let mut waiting = self.lock();
        waiting.is_over = true;
        let responders = std::mem::take(&mut waiting.responders);
        drop(waiting);
        for responder in responders.into_values() {
            let _ = responder.respond(close());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        ignore_poison(self.0.lock())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().responders.len()
    }
}

fn close() -> Response {
    nothing(BrokenEnd::Finish, &Defect::Never.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn is_closed(response: &Response) -> bool {
        response.body().broken().is_some()
    }

    #[test]
    fn request_is_forgotten_with_its_client() {
        let unanswered = Unanswered::default();
        let [one, other] = [(); 2].map(|()| unanswered.response(HOUR));
        assert!(one.body().is_later());
        assert_eq!(unanswered.len(), 2);
        drop(one);
        assert_eq!(unanswered.len(), 1);
        drop(other);
        assert_eq!(unanswered.len(), 0);
    }

    #[test]
    fn shutdown_closes_all() {
        let unanswered = Unanswered::default();
        let waits = unanswered.response(HOUR);
        unanswered.end_all();
        assert_eq!(unanswered.len(), 0);
        assert!(waits.body().is_later());
        assert!(is_closed(&unanswered.response(HOUR)));
    }
}
