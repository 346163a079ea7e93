//! What a connection and whoever drives it tell each other.

use std::fmt;
use std::io;
use std::time::Instant;

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

/// Why a request is shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overload {
    /// It has waited for a worker for too long.
    Late,
    /// Too many wait for one.
    Full,
}

impl Overload {
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 2] = [Self::Late, Self::Full];

    /// One word for it, for figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Full => "full",
        }
    }
}

/// What comes of driving a connection.
#[derive(Debug)]
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
    #[cfg(feature = "tls")]
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

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum CloseReason {
    /// The last answer has been sent.
    Answered,
    /// The last answer has been sent, and it goes on in another protocol.
    Upgraded,
    /// The client ended it between requests.
    ClientDone,
    /// The client ended it within a request.
    ClientLeft,
    /// A deadline passed before anything was asked, or between requests.
    Idle,
    /// The client did not take its answer.
    SlowReader,
    /// The client did not take its answer, and there was no room to keep the rest.
    NoRoom,
    /// It was idle when the server drained.
    Drained,
    /// The server was forced to stop.
    Forced,
    /// The handler's reader or file did not give the whole answer.
    Broken(io::Error),
    /// It did not begin with a proxy's header, as it must where it has come to.
    #[cfg(feature = "proxy")]
    NotIntroduced,
    /// It did not come to an agreement on TLS.
    #[cfg(feature = "tls")]
    NotAgreed,
    /// The socket failed.
    Failed(io::Error),
    /// Driving it panicked: a defect of this crate.
    Panicked,
}

impl CloseReason {
    /// One word for each, for figures, at its [place](Self::number).
    pub(crate) const NAMES: [&'static str; 14] = [
        "answered",
        "client_done",
        "client_left",
        "idle",
        "slow_reader",
        "no_room",
        "drained",
        "forced",
        "broken",
        "failed",
        "panicked",
        "not_introduced",
        "handshake_failed",
        "upgraded",
    ];

    /// Its place among all of them.
    pub(crate) const fn number(&self) -> usize {
        match self {
            Self::Answered => 0,
            Self::ClientDone => 1,
            Self::ClientLeft => 2,
            Self::Idle => 3,
            Self::SlowReader => 4,
            Self::NoRoom => 5,
            Self::Drained => 6,
            Self::Forced => 7,
            Self::Broken(_) => 8,
            Self::Failed(_) => 9,
            Self::Panicked => 10,
            #[cfg(feature = "proxy")]
            Self::NotIntroduced => 11,
            #[cfg(feature = "tls")]
            Self::NotAgreed => 12,
            Self::Upgraded => 13,
        }
    }

    /// Whether the client has got all that was for it.
    #[cfg(feature = "tls")]
    pub(super) const fn is_orderly(&self) -> bool {
        matches!(
            self,
            Self::Answered | Self::ClientDone | Self::Idle | Self::Drained
        )
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "the last answer was sent",
            Self::Upgraded => "it went on in another protocol",
            Self::ClientDone => "the client ended it",
            Self::ClientLeft => "the client left within a request",
            Self::Idle => "it was idle for too long",
            Self::SlowReader => "the client did not take its answer",
            Self::NoRoom => "there was no room for what the client did not take",
            Self::Drained => "it was idle and the server drains",
            Self::Forced => "the server was forced to stop",
            Self::Broken(error) => return write!(f, "the answer can't be read: {error}"),
            #[cfg(feature = "proxy")]
            Self::NotIntroduced => "it did not begin with a PROXY protocol header",
            #[cfg(feature = "tls")]
            Self::NotAgreed => "its TLS handshake failed",
            Self::Failed(error) => return error.fmt(f),
            Self::Panicked => "driving it panicked",
        })
    }
}
