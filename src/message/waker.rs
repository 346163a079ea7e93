//! What lets another thread have a response continued.

use std::sync::Arc;
use std::thread::{self, Thread};

/// Has a response continued that waits for something: the connection that it belongs to is driven. It
/// keeps neither the connection nor the server alive, and may be called after both have ended.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);

    /// Whether the server has begun to shut down.
    fn is_draining(&self) -> bool;
}

/// Wakes the thread that created it. It is for content that is read without a connection.
pub(crate) struct ThreadWaker(Thread);

impl ThreadWaker {
    pub(crate) fn current() -> Arc<dyn Wake> {
        Arc::new(Self(thread::current()))
    }
}

impl Wake for ThreadWaker {
    fn wake(&self) {
        self.0.unpark();
    }

    fn is_draining(&self) -> bool {
        false
    }
}
