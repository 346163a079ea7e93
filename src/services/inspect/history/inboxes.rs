//! Inboxes: histories apart from each other, each with a response that its owner sets.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::{History, Limits};
use crate::message::{IntoResponse, Later, Response};
use crate::services::inspect::times;
use crate::sync::{Mutex, ignore_poison};

/// All inboxes together take at most this many times the bytes of one.
const MAX_INBOXES: usize = 64;

/// Webhooks are small, and an inbox shows the last ones.
pub(crate) const INBOX: Limits = Limits {
    requests: 200,
    bytes: 1024 * 1024,
    body: 64 * 1024,
};

/// The longest id of an inbox.
const MAX_ID: usize = 64;

/// More than the senders of webhooks read of a response.
const MAX_BODY: usize = 64 * 1024;
const MAX_HEADERS: usize = 32;

/// Headers that belong to the connection, so the server sets them.
const OF_THE_SERVER: [HeaderName; 5] = [
    CONNECTION,
    CONTENT_LENGTH,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The inboxes by their ids. Each exists from its first use.
#[derive(Default)]
pub(crate) struct Inboxes(Mutex<State>);

#[derive(Default)]
struct State {
    inboxes: HashMap<String, Arc<Inbox>>,
    /// The number of uses so far.
    uses: u64,
    used: HashMap<String, Use>,
    is_closed: bool,
}

/// The last use of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    /// Whether a page has shown it. Without this, requests to many ids would push out inboxes with
    /// open pages.
    is_opened: bool,
    number: u64,
}

/// The kinds of users of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// A client that sends to it.
    Sender,
    /// A page that shows it.
    Page,
}

/// One inbox.
pub(crate) struct Inbox {
    pub(crate) history: Arc<History>,
    response: Mutex<InboxResponse>,
}

/// The response of an inbox, as its page sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboxResponse {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    delay_ms: u64,
}

impl Default for InboxResponse {
    fn default() -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".into(), "text/plain".into())],
            body: "received\n".into(),
            delay_ms: 0,
        }
    }
}

impl Inboxes {
    /// The inbox with this id, which is created by its first use. `None` if the id is not valid.
    pub(crate) fn get(&self, id: &str, user: User) -> Option<Arc<Inbox>> {
        if !is_valid(id) {
            return None;
        }
        let mut state = ignore_poison(self.0.lock());
        state.uses += 1;
        let number = state.uses;
        let last = state.used.entry(id.to_owned()).or_insert(Use {
            is_opened: false,
            number,
        });
        last.number = number;
        last.is_opened |= user == User::Page;
        if let Some(inbox) = state.inboxes.get(id) {
            return Some(Arc::clone(inbox));
        }
        let inbox = Arc::new(Inbox::new());
        if state.is_closed {
            inbox.history.close();
        }
        state.inboxes.insert(id.to_owned(), Arc::clone(&inbox));
        let evicted = state.evict(id);
        drop(state);
        if let Some(evicted) = evicted {
            evicted.history.close();
        }
        Some(inbox)
    }

    /// Ends the streams of all pages.
    pub(crate) fn close(&self) {
        let mut state = ignore_poison(self.0.lock());
        state.is_closed = true;
        let inboxes: Vec<_> = state.inboxes.values().cloned().collect();
        drop(state);
        for inbox in inboxes {
            inbox.history.close();
        }
    }
}

impl State {
    /// Takes the inbox out that was not used for longest, if there are too many. `newest` stays.
    fn evict(&mut self, newest: &str) -> Option<Arc<Inbox>> {
        if self.inboxes.len() <= MAX_INBOXES {
            return None;
        }
        let others = self.used.iter().filter(|(id, _)| *id != newest);
        let (oldest, _) = others.min_by_key(|(_, used)| **used)?;
        let oldest = oldest.clone();
        self.used.remove(&oldest);
        self.inboxes.remove(&oldest)
    }
}

/// Letters, digits, `-` and `_`, so that an id needs no escapes.
fn is_valid(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(is_plain)
}

impl Inbox {
    fn new() -> Self {
        Self {
            history: History::new(INBOX),
            response: Mutex::default(),
        }
    }

    pub(crate) fn response(&self) -> InboxResponse {
        ignore_poison(self.response.lock()).clone()
    }

    /// Sets the response.
    ///
    /// # Errors
    ///
    /// If it can't be sent, with a sentence for the client.
    pub(crate) fn set_response(
        &self,
        response: InboxResponse,
        longest_delay: Duration,
    ) -> Result<(), String> {
        response.check()?;
        times::check(response.delay(), longest_delay)
            .map_err(|reason| format!("delay_ms: {reason}"))?;
        *ignore_poison(self.response.lock()) = response;
        Ok(())
    }
}

impl InboxResponse {
    fn check(&self) -> Result<(), String> {
        if !(200..=599).contains(&self.status) {
            return Err(format!("{} is not a status from 200 to 599", self.status));
        }
        if self.body.len() > MAX_BODY {
            return Err(format!("the body is longer than {MAX_BODY} bytes"));
        }
        if self.headers.len() > MAX_HEADERS {
            return Err(format!("there are more than {MAX_HEADERS} headers"));
        }
        self.header_map().map(|_| ())
    }

    fn header_map(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name)
                .ok()
                .zip(HeaderValue::try_from(value).ok());
            let Some((name, value)) = parsed else {
                return Err(format!("{name:?} is not a valid header"));
            };
            if OF_THE_SERVER.contains(&name) {
                return Err(format!("{name} is set by the server"));
            }
            headers.append(name, value);
        }
        Ok(headers)
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// Makes the response.
    pub(crate) fn make(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = Response::new(Bytes::from(self.body.clone()).into());
        *response.status_mut() = status;
        *response.headers_mut() = self.header_map().unwrap_or_default();
        match self.delay() {
            Duration::ZERO => response,
            delay => Later::after(delay, response).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(change: impl FnOnce(&mut InboxResponse)) -> Result<(), String> {
        let mut response = InboxResponse::default();
        change(&mut response);
        Inbox::new().set_response(response, Duration::from_secs(60))
    }

    #[test]
    fn ids_need_no_escapes() {
        let inboxes = Inboxes::default();
        for id in ["a", "stripe", "A-b_9", &"x".repeat(MAX_ID)] {
            assert!(inboxes.get(id, User::Sender).is_some(), "{id}");
        }
        for id in ["", "a b", "a/b", "ä", "<a>", &"x".repeat(MAX_ID + 1)] {
            assert!(inboxes.get(id, User::Sender).is_none(), "{id}");
        }
    }

    #[test]
    fn inbox_without_a_page_leaves_first() {
        let inboxes = Inboxes::default();
        let opened = inboxes.get("opened", User::Page).expect("the id is valid");
        for number in 0..2 * MAX_INBOXES {
            assert!(inboxes.get(&format!("x{number}"), User::Sender).is_some());
        }
        let state = ignore_poison(inboxes.0.lock());
        assert_eq!(state.inboxes.len(), MAX_INBOXES);
        assert_eq!(state.used.len(), MAX_INBOXES);
        let kept = state.inboxes.get("opened").expect("it is kept");
        assert!(Arc::ptr_eq(kept, &opened));
        assert!(!state.inboxes.contains_key("x0"));
    }

    #[test]
    fn response_that_cannot_be_sent_is_refused() {
        assert_eq!(response(|_| ()), Ok(()));
        for status in [0, 100, 199, 600] {
            assert!(
                response(|response| response.status = status).is_err(),
                "{status}"
            );
        }
        for header in [
            ("a b", "c"),
            ("a", "b\r\nc: d"),
            ("Content-Length", "5"),
            ("", ""),
        ] {
            let header = (header.0.to_owned(), header.1.to_owned());
            assert!(
                response(|response| response.headers.push(header.clone())).is_err(),
                "{header:?}"
            );
        }
        assert!(response(|response| response.body = "x".repeat(MAX_BODY + 1)).is_err());
        assert_eq!(response(|response| response.delay_ms = 60_000), Ok(()));
        let error = response(|response| response.delay_ms = 60_001).expect_err("it is too long");
        assert_eq!(
            error,
            "delay_ms: 1m1ms is more than 1m, the longest time that is allowed"
        );
    }
}
