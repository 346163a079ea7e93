//! The parking lot: where connections wait that can't go on.
//!
//! One epoll instance holds them all. A connection is registered when it first parks, edge-triggered,
//! and never armed again: whether an event finds it parked or being driven is kept in its place, and
//! an event that comes while a worker has it is handed over when the worker parks it. So no event is
//! lost and no wake-up needs a system call of its own.
//!
//! It is registered for what comes from the client. Room to send is there from the start, and to be
//! told so would wake a worker for nothing; most connections never lack it. The first time that one
//! does, it is registered for room too, and stays so.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::waker::Waker;
use crate::connection::{Pending, WaitFor, WakeReason};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::epoll;
use crate::sync::epoll::{EventData, EventFlags};
use crate::sync::{Mutex, MutexGuard};

/// Places are made this many at a time, when they are first needed; few where loom keeps an account
/// of each.
const BLOCK_PLACES: usize = if cfg!(loom) { 2 } else { 1024 };

/// The deadline of a place in which nothing is parked.
const NEVER: u64 = u64::MAX;

/// The token of the bell, which no place can have.
const BELL: u64 = u64::MAX;

/// Where connections of type `T` are parked. A connection is in the lot or with a worker, never
/// both.
pub(super) struct Poller<T> {
    epoll: OwnedFd,
    blocks: Box<[OnceLock<Block<T>>]>,
    free: Mutex<Free>,
    epoch: Instant,
}

/// The right to one place, from the first parking to [`Poller::release`] or [`Poller::deregister`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    place: u32,
    generation: u32,
}

/// Events that were received from the system, to be [claimed](Poller::next_ready) in their order.
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
    /// Counts the tickets for this place: an event that was received before its connection left
    /// must not wake the next one.
    generation: u32,
    /// Whether the system tells of room to send.
    tells_of_room: bool,
    state: Occupant<T>,
}

enum Occupant<T> {
    /// No ticket is out.
    Vacant,
    /// A ticket is out and its holder has never parked.
    Reserved,
    /// The connection is here.
    Parked(T, WaitFor),
    /// A worker has it.
    Away,
    /// A worker has it, and an event has come since.
    Called(WakeReason),
}

#[derive(Default)]
struct Free {
    returned: Vec<u32>,
    untouched: u32,
}

/// What came of parking.
pub(super) enum Parked<T> {
    /// It waits.
    QueueTimes,
    /// Something has come for it in the meantime: drive it again.
    Called(T, WakeReason),
    /// It can't be registered.
    Failed(T, io::Error),
}

impl<T: AsFd> Poller<T> {
    /// A lot for this many connections, that also wakes whoever waits in it when `waker` rings.
    pub(super) fn new(capacity: usize, waker: &Waker) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(BELL);
        epoll::add(&epoll, waker, data, EventFlags::IN | EventFlags::ET)?;
        Ok(Self {
            epoll,
            blocks: (0..capacity.div_ceil(BLOCK_PLACES))
                .map(|_| OnceLock::new())
                .collect(),
            free: Mutex::default(),
            epoch: Instant::now(),
        })
    }

    /// A ticket for a free place, or `None` if the lot is full.
    pub(super) fn reserve(&self) -> Option<Token> {
        let mut free = lock(&self.free);
        let place = match free.returned.pop() {
            Some(place) => place,
            None if (free.untouched as usize) < self.blocks.len() * BLOCK_PLACES => {
                free.untouched += 1;
                free.untouched - 1
            }
            None => return None,
        };
        drop(free);
        let mut state = lock(&self.place(place).state);
        state.tells_of_room = false;
        state.state = Occupant::Reserved;
        Some(Token {
            place,
            generation: state.generation,
        })
    }

    /// Parks the holder of `token`.
    pub(super) fn park(&self, token: Token, tenant: T, wait: Pending) -> Parked<T> {
        let place = self.place(token.place);
        let mut state = lock(&place.state);
        debug_assert_eq!(state.generation, token.generation);
        let needs_room = wait.what == WaitFor::Room && !state.tells_of_room;
        // Whoever receives the first event waits for the lock that is held here.
        let registered = match state.state {
            Occupant::Called(wake) => {
                state.state = Occupant::Away;
                return Parked::Called(tenant, wake);
            }
            Occupant::Reserved => {
                let flags = interest(needs_room);
                epoll::add(&self.epoll, &tenant, token.data(), flags)
            }
            // Room that has come since the client was found to have none is told at once.
            _ if needs_room => epoll::modify(&self.epoll, &tenant, token.data(), interest(true)),
            Occupant::Vacant | Occupant::Parked(..) | Occupant::Away => Ok(()),
        };
        if let Err(error) = registered {
            return Parked::Failed(tenant, error.into());
        }
        state.tells_of_room |= needs_room;
        place
            .deadline
            .store(self.millis(wait.deadline), Ordering::Relaxed);
        state.state = Occupant::Parked(tenant, wait.what);
        Parked::QueueTimes
    }

    /// Gives the place back. The ticket's holder must be with the caller.
    pub(super) fn release(&self, token: Token) {
        let mut state = lock(&self.place(token.place).state);
        state.generation = state.generation.wrapping_add(1);
        state.state = Occupant::Vacant;
        drop(state);
        lock(&self.free).returned.push(token.place);
    }

    /// Gives the place back of a tenant that is of use elsewhere. Nothing is told of it, unless it
    /// enters again: then whatever has come meanwhile is told at its first parking.
    pub(super) fn deregister(&self, token: Token, tenant: &impl AsFd) {
        // Who has never parked is not registered.
        let _ = epoll::delete(&self.epoll, tenant);
        self.release(token);
    }

    /// Waits for events, at most this long.
    pub(super) fn wait(&self, events: &mut Events, patience: Option<Duration>) -> io::Result<()> {
        let timeout = patience.map(|patience| rustix::event::Timespec {
            tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
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

    /// The next of the events' connections that is to be driven.
    pub(super) fn next_ready(&self, events: &mut Events) -> Option<(T, WakeReason)> {
        while let Some(event) = events.received.get(events.taken) {
            events.taken += 1;
            match Token::of(event.data).map(|token| self.notify(token, event.flags)) {
                Some(Some(called)) => return Some(called),
                Some(None) => {}
                None => events.waker_fired = true,
            }
        }
        None
    }

    /// Takes out every parked connection whose deadline has passed.
    pub(super) fn expired(&self, now: Instant, mut take: impl FnMut(T)) {
        let now = self.millis(now);
        for place in self.places() {
            if place.deadline.load(Ordering::Relaxed) > now {
                continue;
            }
            let mut state = lock(&place.state);
            if place.deadline.load(Ordering::Relaxed) <= now
                && let Some(tenant) = state.take(place, |_| true)
            {
                drop(state);
                take(tenant);
            }
        }
    }

    /// Takes out every parked connection that waits for something of this kind.
    pub(super) fn recall(&self, mut kind: impl FnMut(WaitFor) -> bool, mut take: impl FnMut(T)) {
        for place in self.places() {
            let tenant = lock(&place.state).take(place, &mut kind);
            if let Some(tenant) = tenant {
                take(tenant);
            }
        }
    }

    /// Wakes the ticket's holder if it is here and waits for this, or notes that it is to be woken.
    fn notify(&self, token: Token, flags: EventFlags) -> Option<(T, WakeReason)> {
        let place = self.place(token.place);
        let mut state = lock(&place.state);
        if state.generation != token.generation {
            return None;
        }
        let hung_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let wake = if hung_up {
            WakeReason::HungUp
        } else {
            WakeReason::Ready
        };
        match state.state {
            Occupant::Parked(_, what) => {
                let direction = match what {
                    WaitFor::Room => EventFlags::OUT,
                    _ => EventFlags::IN,
                };
                if !hung_up && !flags.intersects(direction) {
                    return None;
                }
                let tenant = state.take(place, |_| true)?;
                Some((tenant, wake))
            }
            Occupant::Away | Occupant::Called(WakeReason::Ready) => {
                state.state = Occupant::Called(wake);
                None
            }
            Occupant::Vacant | Occupant::Reserved | Occupant::Called(_) => None,
        }
    }

    fn place(&self, index: u32) -> &Slot<T> {
        let index = index as usize;
        let block = self.blocks[index / BLOCK_PLACES].get_or_init(|| {
            (0..BLOCK_PLACES)
                .map(|_| Slot {
                    deadline: AtomicU64::new(NEVER),
                    state: Mutex::new(SlotState {
                        generation: 0,
                        tells_of_room: false,
                        state: Occupant::Vacant,
                    }),
                })
                .collect()
        });
        &block[index % BLOCK_PLACES]
    }

    fn places(&self) -> impl Iterator<Item = &Slot<T>> {
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
    fn take(&mut self, place: &Slot<T>, kind: impl FnOnce(WaitFor) -> bool) -> Option<T> {
        if !matches!(self.state, Occupant::Parked(_, what) if kind(what)) {
            return None;
        }
        place.deadline.store(NEVER, Ordering::Relaxed);
        match std::mem::replace(&mut self.state, Occupant::Away) {
            Occupant::Parked(tenant, _) => Some(tenant),
            _ => None,
        }
    }
}

impl Token {
    fn data(self) -> EventData {
        EventData::new_u64(u64::from(self.generation) << 32 | u64::from(self.place))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of what `data` put together"
    )]
    fn of(data: EventData) -> Option<Self> {
        let token = data.u64();
        (token != BELL).then_some(Self {
            place: token as u32,
            generation: (token >> 32) as u32,
        })
    }
}

impl Events {
    /// Room for this many at a time.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            received: Vec::with_capacity(capacity),
            taken: 0,
            waker_fired: false,
        }
    }

    /// Whether the bell was among them, once all are claimed.
    pub(super) fn waker_fired(&self) -> bool {
        self.waker_fired
    }
}

/// What the system is asked to tell of.
fn interest(in_room: bool) -> EventFlags {
    let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
    flags.set(EventFlags::OUT, in_room);
    flags
}

/// A lock's content, even if its last holder panicked: nothing here is left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod exploration;
#[cfg(test)]
mod tests;
