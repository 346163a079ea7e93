//! The streams of a connection that other threads have woken.
//!
//! A response may wait for another thread while its connection waits for many others. So each such
//! stream has a waker of its own: it notes the stream in a list and wakes the connection. Whoever then
//! drives the connection takes the list, and looks at these streams only.

use std::fmt;
use std::mem;
use std::sync::Arc;

use crate::connection::WorkerBuffers;
use crate::connection::waker::ConnectionWaker;
use crate::http2::StreamId;
use crate::message::waker::Wake;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// The list of one connection. It is made for the first stream that needs it, because most connections
/// have none.
#[derive(Default)]
pub(super) struct Woken(Option<Arc<Shared>>);

struct Shared {
    connection: Arc<dyn ConnectionWaker>,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    streams: Vec<StreamId>,
    /// The number of this list: it changes when the streams are taken.
    round: u64,
}

/// Wakes one stream. The stream may be gone.
struct StreamWaker {
    stream: StreamId,
    shared: Arc<Shared>,
    /// The list after the one in which the stream was noted last. The list's lock guards it.
    next_round: AtomicU64,
}

impl Woken {
    /// Creates a waker of a stream. Returns nothing if there is none for the connection.
    pub(super) fn waker(
        &mut self,
        stream: StreamId,
        buffers: &mut WorkerBuffers,
    ) -> Option<Arc<dyn Wake>> {
        if self.0.is_none() {
            self.0 = Some(Arc::new(Shared {
                connection: buffers.waker()?,
                list: Mutex::default(),
            }));
        }
        Some(Arc::new(StreamWaker {
            stream,
            shared: self.0.clone()?,
            next_round: AtomicU64::new(0),
        }))
    }

    /// Takes the streams that were woken, each of them once. Some may be gone.
    pub(super) fn take(&self) -> Vec<StreamId> {
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, List> {
        ignore_poison(self.list.lock())
    }
}

impl Wake for StreamWaker {
    fn wake(&self) {
        let mut list = self.shared.lock();
        if self.next_round.load(Ordering::Relaxed) > list.round {
            return;
        }
        self.next_round.store(list.round + 1, Ordering::Relaxed);
        let is_first = list.streams.is_empty();
        list.streams.push(self.stream);
        drop(list);
        // Whoever noted the first stream wakes the connection for all of them.
        if is_first {
            self.shared.connection.wake();
        }
    }

    fn is_draining(&self) -> bool {
        self.shared.connection.is_draining()
    }
}

impl fmt::Debug for Woken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Woken").finish_non_exhaustive()
    }
}
