//! Parks connections that wait for their client, and returns them when epoll reports an event.
//!
//! One epoll instance holds all connections. A connection is registered when it first parks,
//! edge-triggered, and is never re-armed. Its slot records whether it is parked or with a worker. An
//! event that arrives while a worker has the connection is delivered when the worker parks it. So no
//! event is lost, and no wake-up needs a system call of its own.
//!
//! A connection is registered for input only. A new socket is writable, and reporting that would
//! wake a worker for nothing; most connections never fill their send buffer. When a connection
//! fills it for the first time, it is registered for output too, and stays registered.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::waker::Waker;
use crate::connection::{Pending, WaitFor, WakeReason};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::epoll;
use crate::sync::epoll::{EventData, EventFlags};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// Slots are allocated in blocks of this size, when first needed. Loom tracks each slot, so its
/// blocks are small.
const BLOCK_SLOTS: usize = if cfg!(loom) { 2 } else { 1024 };

/// The deadline of a slot in which no connection is parked.
const NEVER: u64 = u64::MAX;

/// The waker's token, which no slot can have.
const WAKER_TOKEN: u64 = u64::MAX;

/// Parks connections of type `T`. A connection is either in the poller or with a worker.
pub(super) struct Poller<T> {
    epoll: OwnedFd,
    blocks: Box<[OnceLock<Block<T>>]>,
    free: Mutex<Free>,
    epoch: Instant,
}

/// Identifies a reserved slot until [`Poller::release`] or [`Poller::deregister`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    slot: u32,
    generation: u32,
}

/// Events received from epoll, for [`Poller::next_ready`] to process in order.
pub(super) struct Events {
    received: Vec<epoll::Event>,
    taken: usize,
    waker_fired: bool,
}

type Block<T> = Box<[Slot<T>]>;

struct Slot<T> {
    /// Milliseconds since the epoch, outside the lock so that a sweep touches nothing else.
    deadline: AtomicU64,
    state: Mutex<SlotState<T>>,
}

struct SlotState<T> {
    /// Counts the tokens issued for this slot, so that a stale event of an earlier connection does
    /// not wake the next one.
    generation: u32,
    /// Whether the connection is registered for output, too.
    watches_output: bool,
    occupant: Occupant<T>,
}

enum Occupant<T> {
    /// No token is issued.
    Vacant,
    /// A token is issued, and its connection has not parked yet.
    Reserved,
    /// The connection is parked.
    Parked(T, WaitFor),
    /// A worker has the connection.
    Away,
    /// A worker has the connection, and an event has arrived since.
    Notified(WakeReason),
}

#[derive(Default)]
struct Free {
    returned: Vec<u32>,
    untouched: u32,
}

/// The result of parking.
pub(super) enum Parked<T> {
    /// The connection is parked.
    Waiting,
    /// An event arrived in the meantime: drive the connection again.
    Ready(T, WakeReason),
    /// The connection can't be registered.
    Failed(T, io::Error),
}

impl<T: AsFd> Poller<T> {
    /// Creates a poller for this many connections. `waker` wakes a thread that waits in it.
    pub(super) fn new(capacity: usize, waker: &Waker) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(WAKER_TOKEN);
        epoll::add(&epoll, waker, data, EventFlags::IN | EventFlags::ET)?;
        Ok(Self {
            epoll,
            blocks: (0..capacity.div_ceil(BLOCK_SLOTS))
                .map(|_| OnceLock::new())
                .collect(),
            free: Mutex::default(),
            epoch: Instant::now(),
        })
    }

    /// Reserves a free slot; `None` if the poller is full.
    pub(super) fn reserve(&self) -> Option<Token> {
        let mut free = lock(&self.free);
        let slot = match free.returned.pop() {
            Some(slot) => slot,
            None if (free.untouched as usize) < self.blocks.len() * BLOCK_SLOTS => {
                free.untouched += 1;
                free.untouched - 1
            }
            None => return None,
        };
        drop(free);
        let mut state = lock(&self.slot(slot).state);
        state.watches_output = false;
        state.occupant = Occupant::Reserved;
        Some(Token {
            slot,
            generation: state.generation,
        })
    }

    /// Parks the connection that owns `token`.
    pub(super) fn park(&self, token: Token, parked: T, pending: Pending) -> Parked<T> {
        let slot = self.slot(token.slot);
        let mut state = lock(&slot.state);
        debug_assert_eq!(state.generation, token.generation);
        let needs_output = pending.wait_for == WaitFor::Room && !state.watches_output;
        // A thread that receives the first event waits for the lock held here.
        let registered = match state.occupant {
            Occupant::Notified(wake) => {
                state.occupant = Occupant::Away;
                return Parked::Ready(parked, wake);
            }
            Occupant::Reserved => {
                let flags = interest(needs_output);
                epoll::add(&self.epoll, &parked, token.data(), flags)
            }
            // If the socket became writable in the meantime, epoll reports that at once.
            _ if needs_output => epoll::modify(&self.epoll, &parked, token.data(), interest(true)),
            Occupant::Vacant | Occupant::Parked(..) | Occupant::Away => Ok(()),
        };
        if let Err(error) = registered {
            return Parked::Failed(parked, error.into());
        }
        state.watches_output |= needs_output;
        slot.deadline
            .store(self.millis(pending.deadline), Ordering::Relaxed);
        state.occupant = Occupant::Parked(parked, pending.wait_for);
        Parked::Waiting
    }

    /// Frees the slot. The caller must own the token's connection.
    pub(super) fn release(&self, token: Token) {
        let mut state = lock(&self.slot(token.slot).state);
        state.generation = state.generation.wrapping_add(1);
        state.occupant = Occupant::Vacant;
        drop(state);
        lock(&self.free).returned.push(token.slot);
    }

    /// Removes a connection from epoll and frees its slot. No event of it is reported until it
    /// reserves a slot again; pending events are then reported when it first parks.
    pub(super) fn deregister(&self, token: Token, parked: &impl AsFd) {
        // A connection that has never parked is not registered.
        let _ = epoll::delete(&self.epoll, parked);
        self.release(token);
    }

    /// Waits for events, for at most `timeout`.
    pub(super) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| rustix::event::Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        events.received.clear();
        events.taken = 0;
        events.waker_fired = false;
        let buffer = spare_capacity(&mut events.received);
        match epoll::wait(&self.epoll, buffer, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the next connection that has an event to handle.
    pub(super) fn next_ready(&self, events: &mut Events) -> Option<(T, WakeReason)> {
        while let Some(event) = events.received.get(events.taken) {
            events.taken += 1;
            match Token::of(event.data).map(|token| self.notify(token, event.flags)) {
                Some(Some(ready)) => return Some(ready),
                Some(None) => {}
                None => events.waker_fired = true,
            }
        }
        None
    }

    /// Removes every parked connection whose deadline has passed.
    pub(super) fn expired(&self, now: Instant, mut take: impl FnMut(T)) {
        let now = self.millis(now);
        for slot in self.slots() {
            if slot.deadline.load(Ordering::Relaxed) > now {
                continue;
            }
            let mut state = lock(&slot.state);
            if slot.deadline.load(Ordering::Relaxed) <= now
                && let Some(parked) = state.take(slot, |_| true)
            {
                drop(state);
                take(parked);
            }
        }
    }

    /// Removes every parked connection whose [`WaitFor`] matches.
    pub(super) fn recall(&self, mut matches: impl FnMut(WaitFor) -> bool, mut take: impl FnMut(T)) {
        for slot in self.slots() {
            let parked = lock(&slot.state).take(slot, &mut matches);
            if let Some(parked) = parked {
                take(parked);
            }
        }
    }

    /// Returns the token's connection if it is parked and waits for this event. If a worker has the
    /// connection, the event is recorded for its next parking.
    fn notify(&self, token: Token, flags: EventFlags) -> Option<(T, WakeReason)> {
        let slot = self.slot(token.slot);
        let mut state = lock(&slot.state);
        if state.generation != token.generation {
            return None;
        }
        let hung_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let wake = if hung_up {
            WakeReason::HungUp
        } else {
            WakeReason::Ready
        };
        match state.occupant {
            Occupant::Parked(_, wait_for) => {
                let direction = match wait_for {
                    WaitFor::Room => EventFlags::OUT,
                    _ => EventFlags::IN,
                };
                if !hung_up && !flags.intersects(direction) {
                    return None;
                }
                let parked = state.take(slot, |_| true)?;
                Some((parked, wake))
            }
            Occupant::Away | Occupant::Notified(WakeReason::Ready) => {
                state.occupant = Occupant::Notified(wake);
                None
            }
            Occupant::Vacant | Occupant::Reserved | Occupant::Notified(_) => None,
        }
    }

    fn slot(&self, index: u32) -> &Slot<T> {
        let index = index as usize;
        let block = self.blocks[index / BLOCK_SLOTS].get_or_init(|| {
            (0..BLOCK_SLOTS)
                .map(|_| Slot {
                    deadline: AtomicU64::new(NEVER),
                    state: Mutex::new(SlotState {
                        generation: 0,
                        watches_output: false,
                        occupant: Occupant::Vacant,
                    }),
                })
                .collect()
        });
        &block[index % BLOCK_SLOTS]
    }

    fn slots(&self) -> impl Iterator<Item = &Slot<T>> {
        self.blocks
            .iter()
            .map_while(OnceLock::get)
            .flat_map(|block| block.iter())
    }

    fn millis(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(NEVER - 1)
    }
}

impl<T> SlotState<T> {
    fn take(&mut self, slot: &Slot<T>, matches: impl FnOnce(WaitFor) -> bool) -> Option<T> {
        if !matches!(self.occupant, Occupant::Parked(_, wait_for) if matches(wait_for)) {
            return None;
        }
        slot.deadline.store(NEVER, Ordering::Relaxed);
        match std::mem::replace(&mut self.occupant, Occupant::Away) {
            Occupant::Parked(parked, _) => Some(parked),
            _ => None,
        }
    }
}

impl Token {
    fn data(self) -> EventData {
        EventData::new_u64(u64::from(self.generation) << 32 | u64::from(self.slot))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the value that `data` composes"
    )]
    fn of(data: EventData) -> Option<Self> {
        let token = data.u64();
        (token != WAKER_TOKEN).then_some(Self {
            slot: token as u32,
            generation: (token >> 32) as u32,
        })
    }
}

impl Events {
    /// Holds up to `capacity` events at a time.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            received: Vec::with_capacity(capacity),
            taken: 0,
            waker_fired: false,
        }
    }

    /// Whether the waker fired, valid once `next_ready` has processed all events.
    pub(super) fn waker_fired(&self) -> bool {
        self.waker_fired
    }
}

/// The events to register for.
fn interest(with_output: bool) -> EventFlags {
    let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
    flags.set(EventFlags::OUT, with_output);
    flags
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    ignore_poison(mutex.lock())
}

#[cfg(test)]
mod exploration;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod tests;
