//! The stream of events that a page listens to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::entry::{Shown, Summary};
use super::{History, Slot, State};
use crate::message::body::{Polled, PolledSource};
use crate::message::waker::Wake;
use crate::sync::MutexGuard;
use crate::web::sse::{Event, Events};

/// The shortest time between two events. Changes within it go into one event, so that a page can follow
/// any number of requests.
const INTERVAL: Duration = Duration::from_millis(100);

/// When browsers reconnect after the end of a stream.
const RETRY: Duration = Duration::from_secs(1);

/// Proxies close connections that are silent for a minute, and a page tells sooner than by default that
/// its network has failed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The pages that follow one history. Each event costs work for each page.
const MAX_PAGES: usize = 100;

/// The requests that have changed, as a page receives them.
#[derive(Serialize)]
struct Batch {
    /// Whether the page has to forget all other requests.
    reset: bool,
    /// How many requests a page keeps.
    limit: usize,
    /// How many requests there have been.
    total: u64,
    requests: Vec<Summary>,
}

/// The source of one page's events: a position in the sequence of changes.
pub(super) struct Follower {
    history: Arc<History>,
    number: u64,
    /// The last change that was sent. `None` before the first event of a page that knows nothing.
    position: Option<u64>,
    is_new: bool,
    /// When the next event may be sent.
    next_at: Option<Instant>,
    waker: Option<Arc<dyn Wake>>,
}

impl History {
    /// Adds a page, which has received the event with this id last. `None` if there are too many.
    pub(in crate::services::inspect) fn follow(
        self: &Arc<Self>,
        last_event_id: Option<&str>,
    ) -> Option<Events> {
        let follower = self.follower(last_event_id)?;
        Some(Events::polled(follower).keep_alive(KEEP_ALIVE))
    }

    pub(super) fn follower(self: &Arc<Self>, last_event_id: Option<&str>) -> Option<Follower> {
        let mut state = self.lock();
        if state.pages >= MAX_PAGES {
            return None;
        }
        state.pages += 1;
        let number = state.next_page;
        state.next_page += 1;
        drop(state);
        Some(Follower {
            history: Arc::clone(self),
            number,
            position: last_event_id.and_then(|id| self.position(id)),
            is_new: true,
            next_at: None,
            waker: None,
        })
    }

    /// The position behind the event with this id, if it is of this history.
    fn position(&self, id: &str) -> Option<u64> {
        let (name, change) = id.split_once('-')?;
        (name == self.name).then(|| change.parse().ok()).flatten()
    }
}

impl State {
    /// Whether a page at this position has missed that all requests were forgotten.
    fn needs_reset(&self, position: Option<u64>) -> bool {
        position.is_none_or(|position| position < self.cleared || position > self.changes)
    }

    fn has_news(&self, position: Option<u64>) -> bool {
        position != Some(self.changes)
    }

    /// The requests that have changed since this position.
    fn changed_since(&self, position: Option<u64>) -> Vec<Shown> {
        let after = position.filter(|_| !self.needs_reset(position));
        let slots = self.slots.iter();
        let changed = slots.filter(|slot| slot.changed > after.unwrap_or_default());
        changed.map(Slot::shown).collect()
    }
}

impl Follower {
    /// The event with all that has changed. The lock is released before it is written.
    fn event(&mut self, state: MutexGuard<'_, State>) -> Event {
        let reset = state.needs_reset(self.position);
        let requests = state.changed_since(self.position);
        let (changes, total) = (state.changes, state.end() - 1);
        drop(state);
        self.position = Some(changes);
        let batch = Batch {
            reset,
            limit: self.history.limits.requests,
            total,
            requests: requests.iter().map(Shown::summary).collect(),
        };
        let id = format!("{}-{changes}", self.history.name);
        let event = Event::json(&batch).and_then(|event| {
            let event = event.name("requests").try_id(id);
            event.map_err(serde::ser::Error::custom)
        });
        event.unwrap_or_else(|_| Event::comment("an event could not be written"))
    }
}

impl PolledSource for Follower {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        self.waker = Some(waker);
    }

    fn poll(&mut self, now: Instant) -> Polled {
        let history = Arc::clone(&self.history);
        let mut state = history.lock();
        if state.is_closed {
            return Polled::End;
        }
        let has_news = self.is_new || state.has_news(self.position);
        if !has_news {
            if let Some(waker) = &self.waker {
                state.waiting.retain(|(number, _)| *number != self.number);
                state.waiting.push((self.number, Arc::clone(waker)));
            }
            return Polled::Pending(None);
        }
        if let Some(at) = self.next_at.filter(|at| now < *at) {
            return Polled::Pending(Some(at));
        }
        self.next_at = Some(now + INTERVAL);
        let is_first = std::mem::take(&mut self.is_new);
        let event = self.event(state);
        let mut part = Vec::new();
        if is_first {
            part.extend_from_slice(&Event::retry(RETRY).encode());
        }
        part.extend_from_slice(&event.encode());
        Polled::Part(part.into())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.history.lock();
        state.pages -= 1;
        state.waiting.retain(|(number, _)| *number != self.number);
    }
}
