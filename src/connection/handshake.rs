//! The time before the first request on a connection over TLS: client and server agree on keys.

use std::io;

use log::debug;

use super::patience::Patience;
use super::{Connection, Desk, Service, Stage, Treatment, Verdict, Wake, What, Why};
use crate::TlsInfo;
use crate::http1::Refusal;
use crate::phase::Phase;
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
            return Ok(Some(Verdict::Close(Why::NotAgreed)));
        }
        let handshake = match self.socket.shake_hands() {
            Ok(handshake) => handshake,
            Err(error) => {
                debug!("{self}: the handshake failed: {error}");
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
                return Ok(None);
            }
            Handshake::NotTls => {
                self.socket.become_plain();
                self.refuse(Refusal::NotTls, desk, service);
                return Ok(None);
            }
            Handshake::Left => {
                let why = match self.socket.held() {
                    0 => Why::ClientDone,
                    _ => Why::NotAgreed,
                };
                return Ok(Some(Verdict::Close(why)));
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
            debug!("{self}: the handshake took too long");
            return Ok(Some(Verdict::Close(Why::NotAgreed)));
        }
        if !self.share.grow(self.socket.held()) {
            return Ok(Some(Verdict::Close(Why::NoRoom)));
        }
        let wait = self.patience.for_handshake(what, &service.config);
        Ok(Some(Verdict::Park(wait)))
    }

    /// Ends a connection whose handshake has failed. Its client may still be sending, and is to get
    /// the alert that says why.
    fn reject(&mut self) -> io::Result<()> {
        self.socket.become_plain();
        self.stage = Stage::Rejected;
        self.socket.finish_sending()
    }
}
