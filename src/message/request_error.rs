//! The reasons why a request is rejected.

use std::fmt;
use std::io::{self, ErrorKind};

use http::StatusCode;

/// Why the server rejects a request. In HTTP/1.1 the connection closes after the response, because
/// the following bytes can't be trusted. In HTTP/2 other requests of the connection continue.
///
/// ```
/// use httpool::RequestError;
/// use httpool::http::StatusCode;
///
/// assert_eq!(RequestError::HeadTooLarge.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestError {
    /// A line ends with a bare LF (RFC 9112 section 2.2).
    LineEnd,
    /// The request line is malformed (RFC 9112 section 3).
    RequestLine,
    /// The request target is malformed (RFC 9112 section 3.2).
    RequestTarget,
    /// The request line alone exceeds [`max_header_size`](crate::Builder::max_header_size), or the
    /// target exceeds 65,534 bytes.
    TargetTooLong,
    /// A header line is malformed (RFC 9112 section 5).
    FieldLine,
    /// A pseudo-header of HTTP/2 is missing, unknown, repeated or malformed, or follows another header
    /// (RFC 9113 section 8.3).
    PseudoHeader,
    /// A header that belongs to a connection of HTTP/1.1 is used in HTTP/2 (RFC 9113 section 8.2.2).
    ConnectionHeader,
    /// The head exceeds [`max_header_size`](crate::Builder::max_header_size), has more than 100
    /// header lines, or does not fit into
    /// [`max_buffered_memory`](crate::Builder::max_buffered_memory) even if all of it is free.
    HeadTooLarge,
    /// `Host` is missing, repeated or malformed, or differs from the target's authority (RFC 9112
    /// section 3.2, RFC 9113 section 8.3.1).
    Host,
    /// `Authorization`, `Content-Type` or `Origin` is repeated (RFC 9110 section 5.3).
    Repeated,
    /// The HTTP version is not supported.
    Version,
    /// `Content-Length` is not a number, or is repeated.
    ContentLength,
    /// `Content-Length` and `Transfer-Encoding` are both present, or `Transfer-Encoding` does not
    /// end in `chunked` or is sent with HTTP/1.0. Two readers could see two different requests (RFC
    /// 9112 section 6.3).
    AmbiguousFraming,
    /// A transfer coding other than `chunked` (RFC 9112 section 6.1).
    TransferCoding,
    /// CONNECT: the following bytes are meant for a tunnel, which this server does not offer (RFC
    /// 9110 section 9.3.6).
    Tunnel,
    /// An expectation other than `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The chunked coding is broken (RFC 9112 section 7.1).
    Chunk,
    /// The client closed the connection before the end of the body (RFC 9112 section 8).
    Incomplete,
    /// The head did not arrive within its timeout.
    HeadTimeout,
    /// The body did not arrive within its timeout.
    BodyTimeout,
    /// The memory budget of all connections is used up.
    BufferLimit,
    /// A request without TLS on a listener for TLS.
    NotTls,
}

impl RequestError {
    /// All variants in their order.
    pub const ALL: [Self; 23] = [
        Self::LineEnd,
        Self::RequestLine,
        Self::RequestTarget,
        Self::TargetTooLong,
        Self::FieldLine,
        Self::PseudoHeader,
        Self::ConnectionHeader,
        Self::HeadTooLarge,
        Self::Host,
        Self::Repeated,
        Self::Version,
        Self::ContentLength,
        Self::AmbiguousFraming,
        Self::TransferCoding,
        Self::Tunnel,
        Self::Expectation,
        Self::BodyTooLarge,
        Self::Chunk,
        Self::Incomplete,
        Self::HeadTimeout,
        Self::BodyTimeout,
        Self::BufferLimit,
        Self::NotTls,
    ];

    /// The status code of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::LineEnd
            | Self::RequestLine
            | Self::RequestTarget
            | Self::FieldLine
            | Self::PseudoHeader
            | Self::ConnectionHeader
            | Self::Host
            | Self::Repeated
            | Self::ContentLength
            | Self::AmbiguousFraming
            | Self::Chunk
            | Self::Incomplete
            | Self::NotTls => StatusCode::BAD_REQUEST,
            Self::HeadTimeout | Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TransferCoding | Self::Tunnel => StatusCode::NOT_IMPLEMENTED,
            Self::BufferLimit => StatusCode::SERVICE_UNAVAILABLE,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }

    /// The error as a word for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LineEnd => "line_end",
            Self::RequestLine => "request_line",
            Self::RequestTarget => "request_target",
            Self::TargetTooLong => "target_too_long",
            Self::FieldLine => "field_line",
            Self::PseudoHeader => "pseudo_header",
            Self::ConnectionHeader => "connection_header",
            Self::HeadTooLarge => "head_too_large",
            Self::Host => "host",
            Self::Repeated => "repeated_header",
            Self::Version => "version",
            Self::ContentLength => "content_length",
            Self::AmbiguousFraming => "ambiguous_framing",
            Self::TransferCoding => "transfer_coding",
            Self::Tunnel => "tunnel",
            Self::Expectation => "expectation",
            Self::BodyTooLarge => "body_too_large",
            Self::Chunk => "chunk",
            Self::Incomplete => "incomplete",
            Self::HeadTimeout => "head_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::BufferLimit => "buffer_limit",
            Self::NotTls => "not_tls",
        }
    }

    /// The sentence for the response and the log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::LineEnd => "a line of the head does not end in CRLF",
            Self::RequestLine => "the request line is malformed",
            Self::RequestTarget => "the request target is malformed",
            Self::TargetTooLong => "the request target is too long",
            Self::FieldLine => "a header line is malformed",
            Self::PseudoHeader => {
                "send :method, :scheme and :path exactly once, and before all other headers"
            }
            Self::ConnectionHeader => {
                "HTTP/2 has no Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding or \
                 Upgrade, and TE is trailers or absent"
            }
            Self::HeadTooLarge => "the request head is too large",
            Self::Host => "send exactly one valid Host header",
            Self::Repeated => {
                "Authorization, Content-Type or Origin is repeated; send each at most once"
            }
            Self::Version => "this server supports HTTP/1.1 and HTTP/1.0",
            Self::ContentLength => "Content-Length is malformed",
            Self::AmbiguousFraming => {
                "the length of the body is ambiguous: check Content-Length and Transfer-Encoding"
            }
            Self::TransferCoding => "the only supported transfer coding is chunked",
            Self::Tunnel => "this server does not support CONNECT",
            Self::Expectation => "the only supported expectation is 100-continue",
            Self::BodyTooLarge => "the request body is too large",
            Self::Chunk => "the chunked body is malformed",
            Self::Incomplete => "the connection ended before the end of the request body",
            Self::HeadTimeout => "the request head took too long to arrive",
            Self::BodyTimeout => "the request body took too long to arrive",
            Self::BufferLimit => "this server is busy; try again later",
            Self::NotTls => "this port uses TLS; use an https:// address",
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for RequestError {}

/// The error that a reader of a rejected body returns.
impl From<RequestError> for io::Error {
    fn from(error: RequestError) -> Self {
        let kind = match error {
            RequestError::BodyTimeout => ErrorKind::TimedOut,
            RequestError::BodyTooLarge => ErrorKind::FileTooLarge,
            RequestError::Incomplete => ErrorKind::UnexpectedEof,
            _ => ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_variant() {
        for (index, error) in RequestError::ALL.into_iter().enumerate() {
            assert_eq!(error as usize, index, "{error:?}");
        }
        // The last variant.
        assert_eq!(RequestError::NotTls as usize + 1, RequestError::ALL.len());
    }
}
