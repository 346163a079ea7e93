//! Recognises a client of HTTP/2 by its preface, before the first request.

use std::io;

use super::Http1;
use super::waiting::overdue;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::protocol::Opening;
use crate::connection::{CloseReason, DriveResult, Service, WakeReason, WorkerBuffers};
use crate::http2::Preface;
use crate::net::transport::Received;

impl Http1 {
    /// The state of a connection whose client may send the preface of HTTP/2.
    pub(in crate::connection) fn new(may_be_http2: bool) -> Self {
        Self {
            may_be_http2,
            ..Self::default()
        }
    }

    /// Whether the client may still send the preface of HTTP/2.
    pub(in crate::connection) fn may_be_http2(&self) -> bool {
        self.may_be_http2
    }

    /// Receives the first bytes of the client.
    pub(in crate::connection) fn receive_preface(
        &mut self,
        io: &mut ConnectionIo,
        wake: WakeReason,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Opening> {
        loop {
            match Preface::detect(buffers.io.input.unread()) {
                Preface::Complete => return Ok(Opening::Http2),
                Preface::Other => break,
                Preface::Partial => {}
            }
            match io.receive(buffers.io.input.room())? {
                Received::Full | Received::Short => {}
                // HTTP/1.1 waits for its first byte, too.
                Received::WouldBlock if buffers.io.input.is_empty() => return Ok(Opening::Http1),
                Received::WouldBlock if wake == WakeReason::Expired => break,
                Received::WouldBlock => return Ok(self.wait_for_preface(io, buffers, service)),
                Received::End if buffers.io.input.is_empty() => break,
                Received::End => {
                    let result = DriveResult::Close(CloseReason::ClientLeft);
                    return Ok(Opening::Pending(result));
                }
            }
        }
        self.may_be_http2 = false;
        Ok(Opening::Http1)
    }

    /// Waits for the rest of a preface as for the rest of a head.
    fn wait_for_preface(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Opening {
        let received = buffers.io.input.unread().len();
        let pending = io
            .deadlines
            .for_head(received, buffers.now, &service.config);
        if overdue(io, buffers).is_some() {
            self.may_be_http2 = false;
            return Opening::Http1;
        }
        Opening::Pending(io.keep(buffers, DriveResult::Park(pending)))
    }
}
