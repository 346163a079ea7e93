//! A test client that sends and receives raw bytes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use httpool::ListenAddr;
use rustls::{ClientConfig, ClientConnection, Stream};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{TIMEOUT, request};

/// Pause between two bytes of a trickle.
const PAUSE: Duration = Duration::from_millis(5);

/// Largest plaintext of a TLS record.
const MAX_PLAINTEXT: usize = 16 * 1024;

/// One connection to a server.
#[derive(Debug)]
pub(crate) struct Client {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    /// Bytes received and not yet consumed.
    received: Vec<u8>,
}

/// Sends a byte now and then until dropped.
#[derive(Debug)]
pub(crate) struct Trickle {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The server closed its sending side.
    Closed,
    /// The connection was reset.
    Reset,
    /// Under TLS: the connection ended without `close_notify`.
    Truncated,
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Whether a response has a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    AsFramed,
    /// The request was HEAD.
    Omitted,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: &ListenAddr) -> Self {
        Self::try_connect(address).expect("the server accepts connections")
    }

    pub(crate) fn try_connect(address: &ListenAddr) -> io::Result<Self> {
        Self::try_connect_within(address, TIMEOUT)
    }

    /// Connects to `address`; a TCP connection fails after `timeout`.
    pub(crate) fn try_connect_within(address: &ListenAddr, timeout: Duration) -> io::Result<Self> {
        let (domain, address) = match address {
            ListenAddr::Tcp { host, port } => {
                let ip = host.parse().expect("local addresses are numeric");
                let address = SocketAddr::new(ip, *port);
                (Domain::for_address(address), address.into())
            }
            ListenAddr::Unix(address) => (Domain::UNIX, SockAddr::unix(address.path())?),
            other => panic!("tests do not connect to {other}"),
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        match domain {
            Domain::UNIX => socket.connect(&address)?,
            _ => socket.connect_timeout(&address, timeout)?,
        }
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        if domain != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Self {
            socket,
            tls: None,
            received: Vec::new(),
        })
    }

    /// Starts TLS with a server of this name.
    #[track_caller]
    pub(crate) fn with_tls(mut self, config: &Arc<ClientConfig>, name: &str) -> Self {
        let name = name.to_owned().try_into().expect("the name is valid");
        let tls = ClientConnection::new(Arc::clone(config), name);
        self.tls = Some(Box::new(tls.expect("the TLS configuration is valid")));
        self
    }

    /// Completes the TLS handshake. Otherwise the first send or receive does.
    pub(crate) fn try_handshake(&mut self) -> io::Result<()> {
        let tls = self.tls.as_mut().expect("the client uses TLS");
        while tls.is_handshaking() {
            tls.complete_io(&mut self.socket)?;
        }
        Ok(())
    }

    /// This end of the TLS connection.
    #[track_caller]
    pub(crate) fn tls(&mut self) -> &mut ClientConnection {
        self.tls.as_mut().expect("the client uses TLS")
    }

    /// This end of the TLS connection, and its socket.
    #[track_caller]
    pub(crate) fn tls_and_socket(&mut self) -> (&mut ClientConnection, &mut Socket) {
        let tls = self.tls.as_mut().expect("the client uses TLS");
        (tls, &mut self.socket)
    }

    pub(crate) fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// This end's address.
    #[track_caller]
    pub(crate) fn local_addr(&self) -> SocketAddr {
        let address = self.socket.local_addr().ok();
        let address = address.and_then(|address| address.as_socket());
        address.expect("the connection is over TCP")
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).expect("the bytes are sent");
        self
    }

    /// Sends bytes that the server may reject.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            let mut stream = Stream::new(&mut **tls, &mut self.socket);
            stream.write_all(bytes.as_ref())?;
            return stream.flush();
        }
        self.socket.write_all(bytes.as_ref())
    }

    /// Sends on another thread, so that the caller can read meanwhile.
    #[track_caller]
    pub(crate) fn send_in_background(&mut self, bytes: Vec<u8>) -> JoinHandle<io::Result<()>> {
        let bytes = self.encrypt(bytes).expect("the TLS handshake succeeds");
        let mut socket = self.socket.try_clone().expect("a socket can be cloned");
        thread::spawn(move || socket.write_all(&bytes))
    }

    /// Encrypts the bytes if the connection uses TLS. The result must be sent next.
    fn encrypt(&mut self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        if self.tls.is_none() {
            return Ok(bytes);
        }
        self.try_handshake()?;
        let tls = self.tls();
        let mut encrypted = Vec::new();
        for part in bytes.chunks(MAX_PLAINTEXT) {
            tls.writer().write_all(part)?;
            while tls.wants_write() {
                tls.write_tls(&mut encrypted)?;
            }
        }
        Ok(encrypted)
    }

    /// Sends this byte repeatedly on another thread, with pauses. Not for TLS.
    pub(crate) fn trickle(&self, byte: u8) -> Trickle {
        assert!(self.tls.is_none(), "a TLS record is longer than a byte");
        let mut socket = self.socket.try_clone().expect("a socket can be cloned");
        let (stop, stopped) = bounded::<()>(0);
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout)
                && socket.write_all(&[byte]).is_ok()
            {}
        });
        Trickle {
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> &mut Self {
        self.send(request::get(target))
    }

    #[track_caller]
    pub(crate) fn get_and_close(&mut self, target: &str) -> &mut Self {
        self.send(request::get_and_close(target))
    }

    #[track_caller]
    pub(crate) fn post(&mut self, target: &str, body: impl AsRef<[u8]>) -> &mut Self {
        self.send(request::post(target, body))
    }

    /// Shuts down the sending side.
    #[track_caller]
    pub(crate) fn finish_sending(&mut self) -> &mut Self {
        self.try_finish_sending().expect("the connection is open");
        self
    }

    /// Shuts down the sending side of a connection that the server may have closed.
    pub(crate) fn try_finish_sending(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            tls.write_tls(&mut self.socket)?;
        }
        self.socket.shutdown(Shutdown::Write)
    }

    /// Resets the connection.
    #[track_caller]
    pub(crate) fn reset(self) {
        let lingering = self.socket.set_linger(Some(Duration::ZERO));
        lingering.expect("SO_LINGER can be set");
    }

    /// Reads the next response.
    #[track_caller]
    pub(crate) fn expect_response(&mut self) -> Response {
        self.read_response(Content::AsFramed)
    }

    /// Reads the next response, to a HEAD request.
    #[track_caller]
    pub(crate) fn expect_response_to_head(&mut self) -> Response {
        self.read_response(Content::Omitted)
    }

    /// Reads the next response and checks its status.
    #[track_caller]
    pub(crate) fn expect_status(&mut self, status: u16) -> Response {
        let response = self.expect_response();
        assert_eq!(response.status, status, "{response:?}");
        response
    }

    /// Reads the next response and checks that it is a 200 with this body.
    #[track_caller]
    pub(crate) fn expect_body(&mut self, body: impl AsRef<[u8]>) -> Response {
        let (response, body) = (self.expect_status(200), body.as_ref());
        assert!(
            response.body == body,
            "the body is {} and not {}",
            excerpt(&response.body),
            excerpt(body)
        );
        response
    }

    /// Reads this many bytes.
    #[track_caller]
    pub(crate) fn expect_bytes(&mut self, count: usize) -> Vec<u8> {
        self.take(count)
    }

    /// Reads this many bytes, or learns how the connection ended before.
    #[track_caller]
    pub(crate) fn bytes_or_end(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.received.len() < count {
            if let Some(end) = self.read_or_end() {
                return Err(end);
            }
        }
        Ok(self.take(count))
    }

    /// The server closes the connection normally and sends nothing before.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        let (rest, end) = self.read_rest();
        assert_eq!(
            (excerpt(&rest), end),
            (excerpt(b""), End::Closed),
            "bytes before the end, and how it ended"
        );
    }

    /// Whether the connection is reset before a byte is received.
    #[track_caller]
    pub(crate) fn is_reset_early(&mut self) -> bool {
        match self.received.is_empty().then(|| self.read()) {
            Some(Err(error)) if is_reset(&error) => true,
            Some(Err(error)) => panic!("receive failed: {error}"),
            _ => false,
        }
    }

    /// Reads some bytes and discards them.
    pub(crate) fn try_discard(&mut self) -> io::Result<()> {
        let count = self.read()?;
        self.received.clear();
        if count == 0 {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }

    /// Reads until the connection ends.
    #[track_caller]
    pub(crate) fn read_rest(&mut self) -> (Vec<u8>, End) {
        let end = loop {
            if let Some(end) = self.read_or_end() {
                break end;
            }
        };
        (std::mem::take(&mut self.received), end)
    }

    /// Reads some bytes. Returns how the connection ended if it has.
    #[track_caller]
    fn read_or_end(&mut self) -> Option<End> {
        match self.read() {
            Ok(0) => Some(End::Closed),
            Ok(_) => None,
            Err(error) if is_reset(&error) => Some(End::Reset),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Some(End::Truncated),
            Err(error) => panic!("neither bytes nor an end: {error}"),
        }
    }

    #[track_caller]
    fn read_response(&mut self, content: Content) -> Response {
        let mut response = self.read_head();
        let has_body =
            content == Content::AsFramed && !matches!(response.status, 100..=199 | 204 | 304);
        if has_body {
            response.body = match (
                response.header("transfer-encoding"),
                response.header("content-length"),
            ) {
                (Some("chunked"), None) => self.read_chunks(),
                (None, Some(length)) => {
                    let length = length.parse().expect("Content-Length is a number");
                    self.take(length)
                }
                (None, None) => {
                    let (rest, end) = self.read_rest();
                    assert_eq!(end, End::Closed, "after {}", excerpt(&rest));
                    rest
                }
                framing => panic!("unknown framing: {framing:?}"),
            };
        }
        response
    }

    #[track_caller]
    fn read_head(&mut self) -> Response {
        let head = self.take_until(b"\r\n\r\n");
        let head = String::from_utf8(head).expect("a head is text");
        let mut lines = head.split_terminator("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        let Some(status) = status else {
            panic!("no status line: {status_line:?}");
        };
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (name, value) = line.split_once(": ").expect("a header has a name");
                (name.to_ascii_lowercase(), value.to_owned())
            })
            .collect();
        Response {
            status,
            headers,
            body: Vec::new(),
        }
    }

    #[track_caller]
    fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = String::from_utf8(self.take_until(b"\r\n")).expect("a size is text");
            let size = usize::from_str_radix(size.trim_end(), 16).expect("a size is hexadecimal");
            body.extend_from_slice(&self.take(size));
            assert_eq!(self.take(2), b"\r\n", "after a chunk");
            if size == 0 {
                return body;
            }
        }
    }

    #[track_caller]
    fn take_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut from = 0;
        loop {
            let found = self.received[from..]
                .windows(end.len())
                .position(|window| window == end);
            if let Some(at) = found {
                return self.take(from + at + end.len());
            }
            from = self.received.len().saturating_sub(end.len());
            self.read_more();
        }
    }

    #[track_caller]
    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            self.read_more();
        }
        let rest = self.received.split_off(count);
        std::mem::replace(&mut self.received, rest)
    }

    #[track_caller]
    fn read_more(&mut self) {
        match self.read() {
            Ok(0) => panic!("closed after {}", excerpt(&self.received)),
            Ok(_) => {}
            Err(error) => panic!("no response: {error}, after {}", excerpt(&self.received)),
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let count = loop {
            let read = match &mut self.tls {
                Some(tls) => Stream::new(&mut **tls, &mut self.socket).read(&mut buffer),
                None => self.socket.read(&mut buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.received.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

impl Drop for Trickle {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Response {
    /// The value of a header that may occur at most once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert_eq!(values.next(), None, "{name} occurs once");
        value
    }

    /// Whether the response has `Connection: close`.
    #[track_caller]
    pub(crate) fn announces_close(&self) -> bool {
        self.header("connection") == Some("close")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), ConnectionReset | BrokenPipe)
}

/// The start of some bytes, for a message.
fn excerpt(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(200)];
    format!(
        "{} bytes: {:?}",
        bytes.len(),
        String::from_utf8_lossy(start)
    )
}
