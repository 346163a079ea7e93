//! The ready channel: what crossbeam promises, and no more.

use std::collections::VecDeque;
use std::sync::Arc;

use super::atomic::{AtomicUsize, Ordering, fence};
use super::{Mutex, ignore_poison};

pub(crate) struct Sender<T>(Arc<Queue<T>>);

pub(crate) struct Receiver<T>(Arc<Queue<T>>);

struct Queue<T> {
    messages: Mutex<VecDeque<T>>,
    /// How many there are, to be read without the lock: the lock would order what the channel does
    /// not.
    count: AtomicUsize,
}

/// A channel that never fills up: the server's has room for all connections.
pub(crate) fn bounded<T>(_capacity: usize) -> (Sender<T>, Receiver<T>) {
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
    /// The oldest message. One that was sent a moment ago may not be seen.
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
