//! One request of a history, and the line that a list shows of it.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::services::inspect::captured::{Captured, MAX_COPIED, microseconds};

/// The allocations around a request, about.
const OVERHEAD: usize = 256;

/// The part of a text that a list shows, in characters.
const LISTED: usize = 300;

/// A request as it is kept.
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// Its body may be the start of a longer one.
    pub(crate) captured: Captured,
    /// The length of the whole body.
    pub(crate) body_length: usize,
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It waits for its response.
    Open,
    /// It has a response.
    Response {
        status: StatusCode,
        /// Of the content, if it is known in advance.
        length: Option<u64>,
        after: Duration,
        faults: Option<Arc<str>>,
    },
    /// The server has responded before the inspector saw it, because it is malformed or too large, for
    /// example.
    Rejected {
        status: StatusCode,
        /// A clause for people.
        reason: Arc<str>,
        after: Duration,
    },
    /// Nothing is sent, as its faults want.
    Unsent { faults: Arc<str>, after: Duration },
    /// There will be no response: the client has left, or the handler has panicked.
    Nothing { after: Duration },
}

/// A request with its outcome so far.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) entry: Arc<Entry>,
    pub(crate) outcome: Outcome,
}

/// The line of a list.
#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) id: u64,
    /// In milliseconds since 1970.
    at: u64,
    method: String,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Until the response, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    us: Option<u64>,
    /// Of the body, in bytes.
    size: usize,
    /// The kind of its outcome, as [`Outcome::as_str`] has it.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<String>,
}

impl Entry {
    /// Keeps the start of a long body in memory of its own.
    pub(super) fn new(captured: &Captured, max_body: usize) -> Self {
        let mut kept = captured.clone();
        if captured.body.len() > max_body.min(MAX_COPIED) {
            let start = &captured.body[..captured.body.len().min(max_body)];
            kept.body = Bytes::copy_from_slice(start);
        }
        Self {
            id: 0,
            captured: kept,
            body_length: captured.body.len(),
        }
    }

    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        OVERHEAD + self.captured.size()
    }

    pub(crate) fn is_truncated(&self) -> bool {
        self.captured.body.len() < self.body_length
    }

    /// The scheme that the client has used.
    pub(crate) fn scheme(&self) -> &str {
        self.captured.scheme()
    }

    pub(crate) fn since_1970(&self) -> Duration {
        let since = self.captured.received.duration_since(UNIX_EPOCH);
        since.unwrap_or_default()
    }
}

impl Outcome {
    /// The kind of outcome, as a word for the page and for exports.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Response { .. } => "response",
            Self::Rejected { .. } => "rejected",
            Self::Unsent { .. } => "unsent",
            Self::Nothing { .. } => "left",
        }
    }

    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Response { status, .. } | Self::Rejected { status, .. } => Some(*status),
            Self::Open | Self::Unsent { .. } | Self::Nothing { .. } => None,
        }
    }

    pub(crate) fn after(&self) -> Option<Duration> {
        match self {
            Self::Open => None,
            Self::Response { after, .. }
            | Self::Rejected { after, .. }
            | Self::Unsent { after, .. }
            | Self::Nothing { after } => Some(*after),
        }
    }

    /// The length of the response's content.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Response { length, .. } => *length,
            _ => None,
        }
    }

    /// The faults of the response, in the form in which they are asked for.
    pub(crate) fn faults(&self) -> Option<&str> {
        match self {
            Self::Response { faults, .. } => faults.as_deref(),
            Self::Unsent { faults, .. } => Some(faults),
            _ => None,
        }
    }

    /// Why the server has rejected the request.
    pub(crate) fn rejected(&self) -> Option<&str> {
        match self {
            Self::Rejected { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

impl Shown {
    pub(crate) fn summary(&self) -> Summary {
        let entry = &self.entry;
        Summary {
            id: entry.id,
            at: milliseconds(entry.since_1970()),
            method: entry.captured.method().to_owned(),
            target: shortened(entry.captured.target()),
            status: self.outcome.status().map(|status| status.as_u16()),
            us: self.outcome.after().map(microseconds),
            size: entry.body_length,
            outcome: self.outcome.as_str(),
            faults: self.outcome.faults().map(shortened),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LISTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes as text: UTF-8, or Latin-1 if they are not, so that no byte is lost.
pub(crate) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}
