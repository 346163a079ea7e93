//! The content of requests.

use super::streams::{RequestState, ResponseState};
use super::{Event, Mux};
use crate::http2::{AbuseKind, Data, DataEnd, Error, ErrorCode, StreamId, write_window_update};

/// The most by which all windows of a connection together are raised.
const MAX_RAISED: u32 = 4 << 20;

impl<T: Default> Mux<T> {
    /// Content was consumed, so the client may send as much again.
    pub fn release(&mut self, stream: StreamId, bytes: usize, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get_mut(stream) else {
            return;
        };
        stream
            .receive
            .release(u32::try_from(bytes).unwrap_or(u32::MAX));
        if stream.request == RequestState::Ended {
            return;
        }
        if let Some(increment) = stream.receive.update() {
            write_window_update(Some(stream.id), increment, out);
        }
    }

    /// The body of a request is being taken, so its window is raised, as far as the other streams of
    /// the connection leave room.
    pub fn raise_window(&mut self, stream: StreamId, out: &mut Vec<u8>) {
        let Some(open) = self.streams.get_mut(stream) else {
            return;
        };
        if open.request != RequestState::Receiving || open.raised > 0 {
            return;
        }
        let more = self
            .config
            .max_stream_window
            .saturating_sub(open.receive.size());
        open.raised = more.min(MAX_RAISED - self.raised);
        self.raised += open.raised;
        open.receive.grow(open.receive.size() + open.raised);
        self.release(stream, 0, out);
    }

    /// How much content of a request may be on its way; 0 for a stream that is gone.
    #[must_use]
    pub fn receive_window(&self, stream: StreamId) -> u32 {
        let stream = self.streams.get(stream);
        stream.map_or(0, |stream| stream.receive.size())
    }

    /// The rest of a request is of no use: there are no more events of it. The client may still send
    /// it. [Reset](Self::reset) the stream with NO_ERROR if it takes too long (RFC 9113 section 8.1),
    /// but not at once: some clients lose the response then, although it came before.
    pub fn discard(&mut self, stream: StreamId) {
        if let Some(open) = self.streams.get_mut(stream)
            && open.request == RequestState::Receiving
        {
            open.request = RequestState::Discarding;
        }
    }

    pub(super) fn receive_data<'i>(
        &mut self,
        data: Data<'i>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, T>>, Error> {
        if let Some(length) = data.flow_controlled {
            self.begin_data(&data, length, out)?;
        }
        let ended = data.end == DataEnd::Stream;
        let Some(stream) = self.streams.get_mut(data.stream) else {
            if ended {
                self.reset_streams.remove(data.stream);
            }
            return Ok(None);
        };
        let state = stream.request;
        if let Some(left) = &mut stream.content_left {
            let rest = left.checked_sub(data.content.len() as u64);
            let reason = "there is more content than Content-Length";
            *left = rest.ok_or(Error::stream(data.stream, ErrorCode::ProtocolError, reason))?;
        }
        stream.arriving -= data.content.len() as u32;
        match data.end {
            DataEnd::Nothing => {}
            DataEnd::Frame => {
                // Padding needs no memory.
                let padding = std::mem::take(&mut stream.arriving);
                self.release(data.stream, padding as usize, out);
            }
            DataEnd::Stream => {
                stream.arriving = 0;
                self.end_request(data.stream)?;
            }
        }
        if state == RequestState::Discarding {
            self.release(data.stream, data.content.len(), out);
        }
        if state != RequestState::Receiving || data.content.is_empty() && !ended {
            return Ok(None);
        }
        self.abuse.received(data.content.len());
        Ok(Some(Event::Data {
            stream: data.stream,
            content: data.content,
            ended,
        }))
    }

    /// Counts a DATA frame when its first part arrives. The window of the connection is given back
    /// at once, because those of the streams bound what is held.
    fn begin_data(&mut self, data: &Data<'_>, length: u32, out: &mut Vec<u8>) -> Result<(), Error> {
        let id = data.stream;
        self.receive.debit(length, None)?;
        self.receive.release(length);
        if let Some(increment) = self.receive.update() {
            write_window_update(None, increment, out);
        }
        if self.is_idle(id) {
            let reason = "DATA is on an idle stream";
            return Err(Error::connection(ErrorCode::ProtocolError, reason));
        }
        // The first part of a frame with content has some of it.
        if data.content.is_empty() && data.end == DataEnd::Frame {
            self.abuse.charge(AbuseKind::EmptyFrames)?;
        }
        let closed = Error::stream(id, ErrorCode::StreamClosed, "DATA is on a closed stream");
        match self.streams.get_mut(id) {
            Some(stream) if stream.request == RequestState::Ended => Err(closed),
            Some(stream) => {
                stream.arriving = length;
                stream.receive.debit(length, Some(id))
            }
            None => match self.reset_streams.debit(id, length) {
                Some(Ok(())) => Ok(()),
                Some(Err(())) => Err(Error::connection(
                    ErrorCode::FlowControlError,
                    "DATA exceeds the window of a stream that was reset",
                )),
                None => Err(closed),
            },
        }
    }

    /// The client has ended a stream.
    pub(super) fn end_request(&mut self, stream: StreamId) -> Result<(), Error> {
        let Some(open) = self.streams.get_mut(stream) else {
            return Ok(());
        };
        if open.content_left.is_some_and(|left| left > 0) {
            let reason = "there is less content than Content-Length";
            return Err(Error::stream(stream, ErrorCode::ProtocolError, reason));
        }
        open.request = RequestState::Ended;
        self.settle(stream);
        Ok(())
    }

    /// Removes a stream that both sides have ended.
    pub(super) fn settle(&mut self, stream: StreamId) {
        let is_over = self.streams.get(stream).is_some_and(|open| {
            open.response == ResponseState::Ended && open.request == RequestState::Ended
        });
        if is_over {
            drop(self.remove(stream));
        }
    }
}
