//! Good clients beside the attackers: they send requests at a fixed rate and follow every rule.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http2::{self, FrameReader};
use crate::serving::GET;

/// The number of good clients. Every other one speaks HTTP/2. Each has one request open at a time.
const CLIENTS: u32 = 10;

/// Time between two requests of one client.
const INTERVAL: Duration = Duration::from_millis(50);

/// One request in this many uses a connection of its own.
const NEWCOMERS: u32 = 10;

/// Timeout of a response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The good clients of one attack.
pub(crate) struct GoodClients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<GoodResults>>,
}

/// The results of the good clients.
#[derive(Debug, Default)]
pub(crate) struct GoodResults {
    /// Times of requests on keep-alive connections.
    pub(crate) kept: Vec<Duration>,
    /// Times of requests on their own connections, including the connect.
    pub(crate) new: Vec<Duration>,
    /// Reasons of failed requests.
    pub(crate) failures: Vec<io::Error>,
}

/// Whether clients open new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionUse {
    /// Clients stay on their first connections.
    Keep,
    /// Some requests use new connections.
    Renew,
}

impl GoodClients {
    pub(crate) fn begin(address: SocketAddr, connections: ConnectionUse) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..CLIENTS).map(|number| {
            let protocol = match number % 2 {
                0 => Protocol::Http1,
                _ => Protocol::Http2,
            };
            let mut kept = GoodClient::connect(address, protocol).expect("the server listens");
            kept.send_request().expect("the server responds");
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                thread::sleep(INTERVAL * number / CLIENTS);
                visit(address, kept, protocol, connections, &stop)
            })
        });
        Self {
            threads: threads.collect(),
            stop,
        }
    }

    pub(crate) fn leave(self) -> GoodResults {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = GoodResults::default();
        for thread in self.threads {
            let one = thread.join().expect("good clients do not panic");
            all.kept.extend(one.kept);
            all.new.extend(one.new);
            all.failures.extend(one.failures);
        }
        all
    }
}

/// Connects, sends one request, and disconnects.
pub(crate) fn request_once(address: SocketAddr) -> io::Result<()> {
    GoodClient::connect(address, Protocol::Http1)?.send_request()
}

fn visit(
    address: SocketAddr,
    mut kept: GoodClient,
    protocol: Protocol,
    connections: ConnectionUse,
    stop: &AtomicBool,
) -> GoodResults {
    let again = || GoodClient::connect(address, protocol);
    let mut good = GoodResults::default();
    let mut due = Instant::now();
    for number in 1.. {
        due += INTERVAL;
        let ahead = due.saturating_duration_since(Instant::now());
        thread::sleep(ahead);
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // The time of a request counts from when it was due, even if the one before it delayed it.
        let began = if ahead.is_zero() { due } else { Instant::now() };
        let (times, asked) = if connections == ConnectionUse::Renew && number % NEWCOMERS == 0 {
            let asked = again().and_then(|mut client| client.send_request());
            (&mut good.new, asked)
        } else {
            (&mut good.kept, kept.send_request())
        };
        // A server may close a connection between two requests. It says that it did not process the
        // second one, so every client repeats it.
        let asked = match asked {
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {
                let repeated = again().and_then(|mut client| {
                    client.send_request()?;
                    Ok(client)
                });
                repeated.map(|client| kept = client)
            }
            asked => asked,
        };
        match asked {
            Ok(()) => times.push(began.elapsed()),
            Err(error) => {
                good.failures.push(error);
                if let Ok(client) = again() {
                    kept = client;
                }
            }
        }
    }
    good
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// The connection of a good client.
struct GoodClient {
    stream: TcpStream,
    http2: Option<Http2>,
}

/// A connection of HTTP/2.
#[derive(Default)]
struct Http2 {
    reader: FrameReader,
    requests: u32,
}

impl GoodClient {
    fn connect(address: SocketAddr, protocol: Protocol) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let http2 = match protocol {
            Protocol::Http1 => None,
            Protocol::Http2 => {
                stream.write_all(&http2::preface(65_535))?;
                Some(Http2::default())
            }
        };
        Ok(Self { stream, http2 })
    }

    fn send_request(&mut self) -> io::Result<()> {
        match &mut self.http2 {
            None => send_http1_request(&mut self.stream),
            Some(http2) => http2.send_request(&mut self.stream),
        }
    }
}

impl Http2 {
    /// Responses that fit into the window of a connection.
    const CREDIT_EACH: u32 = 1000;

    fn send_request(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let id = 2 * self.requests + 1;
        self.requests += 1;
        let mut bytes = http2::get(id, "/");
        if self.requests.is_multiple_of(Self::CREDIT_EACH) {
            bytes.extend(http2::window_update(0, 13 * Self::CREDIT_EACH));
        }
        stream.write_all(&bytes)?;
        let mut buffer = [0; 1024];
        let (mut is_ended, mut is_ok, mut is_refused, mut failure) = (false, false, false, None);
        while !is_ended {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let mut has_settings = false;
            self.reader.read(&buffer[..count], |frame| {
                has_settings |= frame.is_settings();
                is_ok |= frame.is_ok(id);
                is_ended |= frame.ends(id);
                is_refused |= frame.refuses(id);
                failure = failure.take().or(frame.end());
            });
            if has_settings {
                stream.write_all(&http2::settings_ack())?;
            }
            if is_refused {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            if let Some(failure) = failure {
                return Err(io::Error::other(failure));
            }
        }
        match is_ok {
            true => Ok(()),
            false => Err(io::Error::other("the status is not 200")),
        }
    }
}

fn send_http1_request(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(GET)?;
    let mut response = Vec::new();
    let mut buffer = [0; 1024];
    while !response.ends_with(b"\r\n\r\nHello, World!") {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => response.extend_from_slice(&buffer[..count]),
        }
    }
    if response.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(io::Error::other(response.escape_ascii().to_string()))
}
