//! What the server passes to a connection that it drives, and what the connection returns.

use std::time::Instant;

use super::CloseReason;
use crate::message::Overload;

/// Why a connection is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// The socket may have become readable or writable.
    Ready,
    /// Another thread wakes the connection, and nothing has arrived on its socket since the last receive
    /// that found no more.
    Woken,
    /// The client has closed its side or is gone. No further event will report that.
    HungUp,
    /// The deadline of its [`Pending`] has passed.
    Expired,
    /// The server drains: an idle connection closes now.
    Recalled,
    /// The connection [asked for this](DriveResult::Deregister): until it parks, events of its socket
    /// wake no worker.
    Deregistered,
}

/// How complete requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// By the handler.
    Handle,
    /// With a 503 at once. No code of the handler runs, unless a response is
    /// [in progress](super::Connection::is_responding).
    Shed(Overload),
    /// Later. A [multiplexed](super::Connection::is_multiplexed) connection receives and sends what
    /// needs no handler and no reader; complete requests wait in it.
    Protocol,
}

/// What the server does with a connection that was driven.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DriveResult {
    /// Parks it until this event.
    Park(Pending),
    /// Drives it again after other connections had their turn.
    Requeue,
    /// Drives it again with [`WakeReason::Deregistered`]: the connection will check out its socket to a
    /// handler, and events of the socket must wake no worker meanwhile.
    Deregister,
    /// Runs the [upgrade](super::Connection::run_upgrade) that follows its last response, and closes it.
    Upgrade,
    /// Lends it while the [call](super::WorkerBuffers::take_call) in the buffers runs.
    #[cfg_attr(
        not(any(feature = "http2", test)),
        expect(dead_code, reason = "HTTP/1.1 makes no calls")
    )]
    Lend(Lending),
    /// Closes it.
    Close(CloseReason),
}

/// How a connection is lent while a [`Call`](super::call::Call) runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lending {
    /// When it must be driven at the latest.
    pub(crate) deadline: Option<Instant>,
    /// Whether it could be driven at once: it has more requests, or output to send.
    pub(crate) is_ready: bool,
}

/// The event that a connection waits for, and its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) wait_for: WaitFor,
    pub(crate) deadline: Instant,
}

impl WaitFor {
    /// Whether the connection has no request and no unsent response.
    pub(crate) fn is_idle(self) -> bool {
        matches!(
            self,
            Self::FirstRequest | Self::NextRequest | Self::NextStream
        )
    }

    /// Whether the connection does something when a drain begins: it has several requests at a time,
    /// speaks a protocol that wants to know, or waits for a thread while its client may have left.
    pub(crate) fn is_told_of_drain(self) -> bool {
        matches!(
            self,
            Self::Waker
                | Self::NextStream
                | Self::Streams
                | Self::StreamsOrRoom
                | Self::Upgraded
                | Self::UpgradedOrRoom
        )
    }
}

/// The event that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// The first byte on the connection.
    FirstRequest,
    /// The first byte of another request.
    NextRequest,
    /// The rest of a TLS handshake.
    #[cfg(feature = "_tls")]
    Handshake,
    /// The rest of a request head.
    Head,
    /// The rest of a request body.
    Body,
    /// Room in the socket for the rest of a response.
    Room,
    /// A thread that has something for the response. Bytes that arrive meanwhile stay in the socket.
    Waker,
    /// Another request on a multiplexed connection that has none.
    #[cfg_attr(
        not(any(feature = "http2", test)),
        expect(dead_code, reason = "no connection is multiplexed")
    )]
    NextStream,
    /// Anything that the client sends on a multiplexed connection with open requests.
    #[cfg_attr(
        not(any(feature = "http2", test)),
        expect(dead_code, reason = "no connection is multiplexed")
    )]
    Streams,
    /// Anything that the client sends on these streams, or room in the socket for the rest of the output.
    #[cfg_attr(
        not(any(feature = "http2", test)),
        expect(dead_code, reason = "no connection is multiplexed")
    )]
    StreamsOrRoom,
    /// Anything that the client sends to an upgraded connection.
    Upgraded,
    /// Anything that the client sends to an upgraded connection, or room in the socket for more output.
    UpgradedOrRoom,
    /// The return of a handler, while the connection is lent.
    Handler,
    /// The client's close after the last response.
    PeerClose,
}
