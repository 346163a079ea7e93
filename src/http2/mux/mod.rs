//! The protocol machine of a connection: frames in, events and frames out (RFC 9113).
//!
//! [`Mux`] has the streams of a connection, their windows and priorities. It receives bytes and
//! returns [`Event`]s; what is to be sent it appends to a buffer. It answers SETTINGS, PING and the
//! like itself. It knows no socket and no clock, and no handlers.
//!
//! * `receive.rs`: frames of the connection, and errors
//! * `heads.rs`: header blocks, which open streams or are trailers
//! * `content.rs`: DATA that arrives
//! * `respond.rs`: responses
//! * `shutdown.rs`: GOAWAY
//! * `streams.rs`, `reset_streams.rs`, `schedule.rs`: the open streams, those that were reset, and
//!   whose turn it is

mod content;
mod heads;
mod receive;
mod reset_streams;
mod respond;
mod schedule;
mod shutdown;
mod streams;
#[cfg(test)]
mod tests;

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use self::reset_streams::ResetStreams;
use self::respond::OpenData;
use self::schedule::Schedule;
use self::shutdown::Shutdown;
pub use self::streams::StreamMemory;
use self::streams::{RequestState, Stream, Streams};
use super::window::{DEFAULT_WINDOW, MAX_WINDOW};
use super::{
    AbuseKind, AbuseScore, Error, ErrorCode, FrameDecoder, Head, HeaderBlocks, OurSettings,
    PeerSettings, ReceiveWindow, SendWindow, StreamId, hpack, write_rst_stream, write_settings,
    write_window_update,
};
use crate::message::RequestError;

/// What a connection allows its client.
///
/// ```
/// use httpool::http2::MuxConfig;
///
/// let config = MuxConfig { max_streams: 250, ..MuxConfig::default() };
/// assert_eq!(config.stream_window, 65_536);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MuxConfig {
    /// Most streams that may be open at once. More are refused.
    pub max_streams: u32,
    /// How much content of a request may arrive before the caller has released any.
    pub stream_window: u32,
    /// How much content of a stream may arrive after its window was [raised](Mux::raise_window).
    pub max_stream_window: u32,
    /// How much content of all requests may be on its way.
    pub connection_window: u32,
    /// The largest head, as in HTTP/1.1.
    pub max_header_size: usize,
    /// Whether a CONNECT may open a WebSocket (RFC 8441).
    pub websockets: bool,
    /// Whether the client's first settings are kept for
    /// [`take_first_settings`](Mux::take_first_settings).
    pub client_settings: bool,
}

/// The windows are multiples of 16,384, because some clients send tiny frames to use up the rest.
impl Default for MuxConfig {
    fn default() -> Self {
        Self {
            max_streams: 100,
            stream_window: 65_536,
            max_stream_window: 1 << 20,
            connection_window: 16 << 20,
            max_header_size: 16 * 1024,
            websockets: false,
            client_settings: false,
        }
    }
}

/// What [`Mux::receive`] has received.
#[derive(Debug)]
pub enum Event<'i, T> {
    /// Everything in the input is used, except the start of a frame. More input is needed.
    Incomplete {
        /// Whether a head, or the client's first SETTINGS, is incomplete: a deadline applies.
        in_head: bool,
    },
    /// A request, whose head is in the buffer.
    Request {
        /// Its stream.
        stream: StreamId,
        /// What the protocol needs to know of the head.
        head: Head,
        /// Whether it has no body.
        ended: bool,
    },
    /// A request that is malformed or too large. The buffer has the part of its head that is known.
    /// Respond to it; the mux does the rest.
    Rejected {
        /// Its stream.
        stream: StreamId,
        /// Why.
        error: RequestError,
    },
    /// Content of a request. [Release](Mux::release) it when it is consumed.
    Data {
        /// The stream.
        stream: StreamId,
        /// The content. It is empty only at the end.
        content: &'i [u8],
        /// Whether it is the last.
        ended: bool,
    },
    /// The trailers of a request, which end it.
    Trailers {
        /// The stream.
        stream: StreamId,
        /// Lines as in HTTP/1.1.
        lines: Vec<u8>,
    },
    /// A stream is gone, because the client reset it or broke a rule.
    Reset {
        /// The stream.
        stream: StreamId,
        /// The code of RST_STREAM.
        code: ErrorCode,
        /// Who sent it.
        by: ResetBy,
        /// What the caller kept for the stream.
        data: T,
    },
    /// The client knows of the [announced](Mux::announce_shutdown) shutdown.
    ShutdownAcknowledged,
    /// GOAWAY: the client is about to close the connection.
    Goaway {
        /// Why.
        code: ErrorCode,
    },
}

/// The side that has reset a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetBy {
    /// The client sent RST_STREAM.
    Client,
    /// The mux sent it, because the client broke a rule.
    Server,
}

/// The protocol machine of one connection. `T` is what the caller keeps for each stream.
///
/// ```
/// use httpool::http2::{Event, Mux, MuxConfig, RequestBuffer};
///
/// let mut out = Vec::new();
/// let mut mux = Mux::<()>::new(MuxConfig::default(), &mut out);
/// // SETTINGS, and `GET / HTTP/2.0` to localhost.
/// let mut input: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x0e\x01\x05\0\0\0\x01\x82\x84\x86\x41\x09localhost";
/// let mut buffer = RequestBuffer::default();
/// let event = mux.receive(&mut input, &mut buffer, &mut out).unwrap();
/// let Event::Request { stream, ended, .. } = event else { panic!() };
/// assert_eq!((stream.get(), ended), (1, true));
/// ```
#[derive(Debug)]
pub struct Mux<T> {
    config: MuxConfig,
    frames: FrameDecoder,
    blocks: HeaderBlocks,
    decoder: hpack::Decoder,
    encoder: hpack::Encoder,
    peer: PeerSettings,
    first_settings: FirstSettings,
    our_settings: OurSettingsState,
    streams: Streams<T>,
    reset_streams: ResetStreams,
    /// The highest stream that the client has used.
    highest: Option<StreamId>,
    /// The highest stream that may have been processed. It stays when new streams are ignored.
    last: Option<StreamId>,
    /// The last stream numbers that the client left out, without the ends.
    skipped: (u32, u32),
    send: SendWindow,
    content_sent: u64,
    open_data: Option<OpenData>,
    receive: ReceiveWindow,
    /// Streams that were refused since the last [`take_refused`](Mux::take_refused).
    refused: u64,
    /// Streams with content to send.
    pending: usize,
    /// The sum of what windows were raised by.
    raised: u32,
    schedule: Schedule,
    abuse: AbuseScore,
    shutdown: Shutdown,
    now: Option<Instant>,
}

/// The first SETTINGS of the client.
#[derive(Debug)]
enum FirstSettings {
    Missing,
    /// Identifiers and values.
    Received(Arc<[(u16, u32)]>),
    Taken,
}

/// Whether the client keeps to our SETTINGS (RFC 9113 section 6.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OurSettingsState {
    /// It may not have seen them and use initial values.
    Sent {
        /// The first [tick](Mux::tick).
        since: Option<Instant>,
    },
    Acknowledged,
}

impl<T: Default> Mux<T> {
    /// A connection whose [preface](super::PREFACE) has arrived. Writes our SETTINGS.
    #[must_use]
    pub fn new(config: MuxConfig, out: &mut Vec<u8>) -> Self {
        let config = MuxConfig {
            stream_window: config.stream_window.clamp(1, MAX_WINDOW),
            ..config
        };
        let settings = OurSettings {
            max_concurrent_streams: config.max_streams,
            initial_window: config.stream_window,
            max_header_list_size: heads::list_size(config.max_header_size),
            enable_connect_protocol: u32::from(config.websockets),
            no_rfc7540_priorities: 1,
            ..OurSettings::default()
        };
        write_settings(&settings, out);
        let mut receive = ReceiveWindow::new(DEFAULT_WINDOW);
        receive.grow(config.connection_window);
        if let Some(increment) = receive.update() {
            write_window_update(None, increment, out);
        }
        Self {
            config,
            frames: FrameDecoder::new(settings.max_frame_size),
            blocks: HeaderBlocks::new(heads::block_limit(config.max_header_size)),
            decoder: hpack::Decoder::default(),
            encoder: hpack::Encoder::default(),
            peer: PeerSettings::default(),
            first_settings: match config.client_settings {
                true => FirstSettings::Missing,
                false => FirstSettings::Taken,
            },
            our_settings: OurSettingsState::Sent { since: None },
            streams: Streams::default(),
            reset_streams: ResetStreams::new(config.max_streams),
            highest: None,
            last: None,
            skipped: (0, 0),
            send: SendWindow::new(DEFAULT_WINDOW),
            content_sent: 0,
            open_data: None,
            receive,
            refused: 0,
            pending: 0,
            raised: 0,
            schedule: Schedule::default(),
            abuse: AbuseScore::default(),
            shutdown: Shutdown::Open,
            now: None,
        }
    }

    /// Tells the time. Call this before [`receive`](Self::receive) when input has arrived.
    pub fn tick(&mut self, now: Instant) {
        self.now = Some(now);
        if let OurSettingsState::Sent { since } = &mut self.our_settings {
            since.get_or_insert(now);
        }
        self.abuse.refill(now);
    }

    /// Since when our SETTINGS wait for their acknowledgement, if they do. [Close](Self::close) the
    /// connection with SETTINGS_TIMEOUT if it takes too long (RFC 9113 section 6.5.3).
    #[must_use]
    pub fn unacknowledged_since(&self) -> Option<Instant> {
        match self.our_settings {
            OurSettingsState::Sent { since } => since,
            OurSettingsState::Acknowledged => None,
        }
    }

    /// What the caller keeps for an open stream.
    #[must_use]
    pub fn get(&self, stream: StreamId) -> Option<&T> {
        self.streams.get(stream).map(|stream| &stream.data)
    }

    /// What the caller keeps for an open stream.
    pub fn get_mut(&mut self, stream: StreamId) -> Option<&mut T> {
        let stream = self.streams.get_mut(stream);
        stream.map(|stream| &mut stream.data)
    }

    /// The open streams in the order in which they were opened.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, &T)> {
        self.streams.iter().map(|stream| (stream.id, &stream.data))
    }

    /// The open streams in the order in which they were opened.
    pub fn streams_mut(&mut self) -> impl Iterator<Item = (StreamId, &mut T)> {
        let streams = self.streams.iter_mut();
        streams.map(|stream| (stream.id, &mut stream.data))
    }

    /// How many streams are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether no stream is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the client has ended a stream. A stream that is gone has ended.
    #[must_use]
    pub fn is_ended(&self, stream: StreamId) -> bool {
        let stream = self.streams.get(stream);
        stream.is_none_or(|stream| stream.request == RequestState::Ended)
    }

    /// The memory that the connection has allocated.
    #[must_use]
    pub fn held(&self) -> usize {
        self.decoder.memory()
            + self.blocks.held()
            + self.streams.held()
            + self.reset_streams.held()
            + self.schedule.held()
    }

    /// Uses this memory for streams if the connection has none. So a worker needs it only once, and
    /// not for each connection.
    ///
    /// ```
    /// # use httpool::http2::{Mux, MuxConfig, StreamMemory};
    /// let mut memory = StreamMemory::default();
    /// let mut mux = Mux::<()>::new(MuxConfig::default(), &mut Vec::new());
    /// mux.borrow_memory(&mut memory);
    /// // ... until no stream is open ...
    /// mux.return_memory(&mut memory);
    /// ```
    pub fn borrow_memory(&mut self, memory: &mut StreamMemory<T>) {
        self.streams.borrow_memory(memory);
    }

    /// Returns memory that is not needed while no stream is open. Call this before a long wait.
    pub fn return_memory(&mut self, memory: &mut StreamMemory<T>) {
        self.streams.return_memory(memory);
        self.reset_streams.shrink();
        self.schedule.shrink();
    }

    /// How many streams were refused since the last call, because the client had too many.
    pub fn take_refused(&mut self) -> u64 {
        mem::take(&mut self.refused)
    }

    /// Takes the settings with which the client has opened the connection: identifiers and values as
    /// sent. `None` before they have arrived, after the first call that returns them, and unless
    /// [`MuxConfig::client_settings`] is set.
    pub fn take_first_settings(&mut self) -> Option<Arc<[(u16, u32)]>> {
        if !matches!(self.first_settings, FirstSettings::Received(_)) {
            return None;
        }
        match mem::replace(&mut self.first_settings, FirstSettings::Taken) {
            FirstSettings::Received(settings) => Some(settings),
            FirstSettings::Missing | FirstSettings::Taken => None,
        }
    }

    /// Which kind of frames were too much, after an error with the code ENHANCE_YOUR_CALM.
    #[must_use]
    pub fn abuse_kind(&self) -> Option<AbuseKind> {
        self.abuse.emptied_by()
    }

    /// Ends a stream with RST_STREAM. Returns what the caller kept for it. This costs the client
    /// nothing.
    pub fn reset(&mut self, stream: StreamId, code: ErrorCode, out: &mut Vec<u8>) -> Option<T> {
        let stream = self.remove(stream)?;
        write_rst_stream(stream.id, code, out);
        if stream.request != RequestState::Ended {
            let window = stream.receive.available();
            self.reset_streams.insert(stream.id, window);
        }
        Some(stream.data)
    }

    /// Ends a stream whose client gives its response no window, as [`reset`](Self::reset) does with
    /// CANCEL.
    ///
    /// # Errors
    ///
    /// An error of the connection if its client does so too often. Give it to
    /// [`close`](Self::close).
    pub fn cancel_stalled(
        &mut self,
        stream: StreamId,
        out: &mut Vec<u8>,
    ) -> Result<Option<T>, Error> {
        self.abuse.charge(AbuseKind::Stalls)?;
        Ok(self.reset(stream, ErrorCode::Cancel, out))
    }

    fn remove(&mut self, stream: StreamId) -> Option<Stream<T>> {
        let stream = self.streams.remove(stream)?;
        self.raised -= stream.raised;
        self.pending -= usize::from(stream.pending.is_some());
        Some(stream)
    }

    /// Whether a stream has never been used. The even numbers are for pushes, and there are none.
    fn is_idle(&self, stream: StreamId) -> bool {
        !stream.is_client() || self.highest.is_none_or(|highest| stream > highest)
    }
}
