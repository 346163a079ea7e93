//! Decodes frames from bytes that are split anywhere.

use super::header::{ACK, END_HEADERS, END_STREAM, Header, Kind, LENGTH, PADDED};
use super::{Data, DataEnd, Frame};
use crate::http2::settings::frame_size_in_range;
use crate::http2::{Error, ErrorCode, StreamId};

/// Decodes the frames of one connection after the [preface](super::super::PREFACE).
///
/// It needs whole frames except DATA, so the caller keeps input that is not consumed, up to nine
/// bytes more than the largest frame. DATA comes in parts as it arrives, and nothing is copied.
///
/// It enforces what frames alone show: lengths, numbers of streams, padding, that SETTINGS are
/// first and that nothing interrupts a header block. It does not know the states of streams. Where
/// RFC 9113 leaves the scope of an error to the receiver, it is the connection: only a broken peer
/// sends a malformed frame, and after an error of a stream it could continue.
///
/// ```
/// use httpool::http2::{Frame, FrameDecoder};
///
/// let mut decoder = FrameDecoder::new(16_384);
/// let mut input: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x03\0\x01\0\0\0\x01abc";
/// decoder.decode(&mut input).unwrap();
/// let Ok(Some(Frame::Data(data))) = decoder.decode(&mut input) else { panic!() };
/// assert_eq!(data.content, b"abc");
/// assert!(input.is_empty());
/// ```
#[derive(Debug)]
pub struct FrameDecoder {
    max_frame_size: u32,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The first frame follows, which must be SETTINGS (RFC 9113 section 3.4).
    Start,
    /// Any frame follows.
    Header,
    /// A header block is incomplete, so its CONTINUATION follows (RFC 9113 section 6.10).
    HeaderBlock { stream: StreamId },
    /// The content of a DATA frame follows.
    Data(DataRest),
    /// Bytes to ignore follow: padding, or the payload of a frame that is not used.
    Skip { left: u32 },
}

/// The rest of a DATA frame.
#[derive(Debug, Clone, Copy)]
struct DataRest {
    stream: StreamId,
    content: u32,
    padding: u8,
    end: DataEnd,
    flow_controlled: Option<u32>,
}

impl FrameDecoder {
    /// A decoder that rejects longer payloads than our SETTINGS_MAX_FRAME_SIZE. The size is brought
    /// into the range of that setting.
    #[must_use]
    pub fn new(max_frame_size: u32) -> Self {
        Self {
            max_frame_size: frame_size_in_range(max_frame_size),
            state: State::Start,
        }
    }

    /// Decodes the next frame and removes its bytes from the start of `input`. `None` means that
    /// more input is needed.
    ///
    /// # Errors
    ///
    /// After an error of a stream, continue. After an error of the connection, do not call this again.
    pub fn decode<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, Error> {
        loop {
            match self.state {
                State::Data(rest) => return Ok(self.data(rest, input)),
                State::Skip { left } => {
                    let left = left - take(input, left).len() as u32;
                    if left > 0 {
                        self.state = State::Skip { left };
                        return Ok(None);
                    }
                    self.state = State::Header;
                }
                State::Start | State::Header | State::HeaderBlock { .. } => {
                    let Some(header) = Header::parse(input) else {
                        return Ok(None);
                    };
                    self.check(header)?;
                    match header.kind {
                        Kind::Data => {
                            let Some(rest) = begin_data(header, input)? else {
                                return Ok(None);
                            };
                            self.state = State::Data(rest);
                        }
                        Kind::Unknown(kind) => {
                            self.skip(header, input);
                            return Ok(Some(Frame::Unknown { kind }));
                        }
                        _ => return self.whole(header, input),
                    }
                }
            }
        }
    }

    /// Whether input must continue a header block. The deadline of the head applies meanwhile.
    #[must_use]
    pub fn is_in_header_block(&self) -> bool {
        matches!(self.state, State::HeaderBlock { .. })
    }

    /// Whether the rest of a head is missing, after [`decode`](Self::decode) has returned `None` and
    /// left this input: the client's first SETTINGS, a header block, or so little of a frame that it
    /// may be a HEADERS frame. The deadline of the head applies meanwhile.
    #[must_use]
    pub fn is_in_head(&self, rest: &[u8]) -> bool {
        match self.state {
            State::Start | State::HeaderBlock { .. } => true,
            State::Header => match (rest, Header::parse(rest)) {
                ([], _) => false,
                (_, Some(header)) => header.kind == Kind::Headers,
                (_, None) => true,
            },
            State::Data(_) | State::Skip { .. } => false,
        }
    }

    /// Checks what the header alone shows.
    fn check(&self, header: Header) -> Result<(), Error> {
        self.check_order(header)?;
        if header.length > self.max_frame_size {
            let reason = "a frame exceeds SETTINGS_MAX_FRAME_SIZE";
            return Err(Error::connection(ErrorCode::FrameSizeError, reason));
        }
        Ok(())
    }

    fn check_order(&self, header: Header) -> Result<(), Error> {
        let is_continuation = header.kind == Kind::Continuation;
        let reason = match self.state {
            State::Start if header.kind != Kind::Settings || header.has(ACK) => {
                "the first frame is not SETTINGS"
            }
            State::HeaderBlock { stream } if !is_continuation || header.stream != Some(stream) => {
                "a frame interrupts a header block"
            }
            State::HeaderBlock { .. } => return Ok(()),
            _ if is_continuation => "a CONTINUATION does not follow HEADERS",
            _ => return Ok(()),
        };
        Err(Error::connection(ErrorCode::ProtocolError, reason))
    }

    /// Decodes a frame that is needed whole.
    fn whole<'a>(
        &mut self,
        header: Header,
        input: &mut &'a [u8],
    ) -> Result<Option<Frame<'a>>, Error> {
        if let Err(error) = header.check() {
            self.skip(header, input);
            return Err(error);
        }
        let length = LENGTH + header.length as usize;
        if input.len() < length {
            return Ok(None);
        }
        let (bytes, rest) = input.split_at(length);
        *input = rest;
        self.state = match (header.kind, header.stream) {
            (Kind::Headers | Kind::Continuation, Some(stream)) if !header.has(END_HEADERS) => {
                State::HeaderBlock { stream }
            }
            _ => State::Header,
        };
        header.decode(&bytes[LENGTH..])
    }

    /// Ignores a frame whose header is in the input.
    fn skip(&mut self, header: Header, input: &mut &[u8]) {
        *input = &input[LENGTH..];
        self.state = State::Skip {
            left: header.length,
        };
    }

    /// The part of a DATA frame that has arrived.
    fn data<'a>(&mut self, rest: DataRest, input: &mut &'a [u8]) -> Option<Frame<'a>> {
        let content = take(input, rest.content);
        let left = rest.content - content.len() as u32;
        if left > 0 && content.is_empty() {
            return None;
        }
        self.state = match left {
            0 => State::Skip {
                left: u32::from(rest.padding),
            },
            left => State::Data(DataRest {
                content: left,
                flow_controlled: None,
                ..rest
            }),
        };
        Some(Frame::Data(Data {
            stream: rest.stream,
            content,
            flow_controlled: rest.flow_controlled,
            end: match left {
                0 => rest.end,
                _ => DataEnd::Nothing,
            },
        }))
    }
}

/// Consumes the start of a DATA frame up to its content, if that much has arrived.
fn begin_data(header: Header, input: &mut &[u8]) -> Result<Option<DataRest>, Error> {
    header.check()?;
    let start = LENGTH + header.mandatory() as usize;
    let (Some(stream), Some(bytes)) = (header.stream, input.get(..start)) else {
        return Ok(None);
    };
    let padding = match header.has(PADDED) {
        true => bytes[LENGTH],
        false => 0,
    };
    let content = header.content_length(padding)?;
    *input = &input[start..];
    Ok(Some(DataRest {
        stream,
        content,
        padding,
        end: match header.has(END_STREAM) {
            true => DataEnd::Stream,
            false => DataEnd::Frame,
        },
        flow_controlled: Some(header.length),
    }))
}

/// Consumes at most this many bytes.
fn take<'a>(input: &mut &'a [u8], most: u32) -> &'a [u8] {
    let (taken, rest) = input.split_at(input.len().min(most as usize));
    *input = rest;
    taken
}
