//! Requests that the server rejects, so that no handler sees them.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::captured::{Captured, Times, microseconds};
use super::connection::Connection;
use super::history::entry::Outcome;
use super::live::Shared;
use super::log::Entries;
use crate::message::{self, Observer, Overload, RejectReason, RequestRecord};

/// Puts the requests of a server into the history that no handler sees: the server responds to them
/// itself because they are malformed, too large or too slow, or because it is overloaded.
/// [`Inspect::rejected_requests`](super::Inspect::rejected_requests) returns it.
///
/// Of a malformed request, nothing but the reason is known. Of others, the head is.
///
/// ```
/// use httpool::Server;
/// use httpool::services::inspect::{Inspect, Settings};
///
/// let inspect = Inspect::new(Settings::default());
/// let server = Server::builder()
///     .listen("127.0.0.1:0")
///     .observer(inspect.rejected_requests())
///     .bind()?;
/// # server.handle().shutdown();
/// server.run(inspect)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RejectedRequests {
    pub(super) shared: Option<Arc<Shared>>,
    pub(super) log: Option<Entries>,
}

impl Observer for RejectedRequests {
    fn on_response(&self, record: &RequestRecord<'_>) {
        let message::Outcome::Rejected(reason) = record.outcome() else {
            return;
        };
        let captured = captured(record);
        if super::live::is_page(path(&captured)) {
            return;
        }
        let reason = clause(reason);
        if let Some(log) = &self.log {
            log.push_rejected(&captured, record.status(), reason);
        }
        if let Some(history) =
            (self.shared.as_ref()).and_then(|shared| shared.history_of(path(&captured)))
        {
            let received = usize::try_from(record.received()).unwrap_or(usize::MAX);
            let outcome = Outcome::Rejected {
                status: record.status(),
                reason: reason.into(),
                after: record.duration(),
            };
            history.record_rejected(&captured, received, outcome);
        }
    }
}

fn captured(record: &RequestRecord<'_>) -> Captured {
    let duration = record.duration();
    let now = SystemTime::now();
    Captured {
        received: now.checked_sub(duration).unwrap_or(now),
        raw: record.raw_request().detached(),
        body: Bytes::new(),
        connection: Arc::new(Connection::of(record.client_info())),
        times: Times {
            read_us: Some(microseconds(duration)),
            ..Times::default()
        },
        begun: None,
    }
}

/// The reason as people read it.
fn clause(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::Request(error) => error.reason(),
        RejectReason::Overload(Overload::Late) => "it waited too long for a worker",
        RejectReason::Overload(Overload::Full) => "too many requests wait for a worker",
    }
}

/// The path of the target, which decides whether the request belongs to an inbox.
fn path(captured: &Captured) -> &str {
    let target = captured.target();
    target.split('?').next().unwrap_or_default()
}

impl fmt::Debug for RejectedRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedRequests").finish_non_exhaustive()
    }
}
