//! The connections that other threads have woken.
//!
//! They have a channel beside the ready channel. Many may be woken at once, for example by an event for
//! 10,000 listeners. Requests must neither wait behind all of them nor be shed because of their number.

use super::task::ReadyTask;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::channel::{self, Receiver, Sender};

pub(super) struct WokenChannel {
    sender: Sender<ReadyTask>,
    receiver: Receiver<ReadyTask>,
    /// The multiplexed ones among them, which the acceptor drives if no worker is free. The count may
    /// be briefly too high.
    multiplexed: AtomicUsize,
}

impl WokenChannel {
    pub(super) fn new() -> Self {
        let (sender, receiver) = channel::unbounded();
        Self {
            sender,
            receiver,
            multiplexed: AtomicUsize::new(0),
        }
    }

    pub(super) fn put(&self, ready: ReadyTask) {
        if ready.task.connection.is_multiplexed() {
            self.multiplexed.fetch_add(1, Ordering::SeqCst);
        }
        let sent = self.sender.send(ready);
        debug_assert!(sent.is_ok(), "the receiver lives as long as the sender");
    }

    pub(super) fn take(&self) -> Option<ReadyTask> {
        // Few servers use it, and every turn looks into it.
        if self.is_empty() {
            return None;
        }
        let ready = self.receiver.try_recv().ok()?;
        if ready.task.connection.is_multiplexed() {
            self.multiplexed.fetch_sub(1, Ordering::SeqCst);
        }
        Some(ready)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.receiver.len()
    }

    pub(super) fn has_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::SeqCst) > 0
    }
}
