//! Responses that are broken on purpose. Most of them differ from others in their end only. If the whole
//! connection is to end, [`Shutdown::BreakOff`] notes it, and the next step that has the socket does it.

use super::Http2;
use super::shutdown::Shutdown;
use crate::connection::WorkerBuffers;
use crate::connection::close::CloseMode;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::state::State;
use crate::http2::{Content, Error, ErrorCode, StreamId};
use crate::message::body::{BodySource, Reader};
use crate::message::broken::{Broken, BrokenEnd};

impl Http2 {
    /// Whether the connection is about to be broken off.
    pub(super) fn is_breaking_off(&self) -> bool {
        matches!(self.shutdown, Shutdown::BreakOff(_))
    }

    /// Sends the content of a response, after its head.
    #[cold]
    pub(super) fn send_broken(
        &mut self,
        stream: StreamId,
        broken: Broken,
        content: Content,
        buffers: &mut WorkerBuffers,
    ) {
        let end = broken.end;
        if content != Content::Follows {
            return self.end_broken(stream, end, buffers);
        }
        let source = BodySource {
            reader: Reader::Polled(Box::new(broken.into_reader(end))),
            length: None,
            held: 0,
            trailers: None,
        };
        self.send_source(stream, source, buffers);
    }

    /// Ends a response behind its last content.
    #[cold]
    pub(super) fn end_broken(
        &mut self,
        stream: StreamId,
        end: BrokenEnd,
        buffers: &mut WorkerBuffers,
    ) {
        match end {
            BrokenEnd::Finish => self.finish(stream, buffers),
            BrokenEnd::ResetStream(code) => {
                self.reset(stream, ErrorCode::from_number(code), buffers);
            }
            BrokenEnd::Goaway(_) => {
                if let Some(mux) = &mut self.mux {
                    mux.disown(stream);
                }
                self.plan_break_off(stream, end);
            }
            BrokenEnd::Reset => self.plan_break_off(stream, end),
        }
    }

    /// Ends a response that has no head.
    #[cold]
    pub(super) fn end_headless(
        &mut self,
        stream: StreamId,
        end: BrokenEnd,
        buffers: &mut WorkerBuffers,
    ) {
        match end {
            // A stream can't end without a head, so the connection does.
            BrokenEnd::Finish => self.plan_break_off(stream, end),
            _ => self.end_broken(stream, end, buffers),
        }
    }

    fn plan_break_off(&mut self, stream: StreamId, end: BrokenEnd) {
        if let Some(mux) = &mut self.mux {
            // It is not asked for more content.
            mux.set_pending(stream, None);
        }
        self.shutdown = Shutdown::BreakOff(end);
    }

    /// Ends the connection behind the output so far.
    #[cold]
    pub(super) fn break_off(
        &mut self,
        end: BrokenEnd,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
    ) {
        self.shutdown = Shutdown::Last;
        if let BrokenEnd::Goaway(code) = end {
            let reason = "a fault was asked for";
            let code = ErrorCode::from_number(code);
            return self.fail(&Error::Connection { code, reason }, io, buffers);
        }
        if let Some(mux) = self.mux.take() {
            self.cancel_all(mux);
        }
        io.state = State::Closing(match end {
            BrokenEnd::Finish => CloseMode::Linger,
            _ => CloseMode::Reset,
        });
        io.deadlines.end();
    }
}
