//! The protocol machine of a connection with the handler of the table, driven by one thread.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use httpool::bytes::Bytes;
use httpool::http::StatusCode;
use httpool::http2::{
    Content, Date, ErrorCode, Event, Expectation, Head, KeptRequest, Mux, MuxConfig, RequestBuffer,
    RequestError, StreamId,
};
use httpool::{BodyMode, Handler, IntoResponse, Problem, Response};

use crate::handler::{self, TableHandler};
use crate::protocol::has_close;
use crate::server::{CONNECTION_WINDOW, MAX_BODY, MAX_HEADER_SIZE};

/// The path of a handler that takes none of its body.
const UNREAD: &str = "/unread";

/// The paths of responses with trailers. The protocol gets them beside the body.
const TRAILERS: &str = "/trailers";

/// Most content of one turn.
const TURN: usize = 16 * 1024;

pub(crate) struct Scripted {
    mux: Mux<Exchange>,
    buffer: RequestBuffer,
    /// What is to be sent.
    pub(crate) out: Vec<u8>,
    handler: TableHandler,
    /// A head has begun and is incomplete.
    pub(crate) in_head: bool,
    is_broken: bool,
    /// What has happened.
    pub(crate) events: Vec<String>,
}

/// A stream.
#[derive(Default)]
struct Exchange {
    /// The request that waits for its body.
    request: Option<KeptRequest>,
    is_unread: bool,
    body: Vec<u8>,
    /// What is left of the content of the response.
    rest: Vec<u8>,
    has_trailers: bool,
}

impl Scripted {
    pub(crate) fn new() -> Self {
        let config = MuxConfig {
            max_header_size: MAX_HEADER_SIZE,
            connection_window: CONNECTION_WINDOW,
            websockets: true,
            ..MuxConfig::default()
        };
        let mut out = Vec::new();
        Self {
            mux: Mux::new(config, &mut out),
            buffer: RequestBuffer::default(),
            out,
            handler: TableHandler::new(),
            in_head: true,
            is_broken: false,
            events: Vec::new(),
        }
    }

    /// Receives input and returns how much of it is left.
    pub(crate) fn receive(&mut self, mut input: &[u8]) -> usize {
        while !self.is_closed() {
            match self
                .mux
                .receive(&mut input, &mut self.buffer, &mut self.out)
            {
                Ok(Event::Incomplete { in_head }) => {
                    self.in_head = in_head;
                    self.send();
                    return input.len();
                }
                Ok(event) => {
                    self.handle(event);
                    self.send();
                }
                Err(error) => {
                    self.events.push(error.to_string());
                    self.mux.close(&error, &mut self.out);
                    self.is_broken = true;
                }
            }
        }
        0
    }

    /// The server begins its drain.
    pub(crate) fn drain(&mut self) {
        self.mux.announce_shutdown(&mut self.out);
    }

    /// The client has finished sending, so requests that are incomplete stay so.
    pub(crate) fn half_close(&mut self) {
        let streams = self.mux.streams().map(|(stream, _)| stream);
        let streams: Vec<_> = streams.collect();
        for stream in streams {
            if !self.mux.is_ended(stream) {
                self.mux.reset(stream, ErrorCode::Cancel, &mut self.out);
            }
        }
        self.mux.shut_down(ErrorCode::NoError, b"", &mut self.out);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_broken || self.mux.is_shut_down() && self.mux.is_empty()
    }

    fn handle(&mut self, event: Event<'_, Exchange>) {
        self.record(&event);
        match event {
            Event::Request {
                stream,
                head,
                ended,
            } => self.request(stream, head, ended),
            Event::Rejected { stream, error } => self.reject(stream, error),
            Event::Data {
                stream,
                content,
                ended,
            } => self.data(stream, content, ended),
            Event::Trailers { stream, lines } => self.complete(stream, Some(lines)),
            Event::ShutdownAcknowledged => {
                self.mux.shut_down(ErrorCode::NoError, b"", &mut self.out);
            }
            Event::Goaway { .. } | Event::Reset { .. } | Event::Incomplete { .. } => {}
        }
    }

    /// Notes what has happened. Content may come in parts, so only its end counts.
    fn record(&mut self, event: &Event<'_, Exchange>) {
        self.events.push(match event {
            Event::Data { ended: false, .. } => return,
            Event::Request {
                stream,
                head,
                ended,
            } => format!("request {stream} {head:?} {ended}"),
            Event::Rejected { stream, error } => format!("rejected {stream}: {error:?}"),
            Event::Data { stream, .. } => format!("end {stream}"),
            Event::Trailers { stream, lines } => format!("trailers {stream}: {lines:?}"),
            Event::Reset {
                stream, code, by, ..
            } => format!("reset {stream}: {code} {by:?}"),
            Event::ShutdownAcknowledged => "acknowledged".to_owned(),
            Event::Goaway { code } => format!("goaway: {code}"),
            Event::Incomplete { .. } => return,
        });
    }

    fn request(&mut self, stream: StreamId, head: Head, ended: bool) {
        if self.buffer.is_websocket {
            // Without a socket, there is nothing behind a CONNECT.
            self.mux.discard(stream);
            return self.reject(stream, RequestError::Tunnel);
        }
        if ended {
            self.buffer.receive_body(Bytes::new(), None);
            return self.call(stream);
        }
        if head
            .content_length
            .is_some_and(|length| length > MAX_BODY as u64)
        {
            self.mux.discard(stream);
            return self.reject(stream, RequestError::BodyTooLarge);
        }
        if self.handler.body_mode(&self.buffer.request) == BodyMode::HeadOnly {
            self.buffer.withhold_body(head.content_length);
            self.call(stream);
            return self.mux.discard(stream);
        }
        if head.expectation == Expectation::Continue {
            self.mux.send_continue(stream, &mut self.out);
        }
        let is_unread = self.buffer.request.uri().path() == UNREAD;
        let request = self.buffer.keep();
        if let Some(exchange) = self.mux.get_mut(stream) {
            exchange.is_unread = is_unread;
            exchange.request = Some(request);
        }
    }

    fn data(&mut self, stream: StreamId, content: &[u8], ended: bool) {
        let exchange = self.mux.get_mut(stream);
        let exchange = exchange.expect("content is for an open stream");
        if exchange.is_unread {
            return;
        }
        exchange.body.extend_from_slice(content);
        if exchange.body.len() > MAX_BODY {
            if let Some(request) = exchange.request.take() {
                self.buffer.restore(request);
            }
            self.mux.discard(stream);
            return self.reject(stream, RequestError::BodyTooLarge);
        }
        self.mux.release(stream, content.len(), &mut self.out);
        if ended {
            self.complete(stream, None);
        }
    }

    /// The body of a request has arrived.
    fn complete(&mut self, stream: StreamId, trailers: Option<Vec<u8>>) {
        let exchange = self.mux.get_mut(stream).expect("the stream is open");
        let request = exchange.request.take().expect("the request waits");
        self.buffer.restore(request);
        let body = std::mem::take(&mut exchange.body);
        self.buffer.receive_body(body.into(), trailers);
        self.call(stream);
    }

    fn call(&mut self, stream: StreamId) {
        let request = &mut self.buffer.request;
        let has_trailers = request.uri().path().starts_with(TRAILERS);
        let response = catch_unwind(AssertUnwindSafe(|| self.handler.handle(request)));
        let response = response
            .unwrap_or_else(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into_response());
        self.respond(stream, response, has_trailers);
    }

    fn reject(&mut self, stream: StreamId, error: RequestError) {
        let problem = Problem::new(error.status()).detail(self.buffer.explain(error));
        let response = problem.to_response(self.buffer.request.headers());
        self.respond(stream, response, false);
    }

    fn respond(&mut self, stream: StreamId, response: Response, has_trailers: bool) {
        let (is_head, closes) = (self.buffer.is_head, has_close(&response));
        let (mux, out) = (&mut self.mux, &mut self.out);
        let date = Date::new(SystemTime::UNIX_EPOCH);
        match mux.respond(stream, &response, is_head, &date, out) {
            Content::Omitted => {}
            Content::Switched => drop(mux.reset(stream, ErrorCode::Http11Required, out)),
            Content::Follows => {
                let mut rest = Vec::new();
                match response.into_body().read_to_end(&mut rest) {
                    Ok(_) => {
                        mux.set_pending(stream, Some(rest.len()));
                        let exchange = mux.get_mut(stream).expect("the stream is open");
                        exchange.rest = rest;
                        exchange.has_trailers = has_trailers;
                    }
                    Err(_) => drop(mux.reset(stream, ErrorCode::InternalError, out)),
                }
            }
        }
        if closes {
            mux.announce_shutdown(out);
        }
    }

    /// Sends what the windows allow.
    fn send(&mut self) {
        while let Some(stream) = self.mux.next_to_send() {
            let room = self.mux.capacity(stream).min(TURN);
            let exchange = self.mux.get_mut(stream).expect("the stream is open");
            let count = room.min(exchange.rest.len());
            let content: Vec<u8> = exchange.rest.drain(..count).collect();
            let left = exchange.rest.len();
            let has_trailers = exchange.has_trailers;
            let ends = left == 0 && !has_trailers;
            if count > 0 || ends {
                self.mux.send_data(stream, &content, ends, &mut self.out);
            }
            self.mux.set_pending(stream, Some(left));
            if left == 0 && has_trailers {
                let trailers = handler::trailers();
                self.mux.send_trailers(stream, &trailers, &mut self.out);
            }
        }
    }
}
