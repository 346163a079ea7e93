//! The pseudo-headers of a request (RFC 9113 section 8.3.1).

use std::ops::Range;

use super::Rejection;
use crate::http2::hpack::{Field, StaticName};
use crate::message::request_error::RequestError;

/// A pseudo-header of a request whose text is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pseudo {
    Method,
    Authority,
    Path,
}

/// The values of the pseudo-headers, in the order in which they arrived.
#[derive(Debug, Default)]
pub(super) struct PseudoHeaders {
    bytes: Vec<u8>,
    values: [Option<Range<usize>>; 3],
    /// The scheme is read at once. Its text is not needed.
    scheme: Scheme,
    /// What a CONNECT is for, if it says so (RFC 8441 section 4).
    pub(super) protocol: Option<Protocol>,
}

/// The protocol that follows an extended CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    WebSocket,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Scheme {
    #[default]
    Missing,
    Http,
    Https,
    Other,
}

impl Scheme {
    fn of(value: &[u8]) -> Self {
        match value {
            b"http" => Self::Http,
            b"https" => Self::Https,
            _ if value.eq_ignore_ascii_case(b"https") => Self::Https,
            _ if value.eq_ignore_ascii_case(b"http") => Self::Http,
            _ => Self::Other,
        }
    }
}

impl PseudoHeaders {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.values = Default::default();
        self.scheme = Scheme::Missing;
        self.protocol = None;
    }

    /// Keeps a value of at most `most` bytes.
    #[inline]
    pub(super) fn add(&mut self, field: &Field<'_>, most: usize) -> Result<(), Rejection> {
        let value = field.value;
        let pseudo = match field.known {
            Some(StaticName::METHOD) => Pseudo::Method,
            Some(StaticName::SCHEME) => return self.add_scheme(value, most),
            Some(StaticName::AUTHORITY) => Pseudo::Authority,
            Some(StaticName::PATH) => Pseudo::Path,
            _ if field.name == b":protocol" => return self.add_protocol(value),
            _ => return Err(malformed(UNKNOWN)),
        };
        if self.values[pseudo as usize].is_some() {
            return Err(malformed("a pseudo-header is repeated"));
        }
        if value.len() > most {
            return Err(match pseudo {
                Pseudo::Path => RequestError::TargetTooLong.into(),
                _ => RequestError::HeadTooLarge.into(),
            });
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.values[pseudo as usize] = Some(start..self.bytes.len());
        Ok(())
    }

    fn add_scheme(&mut self, value: &[u8], most: usize) -> Result<(), Rejection> {
        if self.scheme != Scheme::Missing {
            return Err(malformed("a pseudo-header is repeated"));
        }
        if value.len() > most {
            return Err(RequestError::HeadTooLarge.into());
        }
        self.scheme = Scheme::of(value);
        Ok(())
    }

    #[cold]
    fn add_protocol(&mut self, value: &[u8]) -> Result<(), Rejection> {
        let protocol = match value.eq_ignore_ascii_case(b"websocket") {
            true => Protocol::WebSocket,
            false => Protocol::Other,
        };
        match self.protocol.replace(protocol) {
            None => Ok(()),
            Some(_) => Err(malformed("a pseudo-header is repeated")),
        }
    }

    /// Checks the pseudo-headers of a head with `:protocol` (RFC 8441 section 4).
    #[cold]
    pub(super) fn check_protocol(&self) -> Result<(), Rejection> {
        if self.need(Pseudo::Method)? != b"CONNECT" {
            return Err(malformed(":protocol is for CONNECT only"));
        }
        self.is_https()?;
        self.need(Pseudo::Path)?;
        self.need(Pseudo::Authority).map(drop)
    }

    /// The method as handlers see it. They know the opening of a WebSocket as a GET.
    #[inline]
    pub(super) fn method(&self) -> Result<&[u8], Rejection> {
        match self.protocol {
            Some(Protocol::WebSocket) => Ok(b"GET"),
            _ => self.need(Pseudo::Method),
        }
    }

    pub(super) fn get(&self, pseudo: Pseudo) -> Option<&[u8]> {
        let range = self.values[pseudo as usize].clone()?;
        Some(&self.bytes[range])
    }

    /// The value, which must be there.
    pub(super) fn need(&self, pseudo: Pseudo) -> Result<&[u8], Rejection> {
        match self.get(pseudo) {
            Some(value) => Ok(value),
            None => Err(missing(pseudo)),
        }
    }

    /// Whether the scheme is `https`. Others than `http` and `https` are rejected: their requests
    /// are for another kind of server.
    pub(super) fn is_https(&self) -> Result<bool, Rejection> {
        match self.scheme {
            Scheme::Https => Ok(true),
            Scheme::Http => Ok(false),
            Scheme::Missing => Err(malformed(":scheme is missing")),
            Scheme::Other => Err(malformed(":scheme is neither http nor https")),
        }
    }
}

pub(super) const UNKNOWN: &str = "a pseudo-header of requests is unknown";

#[cold]
fn missing(pseudo: Pseudo) -> Rejection {
    malformed(match pseudo {
        Pseudo::Method => ":method is missing",
        Pseudo::Authority => ":authority is missing",
        Pseudo::Path => ":path is missing",
    })
}

#[cold]
pub(super) fn malformed(detail: &'static str) -> Rejection {
    Rejection::new(RequestError::PseudoHeader, detail)
}
