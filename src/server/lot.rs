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

use super::bell::Bell;
use crate::connection::{Wait, Wake, What};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::epoll::{self, EventData, EventFlags};
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
pub(super) struct Lot<T> {
    epoll: OwnedFd,
    blocks: Box<[OnceLock<Block<T>>]>,
    free: Mutex<Free>,
    epoch: Instant,
}

/// The right to one place, from the first parking to [`Lot::leave`] or [`Lot::expel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    place: u32,
    generation: u32,
}

/// Events that were received from the system, to be [claimed](Lot::claim) in their order.
pub(super) struct Events {
    received: Vec<epoll::Event>,
    claimed: usize,
    bell_rang: bool,
}

type Block<T> = Box<[Place<T>]>;

struct Place<T> {
    /// Milliseconds since the epoch, outside the lock so that a sweep touches nothing else.
    deadline: AtomicU64,
    occupancy: Mutex<Occupancy<T>>,
}

struct Occupancy<T> {
    /// Counts the tickets for this place: an event that was received before its connection left
    /// must not wake the next one.
    generation: u32,
    /// Whether the system tells of room to send.
    tells_of_room: bool,
    state: State<T>,
}

enum State<T> {
    /// No ticket is out.
    Vacant,
    /// A ticket is out and its holder has never parked.
    Reserved,
    /// The connection is here.
    Parked(T, What),
    /// A worker has it.
    Away,
    /// A worker has it, and an event has come since.
    Called(Wake),
}

#[derive(Default)]
struct Free {
    returned: Vec<u32>,
    untouched: u32,
}

/// What came of parking.
pub(super) enum Parked<T> {
    /// It waits.
    Waits,
    /// Something has come for it in the meantime: drive it again.
    Called(T, Wake),
    /// It can't be registered.
    Failed(T, io::Error),
}

impl<T: AsFd> Lot<T> {
    /// A lot for this many connections, that also wakes whoever waits in it when `bell` rings.
    pub(super) fn new(capacity: usize, bell: &Bell) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(BELL);
        epoll::add(&epoll, bell, data, EventFlags::IN | EventFlags::ET)?;
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
    pub(super) fn enter(&self) -> Option<Ticket> {
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
        let mut occupancy = lock(&self.place(place).occupancy);
        occupancy.tells_of_room = false;
        occupancy.state = State::Reserved;
        Some(Ticket {
            place,
            generation: occupancy.generation,
        })
    }

    /// Parks the holder of `ticket`.
    pub(super) fn park(&self, ticket: Ticket, tenant: T, wait: Wait) -> Parked<T> {
        let place = self.place(ticket.place);
        let mut occupancy = lock(&place.occupancy);
        debug_assert_eq!(occupancy.generation, ticket.generation);
        let needs_room = wait.what == What::Room && !occupancy.tells_of_room;
        // Whoever receives the first event waits for the lock that is held here.
        let registered = match occupancy.state {
            State::Called(wake) => {
                occupancy.state = State::Away;
                return Parked::Called(tenant, wake);
            }
            State::Reserved => {
                let flags = interest(needs_room);
                epoll::add(&self.epoll, &tenant, ticket.data(), flags)
            }
            // Room that has come since the client was found to have none is told at once.
            _ if needs_room => epoll::modify(&self.epoll, &tenant, ticket.data(), interest(true)),
            State::Vacant | State::Parked(..) | State::Away => Ok(()),
        };
        if let Err(error) = registered {
            return Parked::Failed(tenant, error.into());
        }
        occupancy.tells_of_room |= needs_room;
        place
            .deadline
            .store(self.millis(wait.deadline), Ordering::Relaxed);
        occupancy.state = State::Parked(tenant, wait.what);
        Parked::Waits
    }

    /// Gives the place back. The ticket's holder must be with the caller.
    pub(super) fn leave(&self, ticket: Ticket) {
        let mut occupancy = lock(&self.place(ticket.place).occupancy);
        occupancy.generation = occupancy.generation.wrapping_add(1);
        occupancy.state = State::Vacant;
        drop(occupancy);
        lock(&self.free).returned.push(ticket.place);
    }

    /// Gives the place back of a tenant that is of use elsewhere. Nothing is told of it, unless it
    /// enters again: then whatever has come meanwhile is told at its first parking.
    pub(super) fn expel(&self, ticket: Ticket, tenant: &impl AsFd) {
        // Who has never parked is not registered.
        let _ = epoll::delete(&self.epoll, tenant);
        self.leave(ticket);
    }

    /// Waits for events, at most this long.
    pub(super) fn wait(&self, events: &mut Events, patience: Option<Duration>) -> io::Result<()> {
        let timeout = patience.map(|patience| rustix::event::Timespec {
            tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        });
        events.received.clear();
        events.claimed = 0;
        events.bell_rang = false;
        let buffer = spare_capacity(&mut events.received);
        match epoll::wait(&self.epoll, buffer, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next of the events' connections that is to be driven.
    pub(super) fn claim(&self, events: &mut Events) -> Option<(T, Wake)> {
        while let Some(event) = events.received.get(events.claimed) {
            events.claimed += 1;
            match Ticket::of(event.data).map(|ticket| self.call(ticket, event.flags)) {
                Some(Some(called)) => return Some(called),
                Some(None) => {}
                None => events.bell_rang = true,
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
            let mut occupancy = lock(&place.occupancy);
            if place.deadline.load(Ordering::Relaxed) <= now
                && let Some(tenant) = occupancy.take(place, |_| true)
            {
                drop(occupancy);
                take(tenant);
            }
        }
    }

    /// Takes out every parked connection that waits for something of this kind.
    pub(super) fn recall(&self, mut kind: impl FnMut(What) -> bool, mut take: impl FnMut(T)) {
        for place in self.places() {
            let tenant = lock(&place.occupancy).take(place, &mut kind);
            if let Some(tenant) = tenant {
                take(tenant);
            }
        }
    }

    /// Wakes the ticket's holder if it is here and waits for this, or notes that it is to be woken.
    fn call(&self, ticket: Ticket, flags: EventFlags) -> Option<(T, Wake)> {
        let place = self.place(ticket.place);
        let mut occupancy = lock(&place.occupancy);
        if occupancy.generation != ticket.generation {
            return None;
        }
        let hung_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let wake = if hung_up { Wake::HungUp } else { Wake::Ready };
        match occupancy.state {
            State::Parked(_, what) => {
                let direction = match what {
                    What::Room => EventFlags::OUT,
                    _ => EventFlags::IN,
                };
                if !hung_up && !flags.intersects(direction) {
                    return None;
                }
                let tenant = occupancy.take(place, |_| true)?;
                Some((tenant, wake))
            }
            State::Away | State::Called(Wake::Ready) => {
                occupancy.state = State::Called(wake);
                None
            }
            State::Vacant | State::Reserved | State::Called(_) => None,
        }
    }

    fn place(&self, index: u32) -> &Place<T> {
        let index = index as usize;
        let block = self.blocks[index / BLOCK_PLACES].get_or_init(|| {
            (0..BLOCK_PLACES)
                .map(|_| Place {
                    deadline: AtomicU64::new(NEVER),
                    occupancy: Mutex::new(Occupancy {
                        generation: 0,
                        tells_of_room: false,
                        state: State::Vacant,
                    }),
                })
                .collect()
        });
        &block[index % BLOCK_PLACES]
    }

    fn places(&self) -> impl Iterator<Item = &Place<T>> {
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

impl<T> Occupancy<T> {
    fn take(&mut self, place: &Place<T>, kind: impl FnOnce(What) -> bool) -> Option<T> {
        if !matches!(self.state, State::Parked(_, what) if kind(what)) {
            return None;
        }
        place.deadline.store(NEVER, Ordering::Relaxed);
        match std::mem::replace(&mut self.state, State::Away) {
            State::Parked(tenant, _) => Some(tenant),
            _ => None,
        }
    }
}

impl Ticket {
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
            claimed: 0,
            bell_rang: false,
        }
    }

    /// Whether the bell was among them, once all are claimed.
    pub(super) fn bell_rang(&self) -> bool {
        self.bell_rang
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
