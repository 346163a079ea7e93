//! How far a connection is read that must close: in a drain, or when its TLS keys near their limit.

use super::Http1;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::{Service, WorkerBuffers};

/// How much more a connection may receive. All requests that had arrived when the limit was set get
/// their responses. Beyond that, only a request that has begun is completed.
#[derive(Debug)]
pub(super) struct ReadLimit {
    /// Bytes received over the connection's life when the limit is reached.
    until: u64,
    /// Bytes received when the latest request was complete.
    received: u64,
}

impl ReadLimit {
    fn new(received: u64, unread: u64) -> Self {
        Self {
            until: received + unread,
            received,
        }
    }

    /// Whether the request that has just been completed is the last one. `received` bytes have been
    /// received so far.
    fn is_last(&mut self, received: u64, is_more_here: bool) -> bool {
        let was_reached = self.received >= self.until;
        let needed_more = received > self.received;
        self.received = received;
        was_reached && needed_more || received >= self.until && !is_more_here
    }
}

impl Http1 {
    /// Whether the request that has just been completed is the last one that the connection reads.
    /// Without a limit, a client that never stops sending requests would never receive its last
    /// response.
    pub(super) fn is_last_request(
        &mut self,
        io: &ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> bool {
        let received = io.socket.received();
        if self.read_limit.is_none() {
            let is_limited =
                io.socket.keys_near_limit() || service.takes_no_more(buffers.catch_up());
            if !is_limited {
                return false;
            }
            let unread = io.socket.unread() as u64;
            self.read_limit = Some(Box::new(ReadLimit::new(received, unread)));
        }
        let limit = self.read_limit.as_mut();
        limit.is_some_and(|limit| limit.is_last(received, !buffers.io.input.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_covers_everything_that_had_arrived() {
        let mut limit = ReadLimit::new(1_000, 500);
        assert!(!limit.is_last(1_000, true), "in the buffer before");
        assert!(!limit.is_last(1_000, false), "the buffer is empty");
        assert!(!limit.is_last(1_400, false), "100 bytes have not been read");
        assert!(limit.is_last(1_500, false));
    }

    #[test]
    fn one_request_is_completed_beyond_the_limit() {
        let mut limit = ReadLimit::new(1_000, 500);
        assert!(!limit.is_last(2_000, true), "a receive brings what follows");
        assert!(!limit.is_last(2_000, true), "which is answered, too");
        assert!(limit.is_last(2_100, true), "but nothing more is received");
        let mut limit = ReadLimit::new(1_000, 0);
        assert!(!limit.is_last(1_000, true));
        assert!(limit.is_last(1_000, false));
    }
}
