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
//!
//! A connection's work can run elsewhere and return to it ([`lending`]): a worker that calls a
//! handler lends the connection to its slot, from which another thread can take it meanwhile. Any
//! thread can wake a connection or leave a message in its slot.

use std::convert::Infallible;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

pub(super) use self::slot::Delivery;
use self::slot::{LentState, NEVER, Occupant, Slot, SlotState, Unnoticed, Watched};
use super::waker::Waker;
use crate::connection::{Pending, WaitFor, WakeReason};
use crate::sync;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::epoll;
use crate::sync::epoll::{EventData, EventFlags};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// Slots are allocated in blocks of this size, when first needed. Loom tracks each slot, so its
/// blocks are small.
const BLOCK_SLOTS: usize = if cfg!(loom) { 2 } else { 1024 };

/// A number that no token can have. Events of the waker have it.
pub(super) const NO_TOKEN: u64 = u64::MAX;

/// Parks connections of type `T`. A connection is either in the poller or with a worker.
/// Threads that don't have it can leave messages of type `M` for it.
pub(super) struct Poller<T, M = Infallible> {
    epoll: OwnedFd,
    blocks: Box<[OnceLock<Block<T, M>>]>,
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
    has_noted_lent: bool,
}

type Block<T, M> = Box<[Slot<T, M>]>;

/// A connection that a poller can park.
pub(super) trait Source {
    /// Returns the descriptor to watch, or `None` if only other threads wake the connection.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

impl<T: AsFd> Source for T {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

#[derive(Default)]
struct Free {
    returned: Vec<u32>,
    untouched: u32,
}

/// The result of parking.
pub(super) enum Parked<T, M = Infallible> {
    /// The connection is parked.
    Waiting,
    /// An event or messages arrived in the meantime: drive the connection again.
    Ready(T, WakeReason, Vec<M>),
    /// The connection can't be registered.
    Failed(T, io::Error),
}

impl<T: Source, M> Poller<T, M> {
    /// Creates a poller for this many connections. `waker` wakes a thread that waits in it.
    pub(super) fn new(capacity: usize, waker: &Waker) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(NO_TOKEN);
        epoll::add(&epoll, waker, data, EventFlags::IN | EventFlags::ET)?;
        Ok(Self {
            epoll,
            blocks: (0..capacity.div_ceil(BLOCK_SLOTS))
                .map(|_| OnceLock::new())
                .collect(),
            free: Mutex::default(),
            epoch: sync::now(),
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
        state.watched = Watched::Nothing;
        state.occupant = Occupant::Away;
        Some(Token {
            slot,
            generation: state.generation,
        })
    }

    /// Parks the connection that owns `token`.
    pub(super) fn park(&self, token: Token, parked: T, pending: Pending) -> Parked<T, M> {
        let slot = self.slot(token.slot);
        let mut state = lock(&slot.state);
        debug_assert_eq!(state.generation, token.generation);
        if let Occupant::Notified(wake, messages) = &mut state.occupant {
            let (wake, messages) = (*wake, messages.take());
            state.occupant = Occupant::Away;
            return Parked::Ready(parked, wake, messages.map_or_else(Vec::new, |all| *all));
        }
        if let Err(error) = self.register(token, &mut state, &parked, pending.wait_for) {
            return Parked::Failed(parked, error);
        }
        slot.deadline
            .store(self.millis(pending.deadline), Ordering::Relaxed);
        state.occupant = Occupant::Parked(parked, pending.wait_for, Unnoticed::Nothing);
        Parked::Waiting
    }

    /// Registers a connection that is about to be put into its slot. A thread that receives the first
    /// event waits for the slot's lock, which the caller holds.
    fn register(
        &self,
        token: Token,
        state: &mut SlotState<T, M>,
        source: &T,
        wait_for: WaitFor,
    ) -> io::Result<()> {
        let Some(descriptor) = source.descriptor() else {
            return Ok(());
        };
        let wanted = match wait_for {
            WaitFor::Room | WaitFor::StreamsOrRoom | WaitFor::UpgradedOrRoom => {
                Watched::InputAndOutput
            }
            _ => Watched::Input,
        };
        match (state.watched, wanted) {
            (Watched::Nothing, _) => {
                epoll::add(&self.epoll, descriptor, token.data(), wanted.interest())?;
            }
            // If the socket became writable in the meantime, epoll reports that at once.
            (Watched::Input, Watched::InputAndOutput) => {
                epoll::modify(&self.epoll, descriptor, token.data(), wanted.interest())?;
            }
            _ => return Ok(()),
        }
        state.watched = wanted;
        Ok(())
    }

    /// Frees the slot and drops its messages. The caller must own the token's connection.
    pub(super) fn release(&self, token: Token) {
        let mut state = lock(&self.slot(token.slot).state);
        state.generation = state.generation.wrapping_add(1);
        let last = mem::replace(&mut state.occupant, Occupant::Vacant);
        drop(state);
        // The parts of a message may be a handler's. Their drop must not run under the lock, and if
        // it panics twice while one list is dropped, the process ends.
        if let Occupant::Notified(_, Some(messages)) = last {
            for message in *messages {
                let _ = catch_unwind(AssertUnwindSafe(|| drop(message)));
            }
        }
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
        events.has_noted_lent = false;
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
            let Some(token) = Token::of(event.data) else {
                events.waker_fired = true;
                continue;
            };
            match self.notify(token, event.flags) {
                Delivery::Taken(ready, wake) => return Some((ready, wake)),
                Delivery::Lent => events.has_noted_lent = true,
                Delivery::Left => {}
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

    /// Takes the token's connection if it is parked and waits for this event. If a worker has the
    /// connection, the event is recorded for its next parking.
    fn notify(&self, token: Token, flags: EventFlags) -> Delivery<T> {
        let slot = self.slot(token.slot);
        let mut state = lock(&slot.state);
        if state.generation != token.generation {
            return Delivery::Left;
        }
        let hung_up = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let wake = if hung_up {
            WakeReason::HungUp
        } else {
            WakeReason::Ready
        };
        if let Occupant::Parked(_, wait_for, unnoticed) = &mut state.occupant {
            let awaited = match wait_for {
                WaitFor::Waker => EventFlags::empty(),
                WaitFor::Room => EventFlags::OUT,
                WaitFor::StreamsOrRoom | WaitFor::UpgradedOrRoom => {
                    EventFlags::IN | EventFlags::OUT
                }
                _ => EventFlags::IN,
            };
            if !hung_up && !flags.intersects(awaited) {
                if flags.intersects(EventFlags::IN) {
                    *unnoticed = Unnoticed::Input;
                }
                return Delivery::Left;
            }
        }
        state.deliver(slot, wake)
    }

    fn slot(&self, index: u32) -> &Slot<T, M> {
        let index = index as usize;
        let block = self.blocks[index / BLOCK_SLOTS].get_or_init(|| {
            (0..BLOCK_SLOTS)
                .map(|_| Slot {
                    deadline: AtomicU64::new(NEVER),
                    state: Mutex::new(SlotState {
                        generation: 0,
                        watched: Watched::Nothing,
                        occupant: Occupant::Vacant,
                    }),
                })
                .collect()
        });
        &block[index % BLOCK_SLOTS]
    }

    fn slots(&self) -> impl Iterator<Item = &Slot<T, M>> {
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

impl Token {
    fn data(self) -> EventData {
        EventData::new_u64(self.number())
    }

    fn of(data: EventData) -> Option<Self> {
        Self::from_number(data.u64())
    }

    /// The token as a number, which is not [`NO_TOKEN`].
    pub(super) fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the value that `number` composes"
    )]
    pub(super) fn from_number(number: u64) -> Option<Self> {
        (number != NO_TOKEN).then_some(Self {
            slot: number as u32,
            generation: (number >> 32) as u32,
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
            has_noted_lent: false,
        }
    }

    /// Whether the waker fired, valid once `next_ready` has processed all events.
    pub(super) fn waker_fired(&self) -> bool {
        self.waker_fired
    }

    /// Whether an event was for a lent connection, valid once `next_ready` has processed all events.
    pub(super) fn has_noted_lent(&self) -> bool {
        self.has_noted_lent
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    ignore_poison(mutex.lock())
}

pub(super) mod lending;
mod slot;

#[cfg(test)]
mod exploration;
#[cfg(all(test, loom))]
mod interleavings;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod tests;
