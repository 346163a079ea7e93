//! The pseudo-headers of a request (RFC 9113 section 8.3.1).

use std::ops::Range;

use super::Rejection;
use crate::message::request_error::RequestError;

/// A pseudo-header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pseudo {
    Method,
    Scheme,
    Authority,
    Path,
}

/// The values of the pseudo-headers, in the order in which they arrived.
#[derive(Debug, Default)]
pub(super) struct PseudoHeaders {
    bytes: Vec<u8>,
    values: [Option<Range<usize>>; 4],
}

impl PseudoHeaders {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.values = Default::default();
    }

    /// Keeps a value of at most `most` bytes.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8], most: usize) -> Result<(), Rejection> {
        let pseudo = match name {
            b":method" => Pseudo::Method,
            b":scheme" => Pseudo::Scheme,
            b":authority" => Pseudo::Authority,
            b":path" => Pseudo::Path,
            _ => return Err(malformed("a pseudo-header of requests is unknown")),
        };
        if self.get(pseudo).is_some() {
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

    pub(super) fn get(&self, pseudo: Pseudo) -> Option<&[u8]> {
        let range = self.values[pseudo as usize].clone()?;
        Some(&self.bytes[range])
    }

    /// The value, which must be there.
    pub(super) fn need(&self, pseudo: Pseudo) -> Result<&[u8], Rejection> {
        self.get(pseudo).ok_or(malformed(match pseudo {
            Pseudo::Method => ":method is missing",
            Pseudo::Scheme => ":scheme is missing",
            Pseudo::Authority => ":authority is missing",
            Pseudo::Path => ":path is missing",
        }))
    }

    /// Whether the scheme is `https`. Others than `http` and `https` are rejected: their requests
    /// are for another kind of server.
    pub(super) fn is_https(&self) -> Result<bool, Rejection> {
        match self.need(Pseudo::Scheme)? {
            scheme if scheme.eq_ignore_ascii_case(b"https") => Ok(true),
            scheme if scheme.eq_ignore_ascii_case(b"http") => Ok(false),
            _ => Err(malformed(":scheme is neither http nor https")),
        }
    }
}

pub(super) fn malformed(detail: &'static str) -> Rejection {
    Rejection::new(RequestError::PseudoHeader, detail)
}
