//! The listeners of a broadcast.

use std::mem;
use std::sync::Arc;

use crate::message::waker::Wake;

/// A slot for each listener, with its waker while it waits for an event. So a listener that is busy is
/// not woken, and one that leaves takes its waker along.
#[derive(Default)]
pub(super) struct Listeners {
    slots: Vec<Option<Arc<dyn Wake>>>,
    free: Vec<usize>,
    /// Slots with a waker.
    waiting: usize,
}

impl Listeners {
    /// Returns a free slot.
    pub(super) fn add(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        })
    }

    /// Frees a slot.
    pub(super) fn remove(&mut self, slot: usize) {
        self.set(slot, None);
        self.free.push(slot);
        if self.len() == 0 {
            // The memory of a crowd that has left.
            *self = Self::default();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Keeps a waker until the next event.
    pub(super) fn wait(&mut self, slot: usize, waker: Arc<dyn Wake>) {
        self.set(slot, Some(waker));
    }

    fn set(&mut self, slot: usize, waker: Option<Arc<dyn Wake>>) {
        self.waiting += usize::from(waker.is_some());
        let last = mem::replace(&mut self.slots[slot], waker);
        self.waiting -= usize::from(last.is_some());
    }

    /// Takes the wakers of all that wait.
    pub(super) fn take_waiting(&mut self) -> Vec<Arc<dyn Wake>> {
        if self.waiting == 0 {
            return Vec::new();
        }
        let mut wakers = Vec::with_capacity(mem::take(&mut self.waiting));
        wakers.extend(self.slots.iter_mut().filter_map(Option::take));
        wakers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::waker::ThreadWaker;

    #[test]
    fn only_waiting_listeners_are_woken_and_once() {
        let mut listeners = Listeners::default();
        let slots = [(); 3].map(|()| listeners.add());
        assert_eq!(listeners.take_waiting().len(), 0);
        listeners.wait(slots[0], ThreadWaker::current());
        listeners.wait(slots[2], ThreadWaker::current());
        listeners.wait(slots[2], ThreadWaker::current());
        assert_eq!(listeners.take_waiting().len(), 2);
        assert_eq!(listeners.take_waiting().len(), 0);
    }

    #[test]
    fn listener_that_leaves_is_not_woken() {
        let mut listeners = Listeners::default();
        let (left, right) = (listeners.add(), listeners.add());
        listeners.wait(left, ThreadWaker::current());
        listeners.wait(right, ThreadWaker::current());
        listeners.remove(left);
        assert_eq!((listeners.len(), listeners.waiting), (1, 1));
        assert_eq!(listeners.add(), left, "slots are used again");
        assert_eq!(listeners.take_waiting().len(), 1);
    }

    #[test]
    fn crowd_leaves_no_memory() {
        let mut listeners = Listeners::default();
        let slots: Vec<_> = (0..10_000).map(|_| listeners.add()).collect();
        slots.into_iter().for_each(|slot| listeners.remove(slot));
        assert_eq!(listeners.len(), 0);
        assert_eq!(
            (listeners.slots.capacity(), listeners.free.capacity()),
            (0, 0)
        );
    }
}
