//! The streams of a multiplexed connection that other threads have woken.
//!
//! A response may wait for another thread while many others of its connection wait, too. So each of
//! them has a waker of its own, which notes its stream in a list and wakes the connection. Whoever then
//! drives the connection takes the list, and looks at these streams only.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::WorkerBuffers;
use super::waker::ConnectionWaker;
use crate::message::waker::{Alarm, Wake, WakeBatch};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// The list of one connection. It is made for the first stream that needs it, because most connections
/// have none.
pub(super) struct Woken<S>(Option<Arc<Shared<S>>>);

struct Shared<S> {
    connection: Arc<dyn ConnectionWaker>,
    list: Mutex<List<S>>,
}

struct List<S> {
    streams: Vec<S>,
    /// The number of this list: it changes when the streams are taken.
    round: u64,
}

/// Wakes one stream. The stream may be gone.
struct StreamWaker<S> {
    stream: S,
    shared: Arc<Shared<S>>,
    /// The list after the one in which the stream was noted last. The list's lock guards it.
    next_round: AtomicU64,
}

impl<S: Copy + Send + Sync + 'static> Woken<S> {
    /// Creates a waker of a stream. Returns nothing if there is none for the connection.
    pub(super) fn waker(
        &mut self,
        stream: S,
        buffers: &mut WorkerBuffers,
    ) -> Option<Arc<dyn Wake>> {
        if self.0.is_none() {
            self.0 = Some(Arc::new(Shared {
                connection: buffers.waker()?,
                list: Mutex::new(List {
                    streams: Vec::new(),
                    round: 0,
                }),
            }));
        }
        Some(Arc::new(StreamWaker {
            stream,
            shared: self.0.clone()?,
            next_round: AtomicU64::new(0),
        }))
    }

    /// Takes the streams that were woken, each of them once. Some may be gone.
    pub(super) fn take(&self) -> Vec<S> {
        let Some(shared) = &self.0 else {
            return Vec::new();
        };
        let mut list = shared.lock();
        if list.streams.is_empty() {
            return Vec::new();
        }
        list.round += 1;
        mem::take(&mut list.streams)
    }
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, List<S>> {
        ignore_poison(self.list.lock())
    }
}

impl<S: Copy> StreamWaker<S> {
    /// Notes the stream. Returns whether the connection must be woken: whoever notes the first stream
    /// wakes it for all of them.
    fn note(&self) -> bool {
        let mut list = self.shared.lock();
        if self.next_round.load(Ordering::Relaxed) > list.round {
            return false;
        }
        self.next_round.store(list.round + 1, Ordering::Relaxed);
        list.streams.push(self.stream);
        list.streams.len() == 1
    }
}

impl<S: Copy + Send + Sync> Wake for StreamWaker<S> {
    fn wake(&self) {
        if self.note() {
            self.shared.connection.wake();
        }
    }

    fn wake_in(&self, batch: &mut WakeBatch) {
        if self.note() {
            self.shared.connection.wake_in(batch);
        }
    }

    fn is_draining(&self) -> bool {
        self.shared.connection.is_draining()
    }

    fn alarm(&self, at: Instant, waker: Arc<dyn Wake>) -> Option<Box<dyn Alarm>> {
        self.shared.connection.alarm(at, waker)
    }
}

impl<S> Default for Woken<S> {
    fn default() -> Self {
        Self(None)
    }
}

impl<S> fmt::Debug for Woken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Woken").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::connection::waker::WakerSource;

    /// Counts how often a connection was woken.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    struct CounterSource(Arc<Counter>);

    impl Wake for Counter {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn is_draining(&self) -> bool {
            true
        }
    }

    impl ConnectionWaker for Counter {
        fn hand_over(&self) {}
    }

    impl WakerSource for CounterSource {
        fn waker(&self, _: &mut Option<u64>) -> Option<Arc<dyn ConnectionWaker>> {
            Some(self.0.clone())
        }
    }

    #[test]
    fn each_list_has_a_stream_once_and_wakes_the_connection_once() {
        let counter = Arc::<Counter>::default();
        let mut buffers = WorkerBuffers::new(0);
        let mut woken = Woken::default();
        assert!(woken.waker(1, &mut buffers).is_none(), "there is no server");
        assert!(woken.take().is_empty());
        buffers.set_waker_source(Arc::new(CounterSource(Arc::clone(&counter))));
        let [first, second] = [1, 2].map(|stream| {
            let waker = woken.waker(stream, &mut buffers);
            waker.expect("the connection has a waker")
        });
        let wakes = || counter.0.load(Ordering::Relaxed);
        for round in 1..4 {
            for waker in [&second, &first, &second] {
                waker.wake();
            }
            assert_eq!((woken.take(), wakes()), (vec![2, 1], round));
            assert!(woken.take().is_empty());
        }
        assert!(first.is_draining());
        // Nobody takes the list of a connection that is gone, and it does not grow.
        drop(woken);
        (0..10).for_each(|_| second.wake());
        assert_eq!(wakes(), 4);
    }
}
