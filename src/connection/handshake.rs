//! The time before the first request on a connection over TLS: client and server agree on keys.

use std::fmt::Display;
use std::io;

use super::patience::Patience;
use super::{Connection, Desk, Service, Stage, Treatment, Verdict, Wake, What, Why};
use crate::TlsInfo;
use crate::http1::Refusal;
use crate::phase::Phase;
use crate::tls::HandshakeError;
use crate::transport::Handshake;

impl Connection {
    /// Goes on with the handshake. A verdict if the connection can't go on to requests now.
    pub(super) fn shake_hands(
        &mut self,
        wake: Wake,
        treatment: Treatment,
        desk: &mut Desk,
        service: &Service,
    ) -> io::Result<Option<Verdict>> {
        if service.phase.get() >= Phase::Forced {
            return Ok(Some(Verdict::Close(Why::Forced)));
        }
        // A handshake costs more than most answers, and without one no answer can be sent.
        if let Treatment::Shed(_) = treatment {
            self.log_failure(&"it waited too long for a worker", desk, service);
            return Ok(Some(Verdict::Close(Why::NotAgreed)));
        }
        let handshake = match self.socket.shake_hands() {
            Ok(handshake) => handshake,
            Err(error) => {
                self.log_failure(&HandshakeError(&error), desk, service);
                self.reject()?;
                return Ok(None);
            }
        };
        let what = match handshake {
            Handshake::Done => {
                if let Some(connection) = self.socket.tls() {
                    self.origin = self.origin.over(TlsInfo::of(connection));
                }
                self.stage = Stage::Open;
                self.patience = Patience::new(desk.now, &service.config);
                service.grace.begin(desk.now);
                return Ok(None);
            }
            Handshake::NotTls => {
                self.log_failure(&"the client does not speak TLS", desk, service);
                self.socket.become_plain();
                self.refuse(Refusal::NotTls, desk, service);
                return Ok(None);
            }
            Handshake::Left => {
                if self.socket.held() == 0 {
                    return Ok(Some(Verdict::Close(Why::ClientDone)));
                }
                self.log_failure(&"the client closed the connection", desk, service);
                return Ok(Some(Verdict::Close(Why::NotAgreed)));
            }
            Handshake::Silent => match wake {
                Wake::Recalled => return Ok(Some(Verdict::Close(Why::Drained))),
                Wake::Expired => return Ok(Some(Verdict::Close(Why::Idle))),
                _ => What::FirstRequest,
            },
            Handshake::WantsRead => What::Handshake,
            Handshake::WantsRoom => What::Room,
        };
        if wake == Wake::Expired {
            self.log_failure(&"the client took too long", desk, service);
            return Ok(Some(Verdict::Close(Why::NotAgreed)));
        }
        if !self.share.grow(self.socket.held()) {
            return Ok(Some(Verdict::Close(Why::NoRoom)));
        }
        let wait = self.patience.for_handshake(what, &service.config);
        Ok(Some(Verdict::Park(wait)))
    }

    fn log_failure(&self, reason: &dyn Display, desk: &Desk, service: &Service) {
        let limit = &service.log_limits.tls_handshakes;
        self.log_limited(
            limit,
            desk.now,
            format_args!("TLS handshake failed: {reason}"),
        );
    }

    /// Ends a connection whose handshake has failed. Its client may still be sending, and is to get
    /// the alert that says why.
    fn reject(&mut self) -> io::Result<()> {
        self.socket.become_plain();
        self.stage = Stage::Rejected;
        self.socket.finish_sending()
    }
}
