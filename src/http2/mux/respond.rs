//! Responses.

use http::{HeaderMap, StatusCode};

use super::Mux;
use super::streams::{ResponseState, Stream};
use crate::http2::frame::HeadersFrame;
use crate::http2::{
    Content, Date, ErrorCode, MIN_MAX_FRAME_SIZE, StreamId, encode_head, encode_interim,
    encode_trailers, write_data_head,
};
use crate::message::Response;

/// Content is sent when the window has room for all that is ready or for this much: a client that
/// gives little at a time would cost a frame for each. If windows are smaller from the beginning,
/// half of one is enough, because many clients give nothing back before half of it is used.
const WORTH_A_FRAME: usize = 1024;

/// An initial window that is smaller than this is no reason to send less.
const SMALLEST_INITIAL: usize = 128;

/// The DATA frame to which [`Mux::append_data`] may add, by its place in the output.
#[derive(Debug)]
pub(super) struct OpenData {
    stream: StreamId,
    start: u32,
    end: u32,
}

impl<T: Default> Mux<T> {
    /// Sends the interim response 100, unless the response has begun.
    pub fn send_continue(&mut self, stream: StreamId, out: &mut Vec<u8>) {
        self.send_interim(stream, StatusCode::CONTINUE, &HeaderMap::new(), out);
    }

    /// Sends an interim response, unless the response has begun.
    pub fn send_interim(
        &mut self,
        stream: StreamId,
        status: StatusCode,
        headers: &HeaderMap,
        out: &mut Vec<u8>,
    ) {
        let Some(open) = self.streams.get(stream) else {
            return;
        };
        if !matches!(open.response, ResponseState::Waiting { .. }) {
            return;
        }
        let frame = HeadersFrame::begin(out);
        encode_interim(status, headers, &mut self.encoder, out);
        frame.end(stream, false, self.peer.max_frame_size, out);
    }

    /// Sends the head of a response. [`Content::Follows`] means that the caller must send content
    /// or an empty end; otherwise the response has ended. After [`Content::Switched`] nothing was
    /// sent: HTTP/2 has no upgrades, so [reset](Self::reset) the stream with HTTP_1_1_REQUIRED.
    ///
    /// For a stream that is gone, nothing is sent.
    pub fn respond(
        &mut self,
        stream: StreamId,
        response: &Response,
        is_head: bool,
        date: &Date,
        out: &mut Vec<u8>,
    ) -> Content {
        let Some(open) = self.streams.get_mut(stream) else {
            return Content::Omitted;
        };
        let ResponseState::Waiting { then } = open.response else {
            return Content::Omitted;
        };
        let frame = HeadersFrame::begin(out);
        let content = match encode_head(response, is_head, date, &mut self.encoder, out) {
            Content::Switched => {
                frame.cancel(out);
                return Content::Switched;
            }
            Content::Follows if response.body().length() == Some(0) => Content::Omitted,
            content => content,
        };
        open.response = ResponseState::Sending { then };
        let ended = content == Content::Omitted;
        frame.end(stream, ended, self.peer.max_frame_size, out);
        if ended {
            self.end_response(stream, out);
        }
        content
    }

    /// How much content the windows allow to send now. While less is allowed than is worth a frame,
    /// and less than is [pending](Self::set_pending), it is 0.
    #[must_use]
    pub fn capacity(&self, stream: StreamId) -> usize {
        self.streams
            .get(stream)
            .map_or(0, |stream| self.room(stream))
    }

    fn room(&self, stream: &Stream<T>) -> usize {
        let window = stream.send.available().min(self.send.available()) as usize;
        match window < self.least(stream) {
            true => 0,
            false => window,
        }
    }

    /// The least content of a stream that is worth a frame.
    fn least(&self, stream: &Stream<T>) -> usize {
        let worth = match self.peer.initial_window as usize {
            ..SMALLEST_INITIAL => WORTH_A_FRAME,
            initial => (initial / 2).min(WORTH_A_FRAME),
        };
        stream.pending.unwrap_or(0).min(worth)
    }

    /// Ends a response whose last content followed a [header](Self::send_data_head).
    pub fn end_data(&mut self, stream: StreamId, out: &mut Vec<u8>) {
        self.end_response(stream, out);
    }

    /// Sends content of a response, at most as much as the [capacity](Self::capacity).
    ///
    /// # Panics
    ///
    /// If it is more.
    pub fn send_data(&mut self, stream: StreamId, content: &[u8], end: bool, out: &mut Vec<u8>) {
        let mut rest = content;
        loop {
            let part;
            (part, rest) = rest.split_at(rest.len().min(Self::MAX_DATA));
            let is_last = rest.is_empty();
            if !self.send_data_head(stream, part.len(), end && is_last, out) {
                return;
            }
            out.extend_from_slice(part);
            if is_last {
                break;
            }
        }
        if end {
            self.end_response(stream, out);
        }
    }

    /// Sends content as [`send_data`](Self::send_data) does, but adds it to the DATA frame of the last such
    /// call if nothing has been written into `out` since. So parts that are ready one after another share
    /// a frame. Call [`seal_data`](Self::seal_data) when bytes of `out` were removed.
    ///
    /// # Panics
    ///
    /// As [`send_data`](Self::send_data).
    pub fn append_data(&mut self, stream: StreamId, content: &[u8], end: bool, out: &mut Vec<u8>) {
        let behind = out.len();
        let start = match self.open_data.take() {
            Some(open) if open.stream == stream && open.end as usize == behind => {
                open.start as usize
            }
            _ => behind,
        };
        let length = (behind - start).saturating_sub(Self::DATA_HEADER) + content.len();
        if length > Self::MAX_DATA {
            return self.send_data(stream, content, end, out);
        }
        if !self.send_data_head(stream, content.len(), end, out) {
            return;
        }
        if start < behind {
            // One header for both.
            out.truncate(behind);
            write_data_head(stream, length as u32, end, out);
            out.copy_within(behind.., start);
            out.truncate(behind);
        }
        out.extend_from_slice(content);
        self.open_data = Some(OpenData {
            stream,
            start: start as u32,
            end: out.len() as u32,
        });
        if end {
            self.end_response(stream, out);
        }
    }

    /// Lets no content be added to a frame that was written before.
    pub fn seal_data(&mut self) {
        self.open_data = None;
    }

    /// The most content of one DATA frame. Larger frames save little and delay other streams.
    pub const MAX_DATA: usize = MIN_MAX_FRAME_SIZE as usize;

    /// The bytes before the content of a DATA frame.
    pub const DATA_HEADER: usize = 9;

    /// Sends content that is already in `out`, as one DATA frame: the caller has appended
    /// [`DATA_HEADER`](Self::DATA_HEADER) bytes of any kind at `start` and then the content, at most
    /// [`MAX_DATA`](Self::MAX_DATA) bytes and at most the [capacity](Self::capacity). So a file is
    /// read without a copy. If the stream is not sending, the bytes are removed.
    ///
    /// # Panics
    ///
    /// If the content is more, or the header is missing.
    pub fn send_data_in_place(
        &mut self,
        stream: StreamId,
        start: usize,
        end: bool,
        out: &mut Vec<u8>,
    ) {
        let behind = out.len();
        let length = behind - start - Self::DATA_HEADER;
        assert!(length <= Self::MAX_DATA, "the content fits into a frame");
        if !self.send_data_head(stream, length, end, out) {
            return out.truncate(start);
        }
        out.copy_within(behind.., start);
        out.truncate(behind);
        if end {
            self.end_response(stream, out);
        }
    }

    /// Sends content that the caller sends itself, behind what this writes into `out`: the header of
    /// a DATA frame. Call [`end_data`](Self::end_data) after the last one. If the stream is not
    /// sending, nothing is written, and this returns `false`.
    ///
    /// # Panics
    ///
    /// If `length` is more than the [capacity](Self::capacity).
    pub fn send_data_head(
        &mut self,
        stream: StreamId,
        length: usize,
        end: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(open) = self.streams.get_mut(stream) else {
            return false;
        };
        if !matches!(open.response, ResponseState::Sending { .. }) {
            return false;
        }
        let size = length as u32;
        open.send.debit(size);
        self.send.debit(size);
        self.content_sent += u64::from(size);
        open.last_turn = self.schedule.next_turn();
        write_data_head(stream, size, end, out);
        self.abuse.sent(length);
        true
    }

    /// Ends a response with trailers. Those that RFC 9110 section 6.5.1 does not allow are left out.
    pub fn send_trailers(&mut self, stream: StreamId, trailers: &HeaderMap, out: &mut Vec<u8>) {
        let Some(open) = self.streams.get(stream) else {
            return;
        };
        if !matches!(open.response, ResponseState::Sending { .. }) {
            return;
        }
        let frame = HeadersFrame::begin(out);
        if !encode_trailers(trailers, &mut self.encoder, out) {
            frame.cancel(out);
            return self.send_data(stream, b"", true, out);
        }
        frame.end(stream, true, self.peer.max_frame_size, out);
        self.end_response(stream, out);
    }

    /// Says that at least this much content is ready to be sent, or that none is. `Some(0)` is an
    /// end without content, which no window delays.
    pub fn set_pending(&mut self, stream: StreamId, bytes: Option<usize>) {
        if let Some(open) = self.streams.get_mut(stream) {
            self.pending += usize::from(bytes.is_some());
            self.pending -= usize::from(open.pending.is_some());
            open.pending = bytes;
        }
    }

    /// Whether any stream has content pending.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// The stream to send from next, of those that have something pending and whose windows allow
    /// it.
    pub fn next_to_send(&mut self) -> Option<StreamId> {
        if self.pending == 0 {
            return None;
        }
        let can_send = |stream: &Stream<T>| self.is_pending(stream) && !self.is_blocked(stream);
        self.schedule.choose(&self.streams, can_send)
    }

    /// The streams that have content pending which their own windows do not allow to send.
    pub fn blocked(&self) -> impl Iterator<Item = StreamId> {
        let streams = self.streams.iter();
        let blocked = streams.filter(|stream| self.is_pending(stream) && self.lacks_window(stream));
        blocked.map(|stream| stream.id)
    }

    /// The streams that have content pending which only the window of the connection does not allow
    /// to send. When it opens, they send one after another.
    pub fn blocked_by_connection(&self) -> impl Iterator<Item = StreamId> {
        let streams = self.streams.iter();
        let blocked = streams.filter(|stream| {
            self.is_pending(stream) && self.is_blocked(stream) && !self.lacks_window(stream)
        });
        blocked.map(|stream| stream.id)
    }

    /// The content that was sent on all streams so far.
    #[must_use]
    pub fn content_sent(&self) -> u64 {
        self.content_sent
    }

    fn is_pending(&self, stream: &Stream<T>) -> bool {
        stream.pending.is_some() && matches!(stream.response, ResponseState::Sending { .. })
    }

    fn is_blocked(&self, stream: &Stream<T>) -> bool {
        stream.pending != Some(0) && self.room(stream) == 0
    }

    fn lacks_window(&self, stream: &Stream<T>) -> bool {
        (stream.send.available() as usize) < self.least(stream)
    }

    /// The last frame of a response is written.
    fn end_response(&mut self, stream: StreamId, out: &mut Vec<u8>) {
        let Some(open) = self.streams.get_mut(stream) else {
            return;
        };
        let then = match open.response {
            ResponseState::Waiting { then } | ResponseState::Sending { then } => then,
            ResponseState::Ended => return,
        };
        open.response = ResponseState::Ended;
        self.pending -= usize::from(open.pending.take().is_some());
        match then {
            None => {
                self.abuse.responded();
                self.settle(stream);
            }
            Some(ErrorCode::NoError) => self.settle(stream),
            Some(code) => drop(self.reset(stream, code, out)),
        }
    }
}
