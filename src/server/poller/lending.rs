//! Lends connections, and returns work to them.
//!
//! A worker that calls a handler [lends](Poller::lend) the connection: it lies in its slot, and
//! another thread can take and drive it while the handler runs. Afterwards the worker
//! [reclaims](Poller::reclaim) it. If another thread has it by then, the worker
//! [posts](Poller::post) the handler's result as a message. Any thread can [wake](Poller::wake) a
//! connection, as an event of its descriptor does.
//!
//! A connection has one owner at any time, and no message is lost. Either a worker has the
//! connection, and receives the message before it parks or lends it, or the thread that posts the
//! message takes the connection and drives it. An event that arrives while a connection is lent
//! stays in the slot, and its owner receives it when it parks the connection. The slot's lock is never
//! held while a connection is driven.

use std::io;
use std::time::Instant;

use super::{Delivery, LentState, NEVER, Occupant, Poller, Source, Token, lock};
use crate::connection::{WaitFor, WakeReason};
use crate::sync::atomic::Ordering;

/// The result of lending.
pub(in crate::server) enum Lent<T, M> {
    /// The connection is lent.
    Waiting,
    /// Messages have arrived: deliver them, then lend the connection as ready. An event that has
    /// arrived stays recorded.
    Messages(T, Vec<M>),
    /// The connection can't be registered.
    Failed(T, io::Error),
}

/// The result of posting a message.
pub(in crate::server) enum Posted<T, M> {
    /// A worker has the connection, and receives the message before it parks or lends it.
    Left,
    /// The caller owns the connection now, and must drive it with the message.
    Taken(T, M),
    /// The connection is closed.
    Closed(M),
}

impl<T: Source, M> Poller<T, M> {
    /// Lends the connection that owns `token` while a handler runs. If messages have arrived, it is
    /// returned with them.
    ///
    /// `is_ready` says that the connection could be driven at once, so that
    /// [`take_lent`](Self::take_lent) takes it. [`expired`](Self::expired) takes it at the deadline.
    pub(in crate::server) fn lend(
        &self,
        token: Token,
        lent: T,
        deadline: Option<Instant>,
        is_ready: bool,
    ) -> Lent<T, M> {
        let slot = self.slot(token.slot);
        let mut state = lock(&slot.state);
        debug_assert_eq!(state.generation, token.generation);
        let lent_state = match &mut state.occupant {
            Occupant::Notified(wake, messages) => {
                if let Some(messages) = messages.take() {
                    return Lent::Messages(lent, *messages);
                }
                LentState::Notified(*wake)
            }
            _ if is_ready => LentState::Ready,
            _ => LentState::Quiet,
        };
        if let Err(error) = self.register(token, &mut state, &lent, WaitFor::Handler) {
            return Lent::Failed(lent, error);
        }
        let deadline = deadline.map_or(NEVER, |deadline| self.millis(deadline));
        slot.deadline.store(deadline, Ordering::Relaxed);
        state.occupant = Occupant::Lent(lent, lent_state);
        Lent::Waiting
    }

    /// Takes a lent connection back after the handler has returned. Returns `None` if another thread
    /// has it or has closed it: then [`post`](Self::post) the result.
    pub(in crate::server) fn reclaim(&self, token: Token) -> Option<T> {
        self.take_if(token, |occupant| matches!(occupant, Occupant::Lent(..)))
    }

    /// Takes a lent connection for which an event has arrived, or that was ready when it was lent. Call
    /// this for a worker whose handler runs for long.
    pub(in crate::server) fn take_lent(&self, token: Token) -> Option<T> {
        self.take_if(token, Occupant::is_ready_while_lent)
    }

    /// Whether [`take_lent`](Self::take_lent) would take this connection.
    pub(in crate::server) fn is_ready_while_lent(&self, token: Token) -> bool {
        let state = lock(&self.slot(token.slot).state);
        state.generation == token.generation && state.occupant.is_ready_while_lent()
    }

    /// Wakes a connection, whatever it waits for, and takes it if it is parked.
    #[cfg_attr(
        not(feature = "http2"),
        allow(dead_code, reason = "HTTP/1.1 makes no calls")
    )]
    pub(in crate::server) fn wake(&self, token: Token) -> Delivery<T> {
        let slot = self.slot(token.slot);
        let mut state = lock(&slot.state);
        if state.generation != token.generation {
            return Delivery::Left;
        }
        let wake = state.occupant.reason_if_woken();
        state.deliver(slot, wake)
    }

    /// Leaves a message for a connection that a worker has, or takes the connection.
    pub(in crate::server) fn post(&self, token: Token, message: M) -> Posted<T, M> {
        let slot = self.slot(token.slot);
        let mut state = lock(&slot.state);
        if state.generation != token.generation {
            return Posted::Closed(message);
        }
        if let Some(taken) = state.take(slot, |_| true) {
            return Posted::Taken(taken, message);
        }
        state.occupant.note(WakeReason::Ready);
        match &mut state.occupant {
            Occupant::Notified(_, messages) => {
                messages.get_or_insert_default().push(message);
                Posted::Left
            }
            _ => Posted::Closed(message),
        }
    }

    fn take_if(&self, token: Token, is_wanted: impl FnOnce(&Occupant<T, M>) -> bool) -> Option<T> {
        let slot = self.slot(token.slot);
        let mut state = lock(&slot.state);
        if state.generation != token.generation || !is_wanted(&state.occupant) {
            return None;
        }
        state.take(slot, |_| true)
    }
}

impl<T, M> Occupant<T, M> {
    fn is_ready_while_lent(&self) -> bool {
        matches!(
            self,
            Self::Lent(_, LentState::Ready | LentState::Notified(_))
        )
    }
}
