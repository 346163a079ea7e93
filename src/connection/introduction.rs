//! The time before the first request on a connection that a proxy begins: it says first whom it
//! passes on bytes for.

use std::io;

use log::debug;

use super::{Connection, Desk, Service, Stage, Verdict, Wake, Why};
use crate::http1::Progress;
use crate::phase::Phase;
use crate::proxy::{Malformed, Statement};
use crate::transport::Received;

impl Connection {
    /// Takes what the proxy says. A verdict if the connection can't go on to requests: what has not
    /// said whom it speaks for is owed no answer.
    pub(super) fn introduce(
        &mut self,
        wake: Wake,
        desk: &mut Desk,
        service: &Service,
    ) -> io::Result<Option<Verdict>> {
        loop {
            if service.phase.get() >= Phase::Forced {
                return Ok(Some(Verdict::Close(Why::Forced)));
            }
            let before = desk.input.unread().len();
            let received = self.socket.peek(desk.input.room())?;
            let parsed = Statement::parse(desk.input.unread());
            // What follows the header is for whoever receives next, which may be TLS.
            let end = match &parsed {
                Ok(Some((_, length))) => *length,
                _ => desk.input.unread().len(),
            };
            self.socket.skip(end - before)?;
            match parsed {
                Ok(Some((statement, _))) => {
                    desk.input.clear();
                    self.origin = statement.apply(&self.origin);
                    self.stage = self.stage_after_introduction();
                    self.patience = self.stage.patience(desk.now, &service.config);
                    service.grace.begin(desk.now);
                    match self.origin.client() {
                        Some(client) => debug!("{self}: a connection for {client}"),
                        None => debug!("{self}: a connection for somebody who is not named"),
                    }
                    return Ok(None);
                }
                Ok(None) if self.share.grow(desk.input.unread().len()) => {}
                Ok(None) => return Ok(Some(Verdict::Close(Why::NoRoom))),
                Err(Malformed) => {
                    self.log_no_header("the first bytes are something else", desk, service);
                    return Ok(Some(Verdict::Close(Why::NotIntroduced)));
                }
            }
            match received {
                Received::Full | Received::Short => {}
                Received::Nothing => {
                    let verdict = self.wait_for_request(Progress::Nothing, wake, desk, service);
                    return Ok(Some(match verdict {
                        Verdict::Close(_) if !desk.input.is_empty() => {
                            self.log_no_header("it took too long", desk, service);
                            Verdict::Close(Why::NotIntroduced)
                        }
                        verdict => verdict,
                    }));
                }
                Received::End if desk.input.is_empty() => {
                    return Ok(Some(Verdict::Close(Why::ClientDone)));
                }
                Received::End => {
                    self.log_no_header("the connection ended within it", desk, service);
                    return Ok(Some(Verdict::Close(Why::NotIntroduced)));
                }
            }
        }
    }

    fn log_no_header(&self, reason: &str, desk: &Desk, service: &Service) {
        let limit = &service.log_limits.proxy_headers;
        let line = format_args!("no PROXY protocol header from the proxy: {reason}");
        self.log_limited(limit, desk.now, line);
    }

    fn stage_after_introduction(&self) -> Stage {
        #[cfg(feature = "tls")]
        if self.socket.tls().is_some() {
            return Stage::Handshake;
        }
        Stage::Open
    }
}
