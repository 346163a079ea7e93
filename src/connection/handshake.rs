//! The time before the first request on a connection over TLS: client and server agree on keys.

use std::fmt::Display;
use std::io;

use super::Phase;
use super::deadlines::Deadlines;
use super::{
    Admission, CloseReason, Connection, DriveResult, Service, State, WaitFor, WakeReason,
    WorkerBuffers,
};
use crate::message::TlsInfo;
use crate::message::request_error::RequestError;
use crate::net::tls::HandshakeError;
use crate::net::transport::Handshake;

impl Connection {
    /// Goes on with the handshake. A verdict if the connection can't go on to requests now.
    pub(super) fn handshake(
        &mut self,
        wake: WakeReason,
        treatment: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        if service.phase.get() >= Phase::Forced {
            return Ok(Some(DriveResult::Close(CloseReason::Forced)));
        }
        // A handshake costs more than most answers, and without one no answer can be sent.
        if let Admission::Shed(_) = treatment {
            self.log_failure(&"it waited too long for a worker", buffers, service);
            return Ok(Some(DriveResult::Close(CloseReason::HandshakeFailed)));
        }
        let handshake = match self.socket.handshake() {
            Ok(handshake) => handshake,
            Err(error) => {
                self.log_failure(&HandshakeError(&error), buffers, service);
                self.reject()?;
                return Ok(None);
            }
        };
        let what = match handshake {
            Handshake::Done => {
                if let Some(connection) = self.socket.tls() {
                    self.origin = self.origin.over(TlsInfo::of(connection));
                }
                self.state = State::Open;
                self.deadlines = Deadlines::new(buffers.now, &service.config);
                service.grace.begin(buffers.now);
                return Ok(None);
            }
            Handshake::NotTls => {
                self.log_failure(&"the client does not speak TLS", buffers, service);
                self.socket.become_plain();
                self.refuse(RequestError::NotTls, buffers, service);
                return Ok(None);
            }
            Handshake::Left => {
                if self.socket.held() == 0 {
                    return Ok(Some(DriveResult::Close(CloseReason::ClientClosed)));
                }
                self.log_failure(&"the client closed the connection", buffers, service);
                return Ok(Some(DriveResult::Close(CloseReason::HandshakeFailed)));
            }
            Handshake::Silent => match wake {
                WakeReason::Recalled => return Ok(Some(DriveResult::Close(CloseReason::Drained))),
                WakeReason::Expired => return Ok(Some(DriveResult::Close(CloseReason::Idle))),
                _ => WaitFor::FirstRequest,
            },
            Handshake::WantsRead => WaitFor::Handshake,
            Handshake::WantsRoom => WaitFor::Room,
        };
        if wake == WakeReason::Expired {
            self.log_failure(&"the client took too long", buffers, service);
            return Ok(Some(DriveResult::Close(CloseReason::HandshakeFailed)));
        }
        if !self.share.grow(self.socket.held()) {
            return Ok(Some(DriveResult::Close(CloseReason::BufferLimit)));
        }
        let wait = self.deadlines.for_handshake(what, &service.config);
        Ok(Some(DriveResult::Park(wait)))
    }

    fn log_failure(&self, reason: &dyn Display, buffers: &WorkerBuffers, service: &Service) {
        let limit = &service.log_limits.tls_handshakes;
        self.log_limited(
            limit,
            buffers.now,
            format_args!("TLS handshake failed: {reason}"),
        );
    }

    /// Ends a connection whose handshake has failed. Its client may still be sending, and is to get
    /// the alert that says why.
    fn reject(&mut self) -> io::Result<()> {
        self.socket.become_plain();
        self.state = State::Rejected;
        self.socket.finish_sending()
    }
}
