//! The end of a connection (RFC 9113 section 6.8).

use super::Mux;
use crate::http2::{Error, ErrorCode, StreamId, write_goaway, write_ping};

/// The payload of the PING that follows an announcement.
const PING: [u8; 8] = *b"shutdown";

/// The steps of a shutdown. They only advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shutdown {
    /// None.
    Open,
    /// The announcement is written, and the client may not have received it.
    Announced,
    /// It knows.
    Acknowledged,
    /// New streams are ignored.
    ShutDown,
    /// The client has broken a rule of the connection. All input is ignored.
    Broken,
    /// The last GOAWAY is written. All input is ignored.
    Closed,
}

impl Shutdown {
    /// Whether a PING acknowledgement is that of the announcement.
    pub(super) fn acknowledge(&mut self, payload: [u8; 8]) -> bool {
        let is_first = *self == Self::Announced && payload == PING;
        if is_first {
            *self = Self::Acknowledged;
        }
        is_first
    }
}

impl<T: Default> Mux<T> {
    /// Tells the client to open no more streams, with a GOAWAY that refuses none and a PING. What
    /// the client sends before it knows is received; when it knows,
    /// [`Event::ShutdownAcknowledged`](super::Event::ShutdownAcknowledged) is received and it is
    /// time to [shut down](Self::shut_down). Only the first call has an effect.
    ///
    /// The mux itself calls this when the client has used nearly all numbers of streams.
    pub fn announce_shutdown(&mut self, out: &mut Vec<u8>) {
        if self.shutdown == Shutdown::Open {
            self.shutdown = Shutdown::Announced;
            write_goaway(Some(StreamId::MAX), ErrorCode::NoError, b"", out);
            write_ping(PING, out);
        }
    }

    /// Tells the client to open no more streams, as
    /// [`announce_shutdown`](Self::announce_shutdown) does, but without a PING, so that the caller
    /// decides by time when to [shut down](Self::shut_down).
    pub fn announce_shutdown_alone(&mut self, out: &mut Vec<u8>) {
        if self.shutdown == Shutdown::Open {
            self.shutdown = Shutdown::Announced;
            write_goaway(Some(StreamId::MAX), ErrorCode::NoError, b"", out);
        }
    }

    /// Writes GOAWAY with the last stream that was received. Later streams are ignored, and the
    /// client can repeat them on another connection. Streams that are open continue. Only the first
    /// call has an effect.
    pub fn shut_down(&mut self, code: ErrorCode, debug: &[u8], out: &mut Vec<u8>) {
        if self.shutdown < Shutdown::ShutDown {
            self.shutdown = Shutdown::ShutDown;
            write_goaway(self.last, code, debug, out);
        }
    }

    /// Has GOAWAY name the stream before this one as the last, so that the client takes this stream and
    /// later ones for unprocessed.
    #[cfg(feature = "inspect")]
    pub(crate) fn disown(&mut self, stream: StreamId) {
        // The client's numbers are odd.
        self.last = StreamId::new(stream.get().saturating_sub(2));
    }

    /// Whether new streams are ignored.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shutdown >= Shutdown::ShutDown
    }

    /// Writes GOAWAY for an error of the connection, after which input is ignored and the connection
    /// is to be closed. Only the first call has an effect.
    pub fn close(&mut self, error: &Error, out: &mut Vec<u8>) {
        if self.shutdown < Shutdown::Closed {
            self.shutdown = Shutdown::Closed;
            let (Error::Connection { code, reason } | Error::Stream { code, reason, .. }) = error;
            write_goaway(self.last, *code, reason.as_bytes(), out);
        }
    }
}
