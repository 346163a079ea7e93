//! The protocol that a client speaks, with its state.

use std::io;

use super::call::Reply;
use super::connection_io::ConnectionIo;
use super::driven::Driven;
use super::http1::Http1;
#[cfg(feature = "http2")]
use super::http2::Http2;
#[cfg(test)]
use super::scripted::Scripted;
use super::{Admission, DriveResult, Service, WakeReason, WorkerBuffers};
#[cfg(feature = "_tls")]
use crate::message::request_error::RequestError;
#[cfg(all(feature = "http2", feature = "_tls"))]
use crate::net::Alpn;

/// The protocol of a connection, with its state. It keeps no socket: each call gets the
/// [`ConnectionIo`].
pub(super) enum Protocol {
    Http1(Http1),
    #[cfg(feature = "http2")]
    Http2(Box<Http2>),
    /// Another protocol, after an upgrade.
    Driven(Box<Driven>),
    #[cfg(test)]
    Scripted(Scripted),
}

impl Protocol {
    /// The protocol of a new connection. Whether the client speaks HTTP/2 shows in its first bytes.
    #[cfg_attr(
        not(feature = "http2"),
        expect(unused_variables, reason = "there is only HTTP/1.1")
    )]
    pub(super) fn new(service: &Service) -> Self {
        #[cfg(feature = "http2")]
        let http1 = Http1::new(service.config.http2);
        #[cfg(not(feature = "http2"))]
        let http1 = Http1::default();
        Self::Http1(http1)
    }

    /// Handles everything that has arrived, and returns what the connection waits for.
    pub(super) fn drive(
        &mut self,
        io: &mut ConnectionIo,
        wake: WakeReason,
        admission: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        #[cfg(feature = "http2")]
        if let Self::Http1(http1) = self
            && http1.may_be_http2()
        {
            match http1.receive_preface(io, wake, buffers, service)? {
                Opening::Http1 => {}
                Opening::Http2 => *self = Self::Http2(Box::new(Http2::new(buffers.now, service))),
                Opening::Pending(result) => return Ok(result),
            }
        }
        if let Self::Http1(http1) = self {
            let result = http1.drive(io, wake, admission, buffers, service);
            if !matches!(result, Ok(DriveResult::Upgrade)) {
                return result;
            }
            let Some(make) = buffers.io.write_queue.take_driven() else {
                return result;
            };
            *self = Self::Driven(Box::new(Driven::begin(make, io, buffers)));
        }
        match self {
            // It has been driven.
            Self::Http1(_) => Ok(DriveResult::Requeue),
            Self::Driven(driven) => driven.drive(io, admission, buffers, service),
            #[cfg(feature = "http2")]
            Self::Http2(http2) => http2.drive(io, wake, admission, buffers, service),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.drive(io, wake, admission, buffers, service),
        }
    }

    /// Continues the turn in which the connection was lent, with the result of its call.
    #[cfg_attr(
        not(feature = "http2"),
        expect(unused_variables, reason = "HTTP/1.1 makes no calls")
    )]
    pub(super) fn resume(
        &mut self,
        reply: Reply,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        match (self, reply) {
            #[cfg(feature = "http2")]
            (Self::Http2(http2), Reply::Stream(reply)) => http2.resume(reply, io, buffers, service),
            #[cfg(test)]
            (Self::Scripted(scripted), reply) => {
                scripted.deliver(&reply);
                let (wake, admission) = (WakeReason::Ready, Admission::Handle);
                scripted.drive(io, wake, admission, buffers, service)
            }
            // HTTP/1.1 makes no calls.
            _ => Ok(DriveResult::Requeue),
        }
    }

    /// Stores the result of a call until the connection is driven.
    pub(super) fn deliver(&mut self, reply: Reply) {
        match (self, reply) {
            #[cfg(feature = "http2")]
            (Self::Http2(http2), Reply::Stream(reply)) => http2.deliver(reply),
            #[cfg(test)]
            (Self::Scripted(scripted), reply) => scripted.deliver(&reply),
            // HTTP/1.1 makes no calls.
            _ => {}
        }
    }

    /// Chooses the protocol that a TLS client has negotiated (RFC 7301).
    #[cfg(all(feature = "http2", feature = "_tls"))]
    pub(super) fn negotiate(
        &mut self,
        io: &ConnectionIo,
        buffers: &WorkerBuffers,
        service: &Service,
    ) {
        *self = match io.socket.alpn() == Some(Alpn::Http2) {
            true => Self::Http2(Box::new(Http2::new(buffers.now, service))),
            false => Self::Http1(Http1::default()),
        };
    }

    /// Whether it has several requests at a time.
    pub(super) fn is_multiplexed(&self) -> bool {
        match self {
            Self::Http1(_) | Self::Driven(_) => false,
            #[cfg(feature = "http2")]
            Self::Http2(_) => true,
            #[cfg(test)]
            Self::Scripted(_) => true,
        }
    }

    /// Whether it is another protocol, after an upgrade.
    pub(super) fn is_driven(&self) -> bool {
        matches!(self, Self::Driven(_))
    }

    /// Responds to bytes that are not a request, and begins to close the connection.
    #[cfg(feature = "_tls")]
    pub(super) fn reject(
        &mut self,
        io: &mut ConnectionIo,
        error: RequestError,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        match self {
            Self::Http1(http1) => http1.reject(io, error, buffers, service),
            // The response is for a client that speaks no TLS, and so it has negotiated nothing.
            #[cfg(feature = "http2")]
            Self::Http2(_) => {}
            // It comes after the first request.
            Self::Driven(_) => {}
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }

    /// Whether the next response runs code of the handler's layers, although the request has been
    /// handled. A multiplexed connection never runs it without a call.
    pub(super) fn is_waiting(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.is_waiting(),
            #[cfg(feature = "http2")]
            Self::Http2(_) => false,
            Self::Driven(_) => false,
            #[cfg(test)]
            Self::Scripted(_) => false,
        }
    }

    /// Requests on an open connection that have begun to arrive, or whose responses are not
    /// complete.
    pub(super) fn unfinished(&self, io: &ConnectionIo) -> u64 {
        match self {
            Self::Http1(http1) => http1.unfinished(io),
            #[cfg(feature = "http2")]
            Self::Http2(http2) => http2.unfinished(),
            Self::Driven(_) => Driven::unfinished(),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.unfinished(),
        }
    }

    /// Bytes of memory that it keeps.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Http1(http1) => http1.held(),
            #[cfg(feature = "http2")]
            Self::Http2(http2) => http2.held(),
            Self::Driven(driven) => driven.held(),
            #[cfg(test)]
            Self::Scripted(_) => 0,
        }
    }
}

/// What the first bytes of a client say of its protocol.
#[cfg(feature = "http2")]
pub(super) enum Opening {
    /// The client speaks HTTP/1.1, or has sent nothing.
    Http1,
    Http2,
    /// The rest of the preface is missing.
    Pending(DriveResult),
}
