//! What a connection and whoever drives it tell each other.

use std::time::Instant;

use super::CloseReason;
use crate::message::Overload;

/// Why a connection is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// The socket may have become readable or writable.
    Ready,
    /// The same, and the client has finished sending or is gone: read on until that shows.
    HungUp,
    /// The deadline of its [`Pending`] has passed.
    Expired,
    /// The server drains: an idle connection ends now.
    Recalled,
    /// As it [asked for](DriveResult::Unwatch): nobody is told of its socket until it parks.
    Unwatched,
}

/// What becomes of requests that have come in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The handler answers them.
    Handle,
    /// They are answered 503 at once, and no code of the handler's runs unless an answer is
    /// [owed](super::Connection::owes).
    Shed(Overload),
}

/// What comes of driving a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DriveResult {
    /// It can do nothing until this.
    Park(Pending),
    /// It could go on, but others have waited long enough.
    Requeue,
    /// It goes on by lending its socket to a handler, and nobody is to be woken by what comes
    /// meanwhile.
    Unwatch,
    /// It has ended.
    Close(CloseReason),
}

/// What a connection waits for, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) what: WaitFor,
    pub(crate) deadline: Instant,
}

impl WaitFor {
    /// Whether nothing has been asked that is not answered.
    pub(crate) fn is_idle(self) -> bool {
        matches!(self, Self::FirstRequest | Self::NextRequest)
    }
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// The first byte ever.
    FirstRequest,
    /// The first byte of another request.
    NextRequest,
    /// The rest of a handshake.
    #[cfg(feature = "_tls")]
    Handshake,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
    /// Room for the rest of an answer.
    Room,
    /// The client's own end, after the last answer.
    Goodbye,
}
