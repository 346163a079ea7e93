//! What the server passes to a connection that it drives, and what the connection returns.

use std::time::Instant;

use super::CloseReason;
use crate::message::Overload;

/// Why a connection is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// The socket may have become readable or writable.
    Ready,
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
    /// [unsent](super::Connection::has_unsent).
    Shed(Overload),
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
    /// Closes it.
    Close(CloseReason),
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
        matches!(self, Self::FirstRequest | Self::NextRequest)
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
    /// The return of a handler, while the connection is lent.
    Handler,
    /// The client's close after the last response.
    PeerClose,
}
