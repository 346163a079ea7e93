//! A request with everything that is known of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::HOST;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use crate::message::head::target::normalize;
use crate::message::{ClientInfo, RawRequest, Request, RequestTimes};
use crate::web::extract::{FromRequest, Rejection, RequestContext};

/// Bodies up to this size are copied. They may share memory with the requests around them, which
/// would live as long as they do.
pub(super) const MAX_COPIED: usize = 16 * 1024;

/// A request, kept so that it can be shown later. It is cheap to clone and shares no memory with
/// other requests. All parts that follow from the head are derived when they are shown.
#[derive(Debug, Clone)]
pub(super) struct Captured {
    /// When it began to arrive.
    pub(super) received: SystemTime,
    /// The head as sent, chunk lines and trailers.
    pub(super) raw: RawRequest,
    pub(super) body: Bytes,
    pub(super) connection: Arc<Connection>,
    pub(super) times: Times,
    /// When it was captured; `None` if it comes from a store.
    pub(super) begun: Option<Instant>,
}

/// How long the steps of a request took, in microseconds, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Times {
    /// The connection waited for a worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waited_us: Option<u64>,
    /// From the first byte to the call of the handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) read_us: Option<u64>,
    /// From the call of the handler to its response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handled_us: Option<u64>,
}

impl Captured {
    /// Captures a request whose body has arrived. A request without a connection gets a head that
    /// says the same.
    pub(super) fn of(request: &Request) -> Self {
        let measured = RequestTimes::of(request);
        Self {
            received: measured.map_or_else(SystemTime::now, RequestTimes::received),
            raw: match RawRequest::of(request) {
                Some(raw) => raw.detached(),
                None => RawRequest::stored(head_of(request), Vec::new(), 0, Vec::new()),
            },
            body: match request.body().as_bytes() {
                small if small.len() <= MAX_COPIED => Bytes::copy_from_slice(small),
                _ => request.body().to_bytes(),
            },
            connection: Arc::new(
                ClientInfo::of(request)
                    .map(Connection::of)
                    .unwrap_or_default(),
            ),
            times: Times {
                waited_us: measured.map(|times| microseconds(times.waited())),
                read_us: measured.map(|times| microseconds(times.read())),
                handled_us: None,
            },
            begun: Some(Instant::now()),
        }
    }

    /// The method as sent.
    pub(super) fn method(&self) -> &str {
        self.request_line_part(0)
    }

    /// The target as sent: a path with a query, an absolute URI, or `*`. It is ASCII.
    pub(super) fn target(&self) -> &str {
        self.request_line_part(1)
    }

    /// The target in the normal form of the server, as routers and handlers see it.
    pub(super) fn uri(&self) -> Uri {
        understand(self.target())
    }

    /// The path and the query in that form.
    pub(super) fn path_and_query(&self) -> String {
        let uri = self.uri();
        let both = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        both.to_owned()
    }

    /// The query as sent; empty if there is none.
    pub(super) fn query(&self) -> &str {
        let query = self.target().split_once('?');
        query.map_or("", |(_, query)| query)
    }

    /// The URL that the client asked for, as far as the request shows it.
    pub(super) fn url(&self) -> String {
        match self.target() {
            path if path.starts_with('/') => {
                let (scheme, host) = (self.scheme(), self.host());
                format!("{scheme}://{host}{}", self.path_and_query())
            }
            whole => whole.to_owned(),
        }
    }

    /// The scheme that the client used.
    pub(super) fn scheme(&self) -> &str {
        self.connection.scheme.as_deref().unwrap_or("http")
    }

    /// The host that the client asked for.
    pub(super) fn host(&self) -> String {
        if let Some(host) = self.header(HOST.as_str()) {
            return String::from_utf8_lossy(host).into_owned();
        }
        let uri = self.uri();
        uri.authority()
            .map_or("localhost", Authority::as_str)
            .to_owned()
    }

    /// The address of the client without its port, as the trusted proxies name it.
    pub(super) fn origin(&self) -> String {
        let client = self.connection.client.as_deref().unwrap_or("unknown");
        match client.parse::<SocketAddr>() {
            Ok(address) => address.ip().to_string(),
            Err(_) => client.to_owned(),
        }
    }

    /// The headers as a map.
    pub(super) fn headers(&self) -> HeaderMap {
        self.raw.headers()
    }

    /// The version as sent, `HTTP/1.1` for example.
    pub(super) fn version(&self) -> &str {
        self.request_line_part(2)
    }

    /// The names and values of the header lines, in their order and case.
    pub(super) fn header_lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.raw.header_lines()
    }

    /// The first value of this header.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        let name = name.as_bytes();
        let mut lines = self.header_lines();
        let found = lines.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// The memory that it keeps, about.
    pub(super) fn size(&self) -> usize {
        self.raw.head().len()
            + self.raw.chunk_section().len()
            + self.raw.trailer_section().len()
            + self.body.len()
            + size_of::<Self>()
            + size_of::<Connection>()
    }

    /// The server has accepted only request lines of three words of ASCII.
    fn request_line_part(&self, place: usize) -> &str {
        let line = str::from_utf8(self.raw.request_line()).unwrap_or_default();
        line.split(' ').nth(place).unwrap_or_default()
    }
}

/// The request that [`Inspect`](super::Inspect) has captured before it called the router.
impl<S> FromRequest<S> for Captured {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let captured = context.request().extensions().get::<Self>();
        Ok(captured.map_or_else(|| Self::of(context.request()), Self::clone))
    }
}

/// The target in the normal form of the server, which has accepted it.
pub(super) fn understand(target: &str) -> Uri {
    let mut uri: Uri = target.parse().unwrap_or_default();
    // A target that is too long to be written anew was rejected.
    let _ = normalize(&mut uri, &mut BytesMut::new());
    uri
}

pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A head for a request that did not arrive on a connection.
fn head_of(request: &Request) -> Bytes {
    let mut head = BytesMut::new();
    let line = format!(
        "{} {} {:?}\r\n",
        request.method(),
        request.uri(),
        request.version()
    );
    head.put_slice(line.as_bytes());
    for (name, value) in request.headers() {
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    head.put_slice(b"\r\n");
    head.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Body;

    fn sample() -> Captured {
        let request = http::Request::post("/a?b=1")
            .header("x-a", "1")
            .header("X-B", "2")
            .body(Body::from("hello"));
        Captured::of(&request.expect("the request is valid"))
    }

    #[test]
    fn request_without_a_connection_gets_a_head() {
        let captured = sample();
        let head = b"POST /a?b=1 HTTP/1.1\r\nx-a: 1\r\nx-b: 2\r\n\r\n";
        assert_eq!(captured.raw.head(), head);
        let line = (captured.method(), captured.target(), captured.version());
        assert_eq!(line, ("POST", "/a?b=1", "HTTP/1.1"));
        assert_eq!(captured.header("X-b"), Some(&b"2"[..]));
        assert_eq!(captured.body, "hello");
        assert_eq!(*captured.connection, Connection::default());
        let (url, origin) = (captured.url(), captured.origin());
        assert_eq!((&*url, &*origin), ("http://localhost/a?b=1", "unknown"));
    }

    #[test]
    fn client_is_an_address_without_a_port() {
        for (client, origin) in [
            ("192.0.2.1:5000", "192.0.2.1"),
            ("[2001:db8::1]:5000", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("unix", "unix"),
        ] {
            let connection = Connection {
                client: Some(client.to_owned()),
                ..Connection::default()
            };
            let captured = Captured {
                connection: Arc::new(connection),
                ..sample()
            };
            assert_eq!(captured.origin(), origin);
        }
    }

    #[test]
    fn stored_parts_make_the_same_request() {
        let raw = RawRequest::stored(
            sample().raw.head().to_vec().into(),
            b"5;a=b\r\n0\r\n".to_vec(),
            3,
            b"Sum: 1\r\n".to_vec(),
        );
        let again = RawRequest::stored(
            raw.head().to_vec().into(),
            raw.chunk_section().to_vec(),
            raw.unkept_chunks(),
            raw.trailer_section().to_vec(),
        );
        assert_eq!(again.chunks().map(|chunk| chunk.size).sum::<u64>(), 5);
        assert_eq!(again.unkept_chunks(), 3);
        assert!(again.trailer_lines().eq([(&b"Sum"[..], &b"1"[..])]));
    }
}
