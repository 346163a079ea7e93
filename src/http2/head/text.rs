//! A head as text, in the form of HTTP/1.1: assembled from the decoded headers, and read again.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{COOKIE, HeaderName};
use http::uri::Uri;
use http::{HeaderValue, Method, Version};

use super::Rejection;
use super::headers::join_cookies;
use super::lines::{COLON, HeaderLines, LINE_END};
use super::pseudo::{Protocol, Pseudo, PseudoHeaders, malformed};
use crate::http2::hpack::{Field, StaticName};
use crate::message::Request;
use crate::message::head::host::{is_host, is_same};
use crate::message::head::{MAX_FIELDS, target};
use crate::message::request_error::RequestError;

const VERSION: &[u8] = b" HTTP/2.0\r\n";

/// How the text shows an extended CONNECT for a WebSocket: as the GET with this header that it is in
/// HTTP/1.1. A client of HTTP/2 can't send this header itself.
const UPGRADE: Field<'static> = Field {
    name: b"upgrade",
    value: b"websocket",
    known: None,
    never_indexed: false,
};

/// A head that is being assembled from its headers, which are not validated yet.
pub(super) struct Assembly<'b> {
    pub(super) lines: &'b mut HeaderLines,
    pub(super) pseudo: &'b mut PseudoHeaders,
    /// The length of the request line, once it is known.
    pub(super) first_line: Option<usize>,
    /// Longest text.
    pub(super) most: usize,
    /// Headers so far, including those that are not in the text.
    pub(super) count: usize,
    pub(super) host: HostSource,
    pub(super) known_host: &'b mut KnownHost,
    /// A broken rule that leaves the rest of the head readable.
    pub(super) rejection: Option<Rejection>,
}

/// Which headers have named the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostSource {
    /// `Host`, or none so far.
    Header,
    /// `:authority`, which the text shows as `host`.
    Authority,
    /// Both. The text shows one.
    Both,
}

impl Assembly<'_> {
    /// Adds a decoded header. The rest of the head is unknown after an error.
    #[inline]
    pub(super) fn add(&mut self, field: &Field<'_>) -> Result<(), Rejection> {
        if field.name.first() == Some(&b':') {
            return match self.first_line {
                None => self.pseudo.add(field, self.most),
                Some(_) => Err(malformed("a pseudo-header follows another header")),
            };
        }
        if self.first_line.is_none() {
            self.begin()?;
        }
        if self.host != HostSource::Header && field.known == Some(StaticName::HOST) {
            return self.compare_host(field.value);
        }
        self.count_one()?;
        let room = self.most - self.first_line.unwrap_or_default();
        self.lines.add(field, room)
    }

    /// Ends the head.
    pub(super) fn end(&mut self) -> Result<(), Rejection> {
        let begun = match self.first_line {
            None => self.begin(),
            Some(_) => Ok(()),
        };
        self.lines.end();
        begun
    }

    /// Writes the whole text; nothing if the request line is unknown.
    pub(super) fn write(&self, text: &mut BytesMut) {
        let Some(first_line) = self.first_line else {
            return;
        };
        let (Ok(method), Some(target)) = (self.pseudo.method(), self.target()) else {
            return;
        };
        let lines = self.lines.text();
        text.reserve(2 * (first_line + lines.len() + LINE_END.len()));
        text.extend_from_slice(method);
        text.extend_from_slice(b" ");
        text.extend_from_slice(target);
        text.extend_from_slice(VERSION);
        text.extend_from_slice(lines);
        text.extend_from_slice(LINE_END);
    }

    /// Checks the request line, and adds the authority as `host`.
    fn begin(&mut self) -> Result<(), Rejection> {
        if self.pseudo.protocol.is_some() {
            self.pseudo.check_protocol()?;
        }
        let method = self.pseudo.method()?;
        let target = self.pseudo.need(match method {
            b"CONNECT" => Pseudo::Authority,
            _ => Pseudo::Path,
        })?;
        if !is_printable(method) {
            return Err(Rejection::new(
                RequestError::RequestLine,
                "the method is malformed",
            ));
        }
        if !is_printable(target) {
            let detail = "the request target contains a control character";
            return Err(Rejection::new(RequestError::RequestTarget, detail));
        }
        let length = method.len() + 1 + target.len() + VERSION.len();
        if length + LINE_END.len() > self.most {
            return Err(RequestError::TargetTooLong.into());
        }
        self.first_line = Some(length);
        if let Err(rejection) = self.pseudo.is_https()
            && method != b"CONNECT"
        {
            self.rejection = Some(rejection);
        }
        self.write_authority()?;
        match self.pseudo.protocol {
            Some(Protocol::WebSocket) => self.write_upgrade(),
            _ => Ok(()),
        }
    }

    #[cold]
    fn write_upgrade(&mut self) -> Result<(), Rejection> {
        self.count_one()?;
        let room = self.most - self.first_line.unwrap_or_default();
        self.lines.add(&UPGRADE, room)
    }

    /// The second part of the request line.
    fn target(&self) -> Option<&[u8]> {
        match self.pseudo.method() {
            Ok(b"CONNECT") => self.pseudo.get(Pseudo::Authority),
            _ => self.pseudo.get(Pseudo::Path),
        }
    }

    fn write_authority(&mut self) -> Result<(), Rejection> {
        let Some(authority) = self.pseudo.get(Pseudo::Authority) else {
            return Ok(());
        };
        if authority.is_empty() || !self.known_host.is_host(authority) {
            let wrong = Rejection::new(RequestError::Host, ":authority is malformed");
            self.rejection.get_or_insert(wrong);
            return Ok(());
        }
        self.host = HostSource::Authority;
        self.count += 1;
        let host = Field {
            name: b"host",
            value: authority,
            known: Some(StaticName::HOST),
            never_indexed: false,
        };
        let room = self.most - self.first_line.unwrap_or_default();
        self.lines.add(&host, room)
    }

    /// Takes a `Host` beside `:authority`. It is not written, because it says the same.
    fn compare_host(&mut self, host: &[u8]) -> Result<(), Rejection> {
        self.count_one()?;
        let authority = self.pseudo.get(Pseudo::Authority).unwrap_or_default();
        let is_https = self.pseudo.is_https().unwrap_or_default();
        let detail = match self.host {
            HostSource::Both => "Host is repeated",
            _ if is_host(host) && is_same(authority, host, is_https) => {
                self.host = HostSource::Both;
                return Ok(());
            }
            _ => ":authority and Host differ",
        };
        let wrong = Rejection::new(RequestError::Host, detail);
        self.rejection.get_or_insert(wrong);
        Ok(())
    }

    fn count_one(&mut self) -> Result<(), Rejection> {
        self.count += 1;
        match self.count > MAX_FIELDS {
            true => Err(RequestError::HeadTooLarge.into()),
            false => Ok(()),
        }
    }
}

/// The last valid `:authority`. Most requests to a server have the same, and a comparison takes a
/// fifth of the instructions of a check.
#[derive(Debug, Default)]
pub(super) struct KnownHost {
    host: Vec<u8>,
}

impl KnownHost {
    /// Longest host that is remembered.
    const LONGEST: usize = 64;

    fn is_host(&mut self, value: &[u8]) -> bool {
        if self.host == value {
            return true;
        }
        let is_host = is_host(value);
        if is_host && value.len() <= Self::LONGEST {
            self.host.clear();
            self.host.extend_from_slice(value);
        }
        is_host
    }
}

/// Whether the text can show this in its first line.
fn is_printable(part: &[u8]) -> bool {
    // Without an early end, so that the compiler checks 16 bytes at once.
    let is_control = |byte: &u8| *byte < b' ' || *byte == 0x7f;
    !part.iter().fold(false, |any, byte| any | is_control(byte))
}

/// The target of a request. RFC 9113 section 8.3.1 allows two forms.
pub(super) fn uri(method: &Method, target: Bytes, arena: &mut BytesMut) -> Result<Uri, Rejection> {
    let text = std::str::from_utf8(&target).map_err(|_| RequestError::RequestTarget)?;
    if !text.starts_with('/') && text != "*" {
        let detail = ":path does not begin with a slash";
        return Err(Rejection::new(RequestError::RequestTarget, detail));
    }
    let path = target::check(method, text)?;
    let mut uri = Uri::from_maybe_shared(target).map_err(|_| RequestError::RequestTarget)?;
    if path == target::Path::Unusual {
        target::normalize(&mut uri, arena)?;
    }
    Ok(uri)
}

/// The request of this text, without content. An unknown or malformed target is `*`.
pub(super) fn read(head: &Bytes) -> Request {
    let mut request = Request::default();
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static("*");
    let mut ends = memchr::memmem::find_iter(head, LINE_END);
    let Some(first) = ends.next() else {
        return request;
    };
    read_request_line(head, first, &mut request);
    // A map that grows is hashed again each time. If there are too many headers, it grows as usual.
    let lines = memchr::memchr_iter(b'\n', &head[first..]).count();
    let _ = request.headers_mut().try_reserve(lines.saturating_sub(2));
    let mut start = first + LINE_END.len();
    let mut has_parts = false;
    for end in ends {
        let Some((name, value)) = read_line(head, start..end) else {
            break;
        };
        let is_cookie = name == COOKIE;
        has_parts |= request.headers_mut().append(name, value) && is_cookie;
        start = end + LINE_END.len();
    }
    if has_parts {
        join_cookies(request.headers_mut(), &mut BytesMut::new());
    }
    request
}

fn read_request_line(head: &Bytes, end: usize, request: &mut Request) {
    let line = head[..end].strip_suffix(VERSION.trim_ascii_end());
    let Some((line, space)) = line.and_then(|line| Some((line, memchr::memchr(b' ', line)?)))
    else {
        return;
    };
    let Ok(method) = Method::from_bytes(&line[..space]) else {
        return;
    };
    let target = head.slice(space + 1..line.len());
    if let Ok(uri) = uri(&method, target, &mut BytesMut::new()) {
        *request.uri_mut() = uri;
    }
    *request.method_mut() = method;
}

fn read_line(head: &Bytes, line: Range<usize>) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.start + memchr::memchr(b':', &head[line.clone()])?;
    let name = HeaderName::from_bytes(&head[line.start..colon]).ok()?;
    let value = head.slice((colon + COLON.len()).min(line.end)..line.end);
    Some((name, HeaderValue::from_maybe_shared(value).ok()?))
}
