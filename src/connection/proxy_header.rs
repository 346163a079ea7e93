//! The time before the first request on a connection that a proxy begins: it says first whom it
//! passes on bytes for.

use std::io;

use log::debug;

use super::Phase;
use super::{CloseReason, Connection, DriveResult, Service, State, WakeReason, WorkerBuffers};
use crate::http1::Progress;
use crate::net::proxy::{Malformed, ProxyHeader};
use crate::net::transport::Received;

impl Connection {
    /// Takes what the proxy says. A verdict if the connection can't go on to requests: what has not
    /// said whom it speaks for is owed no answer.
    pub(super) fn introduce(
        &mut self,
        wake: WakeReason,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        loop {
            if service.phase.get() >= Phase::Forced {
                return Ok(Some(DriveResult::Close(CloseReason::Forced)));
            }
            let before = buffers.input.unread().len();
            let received = self.socket.peek(buffers.input.room())?;
            let parsed = ProxyHeader::decode(buffers.input.unread());
            // What follows the header is for whoever receives next, which may be TLS.
            let end = match &parsed {
                Ok(Some((_, length))) => *length,
                _ => buffers.input.unread().len(),
            };
            self.socket.skip(end - before)?;
            match parsed {
                Ok(Some((statement, _))) => {
                    buffers.input.clear();
                    self.origin = statement.apply(&self.origin);
                    self.state = self.stage_after_introduction();
                    self.deadlines = self.state.deadlines(buffers.now, &service.config);
                    service.grace.begin(buffers.now);
                    match self.origin.client() {
                        Some(client) => debug!("{self}: a connection for {client}"),
                        None => debug!("{self}: a connection for somebody who is not named"),
                    }
                    return Ok(None);
                }
                Ok(None) if self.share.grow(buffers.input.unread().len()) => {}
                Ok(None) => return Ok(Some(DriveResult::Close(CloseReason::BufferLimit))),
                Err(Malformed) => {
                    self.log_no_header("the first bytes are something else", buffers, service);
                    return Ok(Some(DriveResult::Close(CloseReason::NoProxyHeader)));
                }
            }
            match received {
                Received::Full | Received::Short => {}
                Received::Nothing => {
                    let verdict = self.wait_for_request(Progress::Nothing, wake, buffers, service);
                    return Ok(Some(match verdict {
                        DriveResult::Close(_) if !buffers.input.is_empty() => {
                            self.log_no_header("it took too long", buffers, service);
                            DriveResult::Close(CloseReason::NoProxyHeader)
                        }
                        verdict => verdict,
                    }));
                }
                Received::End if buffers.input.is_empty() => {
                    return Ok(Some(DriveResult::Close(CloseReason::ClientClosed)));
                }
                Received::End => {
                    self.log_no_header("the connection ended within it", buffers, service);
                    return Ok(Some(DriveResult::Close(CloseReason::NoProxyHeader)));
                }
            }
        }
    }

    fn log_no_header(&self, reason: &str, buffers: &WorkerBuffers, service: &Service) {
        let limit = &service.log_limits.proxy_headers;
        let line = format_args!("no PROXY protocol header from the proxy: {reason}");
        self.log_limited(limit, buffers.now, line);
    }

    fn stage_after_introduction(&self) -> State {
        #[cfg(feature = "_tls")]
        if self.socket.tls().is_some() {
            return State::Handshake;
        }
        State::Open
    }
}
