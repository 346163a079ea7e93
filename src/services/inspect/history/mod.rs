//! The last requests, in memory and bounded in number and bytes.
//!
//! A request is put in with one short lock. Pages are positions in the sequence of changes
//! ([`follow`]), so an event costs nothing while no page is open, and a page that reads slowly costs no
//! memory.

#[cfg(feature = "inspect-db")]
pub(super) mod database;
pub(super) mod entry;
pub(super) mod export;
pub(super) mod follow;
pub(super) mod inboxes;
mod recording;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::message::waker::{Wake, wake_all};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

use self::entry::{Entry, Outcome, Shown};
use self::recording::Recording;
use super::captured::Captured;

/// The limits of a history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) requests: usize,
    /// Of all requests together.
    pub(super) bytes: usize,
    /// Of the body of one request. Of a longer one, the start is kept.
    pub(super) body: usize,
}

/// The last requests.
pub(super) struct History {
    limits: Limits,
    /// Tells this history from that of an earlier run.
    name: String,
    state: Mutex<State>,
    store: Option<Box<dyn Store>>,
}

/// Keeps requests over restarts. No call waits.
pub(super) trait Store: Send + Sync {
    /// The requests of earlier runs. Only the first call returns them.
    fn restore(&self) -> Option<Restored>;
    /// Puts a request in. `oldest` is the id of the oldest one that is kept now.
    fn insert(&self, entry: &Arc<Entry>, oldest: u64);
    fn set_outcome(&self, id: u64, outcome: Outcome);
    /// Forgets the requests before this id.
    fn forget_before(&self, id: u64);
}

/// Requests of earlier runs, oldest first.
pub(super) struct Restored(pub(super) Vec<Shown>);

struct State {
    slots: VecDeque<Slot>,
    /// The id of the first slot; each following one is one more.
    first: u64,
    bytes: usize,
    /// The number of changes so far.
    changes: u64,
    /// The change by which the history was last cleared.
    cleared: u64,
    /// The pages that wait for a change, with their numbers.
    waiting: Vec<(u64, Arc<dyn Wake>)>,
    /// Requests that stay while a page is paused. At most as many as the history has.
    held: Vec<Shown>,
    /// The number of the next page.
    next_page: u64,
    pages: usize,
    is_closed: bool,
}

struct Slot {
    entry: Arc<Entry>,
    outcome: Outcome,
    /// The number of its last change.
    changed: u64,
}

impl History {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Self::with_store(limits, None)
    }

    /// A history that begins with what the store has.
    pub(super) fn with_store(limits: Limits, store: Option<Box<dyn Store>>) -> Arc<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let restored = store.as_ref().and_then(|store| store.restore());
        let history = Self {
            limits,
            name: format!("{:x}", now.unwrap_or_default().as_micros()),
            state: Mutex::new(State {
                slots: VecDeque::new(),
                first: 1,
                bytes: 0,
                changes: 0,
                cleared: 0,
                waiting: Vec::new(),
                held: Vec::new(),
                next_page: 0,
                pages: 0,
                is_closed: false,
            }),
            store,
        };
        for shown in restored.into_iter().flat_map(|Restored(requests)| requests) {
            history.lock().restore(shown, limits);
        }
        Arc::new(history)
    }

    /// Puts a request in. The [`Recording`] adds its outcome.
    pub(super) fn record(self: &Arc<Self>, captured: &Captured) -> Recording {
        let entry = Entry::new(captured, self.limits.body);
        let id = self.insert(entry);
        Recording::new(Arc::clone(self), id)
    }

    /// Puts a request in that the server has rejected. Its body had this many bytes so far, and none of
    /// them is kept.
    pub(super) fn record_rejected(&self, captured: &Captured, received: usize, outcome: Outcome) {
        let mut entry = Entry::new(captured, 0);
        entry.body_length = received;
        let id = self.insert(entry);
        self.set_outcome(id, outcome);
    }

    fn insert(&self, mut entry: Entry) -> u64 {
        let mut state = self.lock();
        let id = state.end();
        entry.id = id;
        let entry = Arc::new(entry);
        state.push(Shown {
            entry: Arc::clone(&entry),
            outcome: Outcome::Open,
        });
        let evicted = state.evict(self.limits);
        let oldest = state.first;
        wake_waiting(state);
        if let Some(store) = &self.store {
            store.insert(&entry, oldest);
        }
        // Freeing takes longer than the rest, so it comes after the lock.
        drop(evicted);
        id
    }

    /// Notes the outcome of a request, if the request is still kept.
    fn set_outcome(&self, id: u64, outcome: Outcome) {
        let mut state = self.lock();
        let changed = state.changes + 1;
        let Some(slot) = state.slot_mut(id) else {
            return;
        };
        (slot.outcome, slot.changed) = (outcome.clone(), changed);
        state.changes = changed;
        wake_waiting(state);
        if let Some(store) = &self.store {
            store.set_outcome(id, outcome);
        }
    }

    /// The request with this id, if it is still kept.
    pub(super) fn get(&self, id: u64) -> Option<Shown> {
        let state = self.lock();
        let slot = state.index(id).and_then(|index| state.slots.get(index));
        let held = || state.held.iter().find(|held| held.entry.id == id).cloned();
        slot.map(Slot::shown).or_else(held)
    }

    /// All requests, oldest first.
    pub(super) fn all(&self) -> Vec<Shown> {
        self.lock().slots.iter().map(Slot::shown).collect()
    }

    /// Keeps the requests of this moment until they are released, also when newer requests push it
    /// out. If thousands of requests arrive in a second, none would stay long enough to be read. It
    /// replaces what was held before, so it takes at most as much memory as the history.
    pub(super) fn hold(&self) -> Vec<Shown> {
        let mut state = self.lock();
        let held: Vec<_> = state.slots.iter().map(Slot::shown).collect();
        let before = mem::replace(&mut state.held, held.clone());
        drop(state);
        drop(before);
        held
    }

    /// Ends [`hold`](Self::hold).
    pub(super) fn release(&self) {
        let held = mem::take(&mut self.lock().held);
        drop(held);
    }

    /// Forgets all requests.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.first = state.end();
        let forgotten = (mem::take(&mut state.slots), mem::take(&mut state.held));
        state.bytes = 0;
        state.cleared = state.next_change();
        let first = state.first;
        wake_waiting(state);
        if let Some(store) = &self.store {
            store.forget_before(first);
        }
        drop(forgotten);
    }

    /// Ends the streams of all pages, now and later.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        wake_waiting(state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        ignore_poison(self.state.lock())
    }
}

impl State {
    /// The id of the next request.
    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn next_change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    fn index(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first)?).ok()
    }

    fn slot_mut(&mut self, id: u64) -> Option<&mut Slot> {
        let index = self.index(id)?;
        self.slots.get_mut(index)
    }

    fn push(&mut self, Shown { entry, outcome }: Shown) {
        let changed = self.next_change();
        self.bytes += entry.size();
        self.slots.push_back(Slot {
            entry,
            outcome,
            changed,
        });
    }

    /// Puts a request of an earlier run in. Ids have no gaps, so those before a gap are left out.
    fn restore(&mut self, shown: Shown, limits: Limits) {
        let id = shown.entry.id;
        if id != self.end() {
            self.slots.clear();
            (self.first, self.bytes) = (id, 0);
        }
        self.push(shown);
        self.evict(limits);
    }

    /// Takes the oldest requests beyond the limits out. The last request is always kept.
    fn evict(&mut self, limits: Limits) -> Vec<Slot> {
        let mut evicted = Vec::new();
        while self.slots.len() > 1
            && (self.slots.len() > limits.requests || self.bytes > limits.bytes)
            && let Some(oldest) = self.slots.pop_front()
        {
            self.first += 1;
            self.bytes -= oldest.entry.size();
            evicted.push(oldest);
        }
        evicted
    }
}

impl Slot {
    fn shown(&self) -> Shown {
        Shown {
            entry: Arc::clone(&self.entry),
            outcome: self.outcome.clone(),
        }
    }
}

/// Wakes the pages that wait, after the lock is released.
fn wake_waiting(mut state: MutexGuard<'_, State>) {
    let waiting = mem::take(&mut state.waiting);
    drop(state);
    wake_all(waiting.into_iter().map(|(_, waker)| waker));
}
