//! Header blocks: each opens a stream, is the trailers of one, or is ignored.

use super::streams::{RequestState, ResponseState, Stream};
use super::{Event, Mux, OurSettingsState};
use crate::http2::window::DEFAULT_WINDOW;
use crate::http2::{
    AbuseKind, Error, ErrorCode, Head, HeaderBlock, ReceiveWindow, RequestBuffer, SendWindow,
    StreamId, decode_head, decode_trailers, skip_head, write_rst_stream,
};
use crate::message::RequestError;

/// Most fields of a head.
const MAX_FIELDS: u32 = 100;

/// The header list that is advertised: a head whose fields each count 32 bytes more than in HTTP/1.1
/// (RFC 9113 section 6.5.2).
pub(super) fn list_size(max_header_size: usize) -> u32 {
    let size = u32::try_from(max_header_size).unwrap_or(u32::MAX);
    size.saturating_add(MAX_FIELDS * 32)
}

/// Most encoded bytes of a header block. A head that is too large gets a response, so it must be
/// received. One that is much too large ends the connection.
pub(super) fn block_limit(max_header_size: usize) -> usize {
    max_header_size.saturating_mul(4).saturating_add(4096)
}

impl<T: Default> Mux<T> {
    pub(super) fn receive_block<'i>(
        &mut self,
        block: &HeaderBlock<'_>,
        buffer: &mut RequestBuffer,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, T>>, Error> {
        let id = block.stream;
        if let Some(stream) = self.streams.get(id) {
            return match stream.request {
                RequestState::Ended => {
                    self.skip_block(block, buffer)?;
                    let reason = "HEADERS are on a stream that the client has ended";
                    Err(Error::stream(id, ErrorCode::StreamClosed, reason))
                }
                _ if stream.is_tunnel => {
                    self.skip_block(block, buffer)?;
                    let reason = "HEADERS follow a CONNECT";
                    Err(Error::stream(id, ErrorCode::ProtocolError, reason))
                }
                state => self.receive_trailers(block, state, buffer),
            };
        }
        match self.is_idle(id) {
            true => self.open(block, buffer, out),
            false => self.receive_late_block(block, buffer).map(|()| None),
        }
    }

    fn open<'i>(
        &mut self,
        block: &HeaderBlock<'_>,
        buffer: &mut RequestBuffer,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, T>>, Error> {
        self.advance(block.stream);
        if self.is_shut_down() {
            self.abuse.charge(AbuseKind::IgnoredFrames)?;
            return self.ignore(block, buffer).map(|()| None);
        }
        self.last = Some(block.stream);
        if self.streams.len() >= self.config.max_streams as usize {
            return self.refuse(block, buffer, out).map(|()| None);
        }
        if StreamId::MAX.get() - block.stream.get() < 2 * self.config.max_streams.min(1 << 20) {
            self.announce_shutdown(out);
        }
        let head = decode_head(
            &mut self.decoder,
            &block.encoded,
            self.config.max_header_size,
            buffer,
        )?;
        let head = head.and_then(|head| check_length(head, block.end_stream));
        let head = match self.config.websockets {
            true => head,
            false => buffer.reject_protocol().map_or(head, Err),
        };
        self.add(block, head, buffer.is_websocket).map(Some)
    }

    /// Adds the stream of a request.
    fn add<'i>(
        &mut self,
        block: &HeaderBlock<'_>,
        head: Result<Head, RequestError>,
        is_tunnel: bool,
    ) -> Result<Event<'i, T>, Error> {
        let then = head.err().map(code_of);
        // Costs are for what makes us reset a stream. Many cookies are no attack.
        match then {
            Some(ErrorCode::ProtocolError) => self.abuse.charge(AbuseKind::StreamErrors)?,
            Some(_) => self.abuse.charge(AbuseKind::IgnoredFrames)?,
            None => {}
        }
        let stated = head.ok().and_then(|head| head.priority);
        self.streams.push(Stream {
            id: block.stream,
            request: match (block.end_stream, then) {
                (true, _) => RequestState::Ended,
                (false, Some(_)) => RequestState::Discarding,
                (false, None) => RequestState::Receiving,
            },
            is_tunnel,
            response: ResponseState::Waiting { then },
            content_left: head.ok().and_then(|head| head.content_length),
            receive: ReceiveWindow::new(self.first_window()),
            arriving: 0,
            raised: 0,
            send: SendWindow::new(self.peer.initial_window),
            priority: self.schedule.open(block.stream, stated),
            pending: None,
            last_turn: 0,
            since: self.now,
            data: T::default(),
        });
        Ok(match head {
            Ok(head) => Event::Request {
                stream: block.stream,
                head,
                ended: block.end_stream,
            },
            Err(error) => Event::Rejected {
                stream: block.stream,
                error,
            },
        })
    }

    /// The receive window of a new stream. A client that may not have seen our SETTINGS yet uses the
    /// initial value.
    fn first_window(&self) -> u32 {
        match self.our_settings {
            OurSettingsState::Sent { .. } => self.config.stream_window.max(DEFAULT_WINDOW),
            OurSettingsState::Acknowledged => self.config.stream_window,
        }
    }

    /// Refuses a stream, because there are too many. The client can repeat the request. Until it has
    /// acknowledged our SETTINGS it can't know how many are too many.
    fn refuse(
        &mut self,
        block: &HeaderBlock<'_>,
        buffer: &mut RequestBuffer,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.abuse.charge(match self.our_settings {
            OurSettingsState::Sent { .. } => AbuseKind::IgnoredFrames,
            OurSettingsState::Acknowledged => AbuseKind::StreamErrors,
        })?;
        write_rst_stream(block.stream, ErrorCode::RefusedStream, out);
        self.refused += 1;
        self.ignore(block, buffer)
    }

    /// Ignores a stream and what the client sends on it.
    fn ignore(&mut self, block: &HeaderBlock<'_>, buffer: &mut RequestBuffer) -> Result<(), Error> {
        if !block.end_stream {
            let window = self.first_window();
            self.reset_streams.insert(block.stream, window);
        }
        self.skip_block(block, buffer)
    }

    fn receive_trailers<'i>(
        &mut self,
        block: &HeaderBlock<'_>,
        state: RequestState,
        buffer: &mut RequestBuffer,
    ) -> Result<Option<Event<'i, T>>, Error> {
        let id = block.stream;
        let malformed = |reason| Error::stream(id, ErrorCode::ProtocolError, reason);
        let trailers = decode_trailers(
            &mut self.decoder,
            &block.encoded,
            self.config.max_header_size,
            buffer,
        )?;
        if !block.end_stream {
            return Err(malformed("HEADERS after the head do not end the stream"));
        }
        let lines = trailers.map_err(|_| malformed("the trailers are malformed"))?;
        self.end_request(id)?;
        Ok((state == RequestState::Receiving).then_some(Event::Trailers { stream: id, lines }))
    }

    /// A header block on a stream that is closed. HPACK needs every block, also one that is ignored.
    fn receive_late_block(
        &mut self,
        block: &HeaderBlock<'_>,
        buffer: &mut RequestBuffer,
    ) -> Result<(), Error> {
        let number = block.stream.get();
        if self.reset_streams.contains(block.stream) {
            self.abuse.charge(AbuseKind::IgnoredFrames)?;
            if block.end_stream {
                self.reset_streams.remove(block.stream);
            }
            return self.skip_block(block, buffer);
        }
        let (start, end) = self.skipped;
        if start < number && number < end {
            let reason = "the number of a new stream is lower than that of another";
            return Err(Error::connection(ErrorCode::ProtocolError, reason));
        }
        let reason = "HEADERS are on a closed stream";
        Err(Error::connection(ErrorCode::StreamClosed, reason))
    }

    /// Decodes a block for the sake of the table.
    fn skip_block(
        &mut self,
        block: &HeaderBlock<'_>,
        buffer: &mut RequestBuffer,
    ) -> Result<(), Error> {
        let most = self.config.max_header_size;
        skip_head(&mut self.decoder, &block.encoded, most, buffer)
    }

    /// The client uses a new stream.
    fn advance(&mut self, stream: StreamId) {
        let highest = self.highest.map_or(0, StreamId::get);
        // Even numbers are no streams of clients.
        if stream.get() > highest + 2 {
            self.skipped = (highest, stream.get());
        }
        self.highest = Some(stream);
    }
}

/// A body without content has the length 0 (RFC 9113 section 8.1.1).
fn check_length(head: Head, ended: bool) -> Result<Head, RequestError> {
    match (ended, head.content_length) {
        (true, Some(1..)) => Err(RequestError::ContentLength),
        _ => Ok(head),
    }
}

/// The code with which a rejected request is reset after its response. A malformed one is reset
/// even if the client has ended it (RFC 9113 section 8.1.1). The others are valid HTTP/2.
fn code_of(error: RequestError) -> ErrorCode {
    match error.status() {
        http::StatusCode::BAD_REQUEST => ErrorCode::ProtocolError,
        _ => ErrorCode::NoError,
    }
}
