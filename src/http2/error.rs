//! Error codes, and what an error ends: a stream or the connection (RFC 9113 sections 5.4 and 7).

use std::fmt;

use super::StreamId;

/// An error code of RST_STREAM and GOAWAY (RFC 9113 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Not an error: an orderly end.
    NoError,
    /// The peer broke a rule that has no code of its own.
    ProtocolError,
    /// The sender failed.
    InternalError,
    /// The peer sent more than a window allows, or made a window too large.
    FlowControlError,
    /// SETTINGS were not acknowledged in time.
    SettingsTimeout,
    /// A frame arrived for a stream that its sender had closed.
    StreamClosed,
    /// The length of a frame is wrong.
    FrameSizeError,
    /// The request was not processed, so it can be sent again.
    RefusedStream,
    /// The stream is no longer needed.
    Cancel,
    /// The header compression state can't be maintained.
    CompressionError,
    /// The connection of a CONNECT request failed.
    ConnectError,
    /// The peer causes too much work.
    EnhanceYourCalm,
    /// TLS does not meet the requirements of HTTP/2.
    InadequateSecurity,
    /// The request needs HTTP/1.1.
    Http11Required,
}

impl ErrorCode {
    /// All codes; the position of each is its number in a frame.
    pub const ALL: [Self; 14] = [
        Self::NoError,
        Self::ProtocolError,
        Self::InternalError,
        Self::FlowControlError,
        Self::SettingsTimeout,
        Self::StreamClosed,
        Self::FrameSizeError,
        Self::RefusedStream,
        Self::Cancel,
        Self::CompressionError,
        Self::ConnectError,
        Self::EnhanceYourCalm,
        Self::InadequateSecurity,
        Self::Http11Required,
    ];

    /// The code with this number. An unknown number is an internal error of the peer, as RFC 9113
    /// section 7 allows.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        Self::ALL.get(index).copied().unwrap_or(Self::InternalError)
    }

    /// The number of the code in a frame.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The name in RFC 9113.
    ///
    /// ```
    /// use httpool::http2::ErrorCode;
    ///
    /// assert_eq!(ErrorCode::from_number(8).as_str(), "CANCEL");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NO_ERROR",
            Self::ProtocolError => "PROTOCOL_ERROR",
            Self::InternalError => "INTERNAL_ERROR",
            Self::FlowControlError => "FLOW_CONTROL_ERROR",
            Self::SettingsTimeout => "SETTINGS_TIMEOUT",
            Self::StreamClosed => "STREAM_CLOSED",
            Self::FrameSizeError => "FRAME_SIZE_ERROR",
            Self::RefusedStream => "REFUSED_STREAM",
            Self::Cancel => "CANCEL",
            Self::CompressionError => "COMPRESSION_ERROR",
            Self::ConnectError => "CONNECT_ERROR",
            Self::EnhanceYourCalm => "ENHANCE_YOUR_CALM",
            Self::InadequateSecurity => "INADEQUATE_SECURITY",
            Self::Http11Required => "HTTP_1_1_REQUIRED",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A rule that the peer broke, with what it ends (RFC 9113 section 5.4).
///
/// ```
/// use httpool::http2::{Error, FrameDecoder};
///
/// // A PING, although the first frame must be SETTINGS.
/// let mut input: &[u8] = b"\0\0\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// let error = FrameDecoder::new(16_384).decode(&mut input).unwrap_err();
/// assert!(matches!(error, Error::Connection { .. }));
/// assert_eq!(error.to_string(), "PROTOCOL_ERROR: the first frame is not SETTINGS");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The connection ends with GOAWAY.
    Connection {
        /// The code to send.
        code: ErrorCode,
        /// The rule that was broken, for logs.
        reason: &'static str,
    },
    /// One stream ends with RST_STREAM; the connection continues.
    Stream {
        /// The stream.
        stream: StreamId,
        /// The code to send.
        code: ErrorCode,
        /// The rule that was broken, for logs.
        reason: &'static str,
    },
}

impl Error {
    pub(super) const fn connection(code: ErrorCode, reason: &'static str) -> Self {
        Self::Connection { code, reason }
    }

    pub(super) const fn stream(stream: StreamId, code: ErrorCode, reason: &'static str) -> Self {
        Self::Stream {
            stream,
            code,
            reason,
        }
    }

    /// An error of this stream, or of the connection if there is none.
    pub(super) const fn of(
        stream: Option<StreamId>,
        code: ErrorCode,
        reason: &'static str,
    ) -> Self {
        match stream {
            Some(stream) => Self::stream(stream, code, reason),
            None => Self::connection(code, reason),
        }
    }

    /// The code to send to the peer.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Connection { code, .. } | Self::Stream { code, .. } => *code,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection { code, reason } => write!(formatter, "{code}: {reason}"),
            Self::Stream {
                stream,
                code,
                reason,
            } => write!(formatter, "{code} on stream {stream}: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_have_the_numbers_of_rfc_9113() {
        for (number, code) in (0..).zip(ErrorCode::ALL) {
            assert_eq!(code.number(), number);
            assert_eq!(ErrorCode::from_number(number), code);
        }
        assert_eq!(ErrorCode::EnhanceYourCalm.number(), 0xb);
        assert_eq!(ErrorCode::Http11Required.number(), 0xd);
    }

    #[test]
    fn unknown_error_codes_are_internal_errors() {
        for number in [14, 255, u32::MAX] {
            assert_eq!(ErrorCode::from_number(number), ErrorCode::InternalError);
        }
    }

    #[test]
    fn an_error_names_its_stream_and_its_rule() {
        let stream = StreamId::new(5).expect("5 is an id");
        let error = Error::stream(stream, ErrorCode::FlowControlError, "too much");
        assert_eq!(
            error.to_string(),
            "FLOW_CONTROL_ERROR on stream 5: too much"
        );
    }
}
