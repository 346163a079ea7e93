//! A model of the ready channel, with no guarantees beyond crossbeam's.

use std::collections::VecDeque;
use std::sync::Arc;

use super::atomic::{AtomicUsize, Ordering, fence};
use super::{Mutex, ignore_poison};

pub(crate) struct Sender<T>(Arc<Queue<T>>);

pub(crate) struct Receiver<T>(Arc<Queue<T>>);

struct Queue<T> {
    messages: Mutex<VecDeque<T>>,
    /// The number of messages, read without the lock. The lock would order memory accesses that the
    /// real channel does not order.
    count: AtomicUsize,
}

/// Creates a channel that never fills up. The server's channel has capacity for all connections.
pub(crate) fn bounded<T>(_capacity: usize) -> (Sender<T>, Receiver<T>) {
    unbounded()
}

pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(Queue {
        messages: Mutex::default(),
        count: AtomicUsize::new(0),
    });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, message: T) -> Result<(), T> {
        self.0.with(|messages| messages.push_back(message));
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Removes the oldest message. A message that was sent a moment ago may not be visible yet.
    pub(crate) fn try_recv(&self) -> Result<T, ()> {
        fence(Ordering::SeqCst);
        if self.0.count.load(Ordering::Relaxed) == 0 {
            return Err(());
        }
        self.0.with(VecDeque::pop_front).ok_or(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.count.load(Ordering::SeqCst)
    }
}

impl<T> Queue<T> {
    fn with<R>(&self, change: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        let mut messages = ignore_poison(self.messages.lock());
        let result = change(&mut messages);
        self.count.store(messages.len(), Ordering::SeqCst);
        result
    }
}
