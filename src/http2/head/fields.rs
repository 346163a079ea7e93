//! The rules for single headers (RFC 9113 section 8.2).

use std::mem;

use bytes::Bytes;
use http::HeaderValue;
use http::header::HeaderName;

use super::lines::Line;
use super::names::{self, Names};
use super::pseudo::Protocol;
use super::text::HostSource;
use super::{Head, Rejection};
use crate::http2::Priority;
use crate::http2::hpack::StaticName;
use crate::message::head::content_length;
use crate::message::head::expectation::{self, Expectation};
use crate::message::head::host::is_host;
use crate::message::request_error::RequestError;

/// Reads a header line, with its value as a part of `text`.
pub(super) fn read(
    text: &Bytes,
    line: Line,
    names: &mut Names,
) -> Result<(HeaderName, HeaderValue), Rejection> {
    let name = match line.known.and_then(names::known) {
        Some(known) => known.clone(),
        None => {
            let name = &text[line.name()];
            names.get(name).ok_or_else(|| malformed_name(name))?
        }
    };
    let value = text.slice(line.value());
    // `HeaderValue` would accept the spaces.
    if is_padded(&value) {
        return Err(malformed_value(&value));
    }
    let value = HeaderValue::from_maybe_shared(value);
    Ok((name, value.map_err(|_| malformed_value(b""))?))
}

/// Checks a header without keeping it.
pub(super) fn check(name: &[u8], value: &[u8]) -> Result<(), Rejection> {
    if name.iter().any(u8::is_ascii_uppercase) || HeaderName::from_bytes(name).is_err() {
        return Err(malformed_name(name));
    }
    if is_padded(value) || HeaderValue::from_bytes(value).is_err() {
        return Err(malformed_value(value));
    }
    connection(name, value)
}

/// Whether a space or tab is at an end of the value.
pub(super) fn is_padded(value: &[u8]) -> bool {
    matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t'])
}

#[cold]
fn malformed_name(name: &[u8]) -> Rejection {
    let detail = match name.iter().any(u8::is_ascii_uppercase) {
        true => "a header name is not in lower case",
        false => "a header name is empty or has an invalid character",
    };
    Rejection::new(RequestError::FieldLine, detail)
}

#[cold]
fn malformed_value(value: &[u8]) -> Rejection {
    let detail = match is_padded(value) {
        true => "a header value begins or ends with a space",
        false => "a header value contains a control character",
    };
    Rejection::new(RequestError::FieldLine, detail)
}

/// Rejects the headers that belong to a connection of HTTP/1.1 (RFC 9113 section 8.2.2).
fn connection(name: &[u8], value: &[u8]) -> Result<(), Rejection> {
    let detail = match name {
        b"connection" => "Connection is not a header of HTTP/2",
        b"keep-alive" => "Keep-Alive is not a header of HTTP/2",
        b"proxy-connection" => "Proxy-Connection is not a header of HTTP/2",
        b"transfer-encoding" => "Transfer-Encoding is not a header of HTTP/2",
        b"upgrade" => "Upgrade is not a header of HTTP/2",
        b"te" if !value.eq_ignore_ascii_case(b"trailers") => {
            "the only value of TE in HTTP/2 is trailers"
        }
        _ => return Ok(()),
    };
    Err(Rejection::new(RequestError::ConnectionHeader, detail))
}

/// The headers that the protocol needs, recorded while they are read.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The next header is a `Host` that is made of a valid `:authority`.
    next_is_authority: bool,
    /// The next `Upgrade` is made of `:protocol`.
    next_is_protocol: bool,
    /// Whether there was a `Host`, perhaps made of `:authority`.
    has_host: bool,
    /// The parts of the cookie.
    pub(super) cookies: usize,
    te: bool,
    content_length: Option<u64>,
    expectation: Option<Result<Expectation, RequestError>>,
    priority: Option<Priority>,
    rejection: Option<Rejection>,
}

impl Seen {
    pub(super) fn new(host: HostSource, protocol: Option<Protocol>) -> Self {
        Self {
            next_is_authority: host != HostSource::Header,
            next_is_protocol: protocol == Some(Protocol::WebSocket),
            ..Self::default()
        }
    }

    /// Notes a header. Only a name that the static table does not have is compared as text.
    #[inline]
    pub(super) fn note(&mut self, known: Option<StaticName>, name: &[u8], value: &[u8]) {
        let noted = match known {
            Some(StaticName::HOST) => self.host(value),
            Some(StaticName::CONTENT_LENGTH) => self.content_length(value),
            Some(StaticName::TRANSFER_ENCODING) => connection(name, value),
            Some(StaticName::EXPECT) => {
                let so_far = self.expectation.take();
                self.expectation = Some(expectation::and(so_far, value));
                return;
            }
            Some(StaticName::COOKIE) => {
                self.cookies += 1;
                return;
            }
            Some(_) => return,
            None => match name {
                b"upgrade" if mem::take(&mut self.next_is_protocol) => return,
                b"connection" | b"keep-alive" | b"proxy-connection" | b"upgrade" => {
                    connection(name, value)
                }
                b"te" => self.te(value),
                b"priority" => {
                    // RFC 9218 section 5: a malformed one says nothing.
                    self.priority = Priority::parse(value).or(self.priority);
                    return;
                }
                _ => return,
            },
        };
        if let Err(rejection) = noted {
            self.rejection.get_or_insert(rejection);
        }
    }

    /// What the headers say in total.
    pub(super) fn head(self) -> Result<Head, Rejection> {
        if let Some(rejection) = self.rejection {
            return Err(rejection);
        }
        if !self.has_host {
            let detail = "neither :authority nor Host is there";
            return Err(Rejection::new(RequestError::Host, detail));
        }
        Ok(Head {
            content_length: self.content_length,
            expectation: self.expectation.unwrap_or(Ok(Expectation::None))?,
            priority: self.priority,
        })
    }

    fn te(&mut self, value: &[u8]) -> Result<(), Rejection> {
        if self.te {
            let detail = "TE is repeated";
            return Err(Rejection::new(RequestError::ConnectionHeader, detail));
        }
        self.te = true;
        connection(b"te", value)
    }

    /// Records a host, which must not be empty (RFC 9113 section 8.3.1).
    fn host(&mut self, value: &[u8]) -> Result<(), Rejection> {
        if mem::take(&mut self.next_is_authority) {
            self.has_host = true;
            return Ok(());
        }
        if self.has_host {
            return Err(Rejection::new(RequestError::Host, "Host is repeated"));
        }
        self.has_host = true;
        match !value.is_empty() && is_host(value) {
            true => Ok(()),
            false => Err(Rejection::new(RequestError::Host, "Host is malformed")),
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Rejection> {
        if self.content_length.is_some() {
            let detail = "Content-Length is repeated";
            return Err(Rejection::new(RequestError::ContentLength, detail));
        }
        self.content_length = Some(content_length::parse(value)?);
        Ok(())
    }
}
