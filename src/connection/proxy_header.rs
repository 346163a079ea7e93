//! Receives the header of the PROXY protocol at the start of a connection, which names the client for
//! which the proxy connects, and closes connections on which it is missing, malformed or late. It is
//! decoded in `net::proxy::header`.

use std::io;

use log::debug;

use super::Phase;
use super::connection_io::ConnectionIo;
use super::state::State;
use super::{CloseReason, DriveResult, Service, WakeReason, WorkerBuffers};
use crate::net::proxy::{Malformed, ProxyHeader};
use crate::net::transport::Received;

impl ConnectionIo {
    /// Receives the header. Returns a result if the connection can't continue now. A connection
    /// without a valid header is closed without a response.
    pub(super) fn receive_proxy_header(
        &mut self,
        wake: WakeReason,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        loop {
            if service.phase.get() >= Phase::Forced {
                return Ok(Some(DriveResult::Close(CloseReason::Forced)));
            }
            let before = buffers.io.input.unread().len();
            let received = self.socket.peek(buffers.io.input.room())?;
            let parsed = ProxyHeader::decode(buffers.io.input.unread());
            // Bytes behind the header stay in the socket: they may be TLS.
            let end = match &parsed {
                Ok(Some((_, length))) => *length,
                _ => buffers.io.input.unread().len(),
            };
            self.socket.skip(end - before)?;
            match parsed {
                Ok(Some((header, _))) => {
                    buffers.io.input.clear();
                    self.client_info = header.apply(&self.client_info);
                    self.state = self.state_after_proxy_header();
                    self.deadlines = self.state.deadlines(buffers.now, &service.config);
                    service.grace.begin(buffers.now);
                    match self.client_info.client() {
                        Some(client) => debug!("{self}: the proxy connects for {client}"),
                        None => debug!("{self}: the proxy names no client"),
                    }
                    return Ok(None);
                }
                Ok(None) if self.share.grow(buffers.io.input.unread().len()) => {}
                Ok(None) => return Ok(Some(DriveResult::Close(CloseReason::BufferLimit))),
                Err(Malformed) => {
                    self.log_no_header("the first bytes are something else", buffers, service);
                    return Ok(Some(DriveResult::Close(CloseReason::NoProxyHeader)));
                }
            }
            match received {
                Received::Full | Received::Short => {}
                Received::WouldBlock => {
                    let result = self.wait_for_first_byte(wake, buffers.now, service);
                    return Ok(Some(match result {
                        DriveResult::Close(_) if !buffers.io.input.is_empty() => {
                            self.log_no_header("it took too long", buffers, service);
                            DriveResult::Close(CloseReason::NoProxyHeader)
                        }
                        result => result,
                    }));
                }
                Received::End if buffers.io.input.is_empty() => {
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

    fn state_after_proxy_header(&self) -> State {
        #[cfg(feature = "_tls")]
        if self.socket.tls().is_some() {
            return State::TlsHandshake;
        }
        State::Http
    }
}
