//! Wakers, by which any thread can have a connection driven.

use std::sync::Arc;

use super::WorkerBuffers;
use crate::message::waker::Wake;

/// Wakes one connection, whatever it waits for. If it is lent, its owner drives it soon. It keeps neither
/// the connection nor the server alive.
pub(crate) trait ConnectionWaker: Wake {
    /// Has a lent connection driven by another thread. Call this before a call waits for something
    /// that the client sends. A connection that is not lent needs no thread until something arrives.
    #[cfg_attr(
        not(feature = "http2"),
        allow(dead_code, reason = "HTTP/1.1 makes no calls")
    )]
    fn hand_over(&self);
}

/// Creates the wakers of the connections that a worker drives.
pub(crate) trait WakerSource: Send + Sync {
    /// Creates a waker of the connection with this token, and reserves a token first if it has none.
    /// Returns nothing if the server has no place for another connection that waits.
    fn waker(&self, token: &mut Option<u64>) -> Option<Arc<dyn ConnectionWaker>>;
}

impl WorkerBuffers {
    /// Sets what creates wakers. Without it there are none.
    pub(crate) fn set_waker_source(&mut self, source: Arc<dyn WakerSource>) {
        self.waker_source = Some(source);
    }

    /// Sets the token of the connection that is driven next.
    pub(crate) fn set_token(&mut self, token: Option<u64>) {
        self.token = token;
    }

    /// The token of the connection, which [`waker`](Self::waker) may have reserved.
    pub(crate) fn token(&self) -> Option<u64> {
        self.token
    }

    /// Creates a waker of the driven connection. It is valid until the connection closes or hands its
    /// socket to a handler.
    pub(super) fn waker(&mut self) -> Option<Arc<dyn ConnectionWaker>> {
        let source = self.waker_source.as_ref()?;
        source.waker(&mut self.token)
    }
}
