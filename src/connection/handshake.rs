//! The TLS handshake at the start of a connection.

use std::fmt::Display;
use std::io;

use super::Phase;
use super::connection_io::ConnectionIo;
use super::deadlines::Deadlines;
use super::state::State;
use super::{Admission, CloseReason, DriveResult, Service, WaitFor, WakeReason, WorkerBuffers};
use crate::message::TlsInfo;
use crate::net::tls::HandshakeError;
use crate::net::transport::Handshake;

/// What a step of the handshake leads to.
pub(super) enum HandshakeStep {
    /// The handshake has succeeded or failed, as the connection's state says.
    Ended,
    /// The client does not speak TLS. The socket is plain now, for a response that says so.
    NotTls,
    /// The connection can't continue now.
    Pending(DriveResult),
}

impl ConnectionIo {
    /// Continues the handshake.
    pub(super) fn handshake(
        &mut self,
        wake: WakeReason,
        admission: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<HandshakeStep> {
        let close = |reason| Ok(HandshakeStep::Pending(DriveResult::Close(reason)));
        if service.phase.get() >= Phase::Forced {
            return close(CloseReason::Forced);
        }
        // A handshake costs more than most responses, and without one no 503 can be sent.
        if let Admission::Shed(_) = admission {
            self.log_failure(&"it waited too long for a worker", buffers, service);
            return close(CloseReason::HandshakeFailed);
        }
        let handshake = match self.socket.handshake() {
            Ok(handshake) => handshake,
            Err(error) => {
                self.log_failure(&HandshakeError(&error), buffers, service);
                self.fail_handshake()?;
                return Ok(HandshakeStep::Ended);
            }
        };
        let wait_for = match handshake {
            Handshake::Done => {
                if let Some(connection) = self.socket.tls() {
                    self.client_info = self.client_info.with_tls(TlsInfo::new(connection));
                }
                self.state = State::Http;
                self.deadlines = Deadlines::new(buffers.now, &service.config);
                service.grace.begin(buffers.now);
                return Ok(HandshakeStep::Ended);
            }
            Handshake::NotTls => {
                self.log_failure(&"the client does not speak TLS", buffers, service);
                self.socket.remove_tls();
                return Ok(HandshakeStep::NotTls);
            }
            Handshake::Closed => {
                if self.socket.held() == 0 {
                    return close(CloseReason::ClientClosed);
                }
                self.log_failure(&"the client closed the connection", buffers, service);
                return close(CloseReason::HandshakeFailed);
            }
            Handshake::NotStarted => match wake {
                WakeReason::Recalled => return close(CloseReason::Drained),
                WakeReason::Expired => return close(CloseReason::Idle),
                _ => WaitFor::FirstRequest,
            },
            Handshake::WantsRead => WaitFor::Handshake,
            Handshake::WantsWrite => WaitFor::Room,
        };
        if wake == WakeReason::Expired {
            self.log_failure(&"the client took too long", buffers, service);
            return close(CloseReason::HandshakeFailed);
        }
        if !self.share.grow(self.socket.held()) {
            return close(CloseReason::BufferLimit);
        }
        let pending = self.deadlines.for_handshake(wait_for, &service.config);
        Ok(HandshakeStep::Pending(DriveResult::Park(pending)))
    }

    fn log_failure(&self, reason: &dyn Display, buffers: &WorkerBuffers, service: &Service) {
        let limit = &service.log_limits.tls_handshakes;
        self.log_limited(
            limit,
            buffers.now,
            format_args!("TLS handshake failed: {reason}"),
        );
    }

    /// Begins a lingering close after a failed handshake, so that a client that is still sending
    /// receives the alert.
    fn fail_handshake(&mut self) -> io::Result<()> {
        self.socket.remove_tls();
        self.state = State::TlsFailed;
        self.socket.shutdown_write()
    }
}
