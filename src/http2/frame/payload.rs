//! The rules of each frame type (RFC 9113 section 6): what the header alone shows, and the payload.

use std::num::NonZeroU32;

use super::header::{ACK, END_HEADERS, END_STREAM, Header, Kind, PADDED, PRIORITY};
use super::{Continuation, Frame, Headers, number_at};
use crate::http2::settings::{ENTRY, MAX_ENTRIES};
use crate::http2::{Error, ErrorCode, SettingsEntries, StreamId};

/// The bytes of stream dependency and weight in HEADERS and PRIORITY.
const PRIORITY_FIELDS: u32 = 5;

fn protocol_error(reason: &'static str) -> Error {
    Error::connection(ErrorCode::ProtocolError, reason)
}

fn size_error(reason: &'static str) -> Error {
    Error::connection(ErrorCode::FrameSizeError, reason)
}

impl Header {
    /// Checks stream and length, so that a bad frame is rejected before its payload arrives.
    pub(super) fn check(self) -> Result<(), Error> {
        self.check_stream()?;
        self.check_length()
    }

    /// A server opens no streams, so those with an even number are always idle, and a frame for an
    /// idle stream is an error of the connection (RFC 9113 section 5.1). PRIORITY is the exception.
    fn check_stream(self) -> Result<(), Error> {
        match (self.kind, self.stream) {
            (Kind::PushPromise, _) => Err(protocol_error("a client can't push")),
            (Kind::Unknown(_) | Kind::Priority, Some(_)) | (Kind::Unknown(_), None) => Ok(()),
            (Kind::Settings | Kind::Ping | Kind::Goaway | Kind::PriorityUpdate, Some(_)) => {
                Err(protocol_error("a frame of the connection is on a stream"))
            }
            (Kind::Settings | Kind::Ping | Kind::Goaway, None)
            | (Kind::WindowUpdate | Kind::PriorityUpdate, None) => Ok(()),
            (_, None) => Err(protocol_error("a frame of a stream is on stream 0")),
            (_, Some(stream)) if stream.is_client() => Ok(()),
            (_, Some(_)) => Err(protocol_error("a client's stream has an even number")),
        }
    }

    fn check_length(self) -> Result<(), Error> {
        let (kind, length) = (self.kind, self.length);
        match kind {
            Kind::Data | Kind::Headers if length < self.mandatory() => {
                Err(size_error("a frame is too short for its flags"))
            }
            Kind::Priority if length != PRIORITY_FIELDS => Err(Error::of(
                self.stream,
                ErrorCode::FrameSizeError,
                "a PRIORITY frame has not 5 bytes",
            )),
            Kind::RstStream if length != 4 => Err(size_error("an RST_STREAM has not 4 bytes")),
            Kind::WindowUpdate if length != 4 => Err(size_error("a WINDOW_UPDATE has not 4 bytes")),
            Kind::Ping if length != 8 => Err(size_error("a PING has not 8 bytes")),
            Kind::Goaway if length < 8 => Err(size_error("a GOAWAY has less than 8 bytes")),
            Kind::PriorityUpdate if length < 4 => {
                Err(size_error("a PRIORITY_UPDATE has less than 4 bytes"))
            }
            Kind::Settings => self.check_settings(),
            _ => Ok(()),
        }
    }

    fn check_settings(self) -> Result<(), Error> {
        if self.has(ACK) && self.length > 0 {
            return Err(size_error("a SETTINGS acknowledgement is not empty"));
        }
        if !self.length.is_multiple_of(ENTRY) {
            return Err(size_error("the length of SETTINGS is no multiple of 6"));
        }
        if self.length > MAX_ENTRIES * ENTRY {
            let reason = "a SETTINGS frame has more than 32 entries";
            return Err(Error::connection(ErrorCode::EnhanceYourCalm, reason));
        }
        Ok(())
    }

    /// The bytes that DATA or HEADERS have before their content.
    pub(super) fn mandatory(self) -> u32 {
        let priority = match self.kind == Kind::Headers && self.has(PRIORITY) {
            true => PRIORITY_FIELDS,
            false => 0,
        };
        u32::from(self.has(PADDED)) + priority
    }

    /// The length of the content, if there are this many bytes of padding.
    pub(super) fn content_length(self, padding: u8) -> Result<u32, Error> {
        let content = (self.length - self.mandatory()).checked_sub(u32::from(padding));
        content.ok_or(protocol_error("the padding is longer than the frame"))
    }

    /// Decodes a payload that has arrived whole. DATA and unknown types are the decoder's, which
    /// does not wait for them.
    pub(super) fn decode(self, payload: &[u8]) -> Result<Option<Frame<'_>>, Error> {
        Ok(Some(match (self.kind, self.stream) {
            (Kind::Headers, Some(stream)) => Frame::Headers(self.headers(stream, payload)?),
            (Kind::Priority, Some(stream)) => Frame::Priority { stream },
            (Kind::RstStream, Some(stream)) => Frame::RstStream {
                stream,
                code: ErrorCode::from_number(number_at(payload, 0)),
            },
            (Kind::Settings, _) if self.has(ACK) => Frame::SettingsAck,
            (Kind::Settings, _) => Frame::Settings(SettingsEntries::new(payload)),
            (Kind::Ping, _) => self.ping(payload),
            (Kind::Goaway, _) => Frame::Goaway {
                last_stream: StreamId::new(number_at(payload, 0)),
                code: ErrorCode::from_number(number_at(payload, 4)),
                debug: &payload[8..],
            },
            (Kind::WindowUpdate, _) => self.window_update(payload)?,
            (Kind::PriorityUpdate, _) => priority_update(payload)?,
            (Kind::Continuation, Some(stream)) => Frame::Continuation(Continuation {
                stream,
                fragment: payload,
                end_headers: self.has(END_HEADERS),
            }),
            _ => return Ok(None),
        }))
    }

    fn headers(self, stream: StreamId, payload: &[u8]) -> Result<Headers<'_>, Error> {
        let padding = match self.has(PADDED) {
            true => payload[0],
            false => 0,
        };
        let start = self.mandatory() as usize;
        let length = self.content_length(padding)? as usize;
        Ok(Headers {
            stream,
            fragment: &payload[start..start + length],
            end_headers: self.has(END_HEADERS),
            end_stream: self.has(END_STREAM),
        })
    }

    fn ping(self, payload: &[u8]) -> Frame<'static> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(payload);
        match self.has(ACK) {
            true => Frame::PingAck(bytes),
            false => Frame::Ping(bytes),
        }
    }

    fn window_update(self, payload: &[u8]) -> Result<Frame<'static>, Error> {
        let increment = number_at(payload, 0) & 0x7fff_ffff;
        let increment = NonZeroU32::new(increment).ok_or(Error::of(
            self.stream,
            ErrorCode::ProtocolError,
            "the increment of a WINDOW_UPDATE is 0",
        ))?;
        Ok(Frame::WindowUpdate {
            stream: self.stream,
            increment,
        })
    }
}

/// RFC 9218 section 7.1. No request has an even number, because only pushes have.
fn priority_update(payload: &[u8]) -> Result<Frame<'_>, Error> {
    let stream = StreamId::new(number_at(payload, 0)).filter(|stream| stream.is_client());
    Ok(Frame::PriorityUpdate {
        stream: stream.ok_or(protocol_error("a PRIORITY_UPDATE names no request"))?,
        value: &payload[4..],
    })
}
