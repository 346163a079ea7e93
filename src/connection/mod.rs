//! One client's connection, from the bytes on its socket to its close.
//!
//! A connection never blocks. A worker drives it: the connection does everything that is possible
//! now, and returns what it waits for. The server then parks it until that event.
//!
//! [`ConnectionIo`] is the part that every protocol needs. A [`Protocol`] turns received bytes into
//! requests and responses into bytes; it has a folder of its own, for example [`http1`]. A
//! [`Transaction`](transaction::Transaction) is one request with its response, in any protocol.

pub(crate) mod body_writer;
pub(crate) mod call;
pub(crate) mod checkout;
pub(crate) mod close;
mod close_reason;
pub(crate) mod config;
pub(crate) mod deadlines;
pub(crate) mod drive;
pub(crate) mod phase;
#[cfg(feature = "proxy")]
pub(crate) mod proxy_header;
pub(crate) mod transaction;
pub(crate) mod waker;
pub(crate) mod worker_buffers;
pub(crate) mod write_queue;

mod blocking;
mod budget;
mod connection_io;
mod drain;
mod driven;
#[cfg(feature = "_tls")]
mod handshake;
mod http1;
#[cfg(feature = "http2")]
mod http2;
#[cfg_attr(
    not(any(feature = "proxy", feature = "_tls")),
    expect(
        dead_code,
        reason = "only failures before the first request are rate limited"
    )
)]
mod log_limits;
mod polled_writer;
mod protocol;
#[cfg(test)]
pub(crate) mod scripted;
mod state;
mod upgraded;
#[cfg(any(feature = "http2", test))]
mod woken;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::debug;

pub(crate) use self::budget::Budget;
use self::call::Reply;
pub use self::close_reason::CloseReason;
use self::config::Config;
pub use self::config::{Conflict, defaults};
use self::connection_io::{ConnectionIo, Readiness};
pub(crate) use self::drain::Grace;
pub(crate) use self::drive::{Admission, DriveResult, Lending, Pending, WaitFor, WakeReason};
#[cfg(feature = "_tls")]
use self::handshake::HandshakeStep;
#[cfg(feature = "http2")]
pub(crate) use self::http2::{Http2Event, Http2Stats};
pub(crate) use self::log_limits::LogLimits;
#[cfg(feature = "proxy")]
pub(crate) use self::log_limits::log_limited;
pub use self::phase::Phase;
use self::phase::PhaseCell;
use self::protocol::Protocol;
use self::state::State;
pub(crate) use self::worker_buffers::WorkerBuffers;
use crate::message::headers::default_headers::DefaultHeaders;
use crate::message::problem::error_pages::CustomErrorPages;
use crate::message::record::Observers;
#[cfg(feature = "_tls")]
use crate::message::request_error::RequestError;
use crate::message::{Handler, PeerAddr};
use crate::net::ListenerProtocol;
use crate::net::transport::Socket;
use crate::sync::atomic::AtomicUsize;

/// Time that handlers may take on requests of one connection before the worker serves other
/// connections and sends the responses so far. A handler that has begun is not interrupted.
const TURN: Duration = Duration::from_millis(1);

/// The state that all connections of a server share.
pub(crate) struct Service {
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) config: Config,
    pub(crate) phase: Arc<PhaseCell>,
    pub(crate) grace: Grace,
    pub(crate) budget: Arc<Budget>,
    pub(crate) observers: Observers,
    pub(crate) error_pages: CustomErrorPages,
    pub(crate) default_headers: DefaultHeaders,
    pub(crate) log_limits: LogLimits,
    /// Handlers that wait for a streamed body on a multiplexed connection. While there are any, and no
    /// worker is free, the load shedder drives such connections.
    pub(crate) streaming: AtomicUsize,
    #[cfg(feature = "http2")]
    pub(crate) http2_stats: Arc<Http2Stats>,
}

impl Service {
    /// Counts a connection that was taken while a call ran.
    pub(crate) fn count_stolen(&self) {
        #[cfg(feature = "http2")]
        self.http2_stats.add(Http2Event::Stolen);
    }

    /// Counts a reply for a connection that was elsewhere.
    pub(crate) fn count_posted(&self) {
        #[cfg(feature = "http2")]
        self.http2_stats.add(Http2Event::Posted);
    }
}

/// One client's connection. It is small while it is parked, because everything that only a driven
/// connection needs is in the [`WorkerBuffers`].
pub(crate) struct Connection {
    io: ConnectionIo,
    protocol: Protocol,
}

impl Connection {
    pub(crate) fn new(
        socket: Socket,
        peer: PeerAddr,
        protocol: &ListenerProtocol,
        now: Instant,
        service: &Service,
    ) -> Self {
        service.grace.begin(now);
        Self {
            io: ConnectionIo::new(socket, peer, protocol, now, service),
            protocol: Protocol::new(service),
        }
    }

    /// What a new connection waits for, unless bytes have already arrived.
    pub(crate) fn first_wait(&self) -> Option<Pending> {
        let pending = self.io.deadlines.pending();
        pending.filter(|_| !self.io.socket.has_unread())
    }

    /// Does everything that is possible without waiting.
    pub(crate) fn drive(
        &mut self,
        wake: WakeReason,
        admission: Admission,
        now: Instant,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> DriveResult {
        buffers.now = now;
        self.io.unpack(buffers);
        let result = self
            .turn(wake, admission, buffers, service)
            .unwrap_or_else(|error| {
                debug!("{self}: the socket failed: {error}");
                DriveResult::Close(CloseReason::Failed)
            });
        self.end_drive(result, buffers)
    }

    /// Continues the turn in which the connection was [lent](DriveResult::Lend), on the worker that
    /// has run the call.
    pub(crate) fn resume(
        &mut self,
        reply: Reply,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> DriveResult {
        let Self { io, protocol } = self;
        io.unpack(buffers);
        let result = (protocol.resume(reply, io, buffers, service)).unwrap_or_else(|error| {
            debug!("{self}: the socket failed: {error}");
            DriveResult::Close(CloseReason::Failed)
        });
        self.end_drive(result, buffers)
    }

    /// Stores the result of a call. The connection must then be driven.
    pub(crate) fn deliver(&mut self, reply: Reply) {
        self.protocol.deliver(reply);
    }

    /// Whether the connection has several requests at a time, so that it can be driven by
    /// [`Admission::Protocol`] and lent.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.protocol.is_multiplexed()
    }

    fn end_drive(&mut self, result: DriveResult, buffers: &mut WorkerBuffers) -> DriveResult {
        if let DriveResult::Lend(_) = result {
            self.io.lent = Some(buffers.lend());
            return result;
        }
        self.io.pack(self.protocol.held(), buffers);
        #[cfg(feature = "_tls")]
        if let DriveResult::Close(reason) = result {
            self.io.send_close_notify(reason);
        }
        result
    }

    fn turn(
        &mut self,
        wake: WakeReason,
        admission: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        let Self { io, protocol } = self;
        match wake {
            WakeReason::HungUp => io.readiness = Readiness::HungUp,
            WakeReason::Woken => {}
            _ => io.expect_more(),
        }
        // The timer doesn't fire for a connection that always has something to receive.
        let wake = match io.deadlines.overdue(buffers.now) {
            Some(WaitFor::PeerClose) => return Ok(DriveResult::Close(io.close_reason())),
            Some(_) if wake != WakeReason::Deregistered => WakeReason::Expired,
            _ => wake,
        };
        #[cfg(feature = "proxy")]
        let wake = if io.state == State::ProxyHeader {
            if let Some(result) = io.receive_proxy_header(wake, buffers, service)? {
                return Ok(result);
            }
            match wake {
                // The deadline was the proxy header's.
                WakeReason::Expired => WakeReason::Ready,
                _ => wake,
            }
        } else {
            wake
        };
        #[cfg(feature = "_tls")]
        let wake = if io.state == State::TlsHandshake {
            match io.handshake(wake, admission, buffers, service)? {
                HandshakeStep::Ended => {
                    #[cfg(feature = "http2")]
                    protocol.negotiate(io, buffers, service);
                }
                HandshakeStep::NotTls => {
                    protocol.reject(io, RequestError::NotTls, buffers, service);
                }
                HandshakeStep::Pending(result) => return Ok(result),
            }
            // The wait for a request has only just begun.
            WakeReason::Ready
        } else {
            wake
        };
        let wake = service.recalling(wake, buffers.now);
        protocol.drive(io, wake, admission, buffers, service)
    }

    /// Requests that have begun to arrive or whose responses have not been sent in full.
    pub(crate) fn unfinished(&self) -> u64 {
        let io = &self.io;
        let open = match io.state {
            State::Http => self.protocol.unfinished(io),
            // A request may follow the header or the handshake.
            #[cfg(feature = "proxy")]
            State::ProxyHeader => u64::from(io.socket.has_unread()),
            #[cfg(feature = "_tls")]
            State::TlsHandshake => u64::from(io.socket.has_unread()),
            #[cfg(feature = "_tls")]
            State::TlsFailed => 0,
            State::Closing(_) | State::LingeringClose => 0,
        };
        io.unsent_responses() + open
    }

    /// Whether requests on it can be shed. An upgraded connection has none, and a response in progress
    /// may run code of its handler; a multiplexed connection knows which.
    pub(crate) fn may_be_shed(&self) -> bool {
        self.is_multiplexed() || !(self.is_responding() || self.protocol.is_driven())
    }

    /// Whether it has been upgraded to a protocol that the pool drives.
    pub(crate) fn is_driven(&self) -> bool {
        self.protocol.is_driven()
    }

    /// Whether a response, perhaps from a handler's reader, has not been sent in full.
    fn has_unsent(&self) -> bool {
        self.io.has_unsent()
    }

    /// Whether a request has been handled and its response was not sent in full. Sending it may run code
    /// of the handler.
    pub(crate) fn is_responding(&self) -> bool {
        self.has_unsent() || self.protocol.is_waiting()
    }

    /// Call this before the connection is dropped. If a response is incomplete, the socket is reset,
    /// because an orderly close would mark the end of a body that is delimited by it.
    pub(crate) fn prepare_close(&self) {
        if self.has_unsent()
            && let Err(error) = self.io.socket.reset_on_close()
        {
            debug!("{self}: the socket can't be reset: {error}");
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.socket.as_fd()
    }
}

/// Writes the peer's address, for the log.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

#[cfg(test)]
mod tests;
