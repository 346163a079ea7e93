//! The state of a slot: which connection is in it, and what has happened to that connection since.

use std::mem;

use crate::connection::{WaitFor, WakeReason};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::epoll::EventFlags;

/// The deadline of a slot in which no connection is parked.
pub(super) const NEVER: u64 = u64::MAX;

pub(super) struct Slot<T, M> {
    /// Milliseconds since the epoch, outside the lock so that a check of all deadlines reads
    /// nothing else.
    pub(super) deadline: AtomicU64,
    pub(super) state: Mutex<SlotState<T, M>>,
}

pub(super) struct SlotState<T, M> {
    /// Counts the tokens issued for this slot, so that a stale event of an earlier connection does
    /// not wake the next one.
    pub(super) generation: u32,
    pub(super) watched: Watched,
    pub(super) occupant: Occupant<T, M>,
}

/// The events for which a connection is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    Nothing,
    Input,
    InputAndOutput,
}

pub(super) enum Occupant<T, M> {
    /// No token is issued.
    Vacant,
    /// The connection is parked.
    Parked(T, WaitFor, Unnoticed),
    /// A worker runs a handler and has lent the connection.
    Lent(T, LentState),
    /// A worker has the connection.
    Away,
    /// A worker has the connection, and an event or messages have arrived since.
    Notified(WakeReason, Messages<M>),
}

/// Events for a parked connection that does not wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnoticed {
    Nothing,
    Input,
}

/// Whether a lent connection can be driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LentState {
    /// It waits for its client.
    Quiet,
    /// It was ready when it was lent. Whoever drives it finds that out.
    Ready,
    /// An event has arrived.
    Notified(WakeReason),
}

// Every open connection has a slot.
const _: () = assert!(size_of::<Occupant<Box<()>, ()>>() == 16);

/// Messages for a connection. Hardly any connection has some, so an empty list takes one word.
pub(super) type Messages<M> = Option<Box<Vec<M>>>;

/// The result of an event or a call for a connection.
pub(in crate::server) enum Delivery<T> {
    /// The connection was parked. The caller owns it now, and must drive or queue it.
    Taken(T, WakeReason),
    /// The connection is lent. [`Poller::take_lent`](super::Poller::take_lent) can take it.
    Lent,
    /// The connection does not wait for this event, or its owner receives it when it parks the
    /// connection, or the connection is closed.
    Left,
}

impl<T, M> SlotState<T, M> {
    /// Takes the connection if it is parked. Otherwise records that it was woken.
    pub(super) fn deliver(&mut self, slot: &Slot<T, M>, wake: WakeReason) -> Delivery<T> {
        if let Occupant::Parked(..) = self.occupant
            && let Some(parked) = self.take(slot, |_| true)
        {
            return Delivery::Taken(parked, wake);
        }
        self.occupant.note(wake);
        match self.occupant {
            Occupant::Lent(..) => Delivery::Lent,
            _ => Delivery::Left,
        }
    }

    /// Takes the connection if it is parked or lent and its [`WaitFor`] matches.
    pub(super) fn take(
        &mut self,
        slot: &Slot<T, M>,
        matches: impl FnOnce(WaitFor) -> bool,
    ) -> Option<T> {
        let is_wanted = match self.occupant {
            Occupant::Parked(_, wait_for, _) => matches(wait_for),
            Occupant::Lent(..) => matches(WaitFor::Handler),
            _ => false,
        };
        if !is_wanted {
            return None;
        }
        slot.deadline.store(NEVER, Ordering::Relaxed);
        match mem::replace(&mut self.occupant, Occupant::Away) {
            Occupant::Parked(taken, ..) => Some(taken),
            Occupant::Lent(taken, state) => {
                // The new owner receives an event when it parks the connection.
                if let LentState::Notified(wake) = state {
                    self.occupant.note(wake);
                }
                Some(taken)
            }
            _ => None,
        }
    }
}

impl<T, M> Occupant<T, M> {
    /// Why the connection is driven if another thread wakes it now.
    pub(super) fn reason_if_woken(&self) -> WakeReason {
        match self {
            Self::Parked(.., Unnoticed::Input) => WakeReason::Ready,
            _ => WakeReason::Woken,
        }
    }

    /// Records an event for a connection that a worker has or has lent. A hang-up is kept, because
    /// epoll reports it once. So is input, unless a hang-up follows.
    pub(super) fn note(&mut self, wake: WakeReason) {
        match self {
            Self::Away => *self = Self::Notified(wake, None),
            Self::Notified(noted, _) | Self::Lent(_, LentState::Notified(noted)) => {
                if *noted == WakeReason::Woken || wake == WakeReason::HungUp {
                    *noted = wake;
                }
            }
            Self::Lent(_, state) => *state = LentState::Notified(wake),
            Self::Vacant | Self::Parked(..) => {}
        }
    }
}

impl Watched {
    pub(super) fn interest(self) -> EventFlags {
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        flags.set(EventFlags::OUT, self == Self::InputAndOutput);
        flags
    }
}
