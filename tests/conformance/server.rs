//! A server on a loopback port, and clients that receive raw bytes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use httpool::{Builder, DrainReport, Handle, ListenAddr};

use crate::handler::TableHandler;
use crate::http2::transport::{CERTIFICATE, Transport};
use crate::record::{After, Case, Record};

/// The limits that the table assumes.
pub(crate) const MAX_HEADER_SIZE: usize = 16 * 1024;
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// The window of a connection of HTTP/2.
pub(crate) const CONNECTION_WINDOW: u32 = 256 * 1024;

/// That of a stream. It is not larger while a body is taken, so that what was taken must be given
/// back.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Longest time for any step. Only a failing case waits this long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// For a timeout that must not expire while a case runs.
const NEVER: Duration = Duration::from_secs(3600);

/// Sent after a case that leaves its connection open.
pub(crate) const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n";

pub(crate) struct Server {
    /// That for TCP alone, and perhaps that for TLS.
    addresses: Vec<String>,
    handle: Handle,
    thread: JoinHandle<io::Result<DrainReport>>,
}

/// Everything that a client received on a connection.
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) interims: usize,
}

impl Server {
    /// A server of HTTP/1.1 alone.
    pub(crate) fn start() -> Self {
        Self::start_with(|builder| builder.http2(false))
    }

    /// A server of HTTP/2 and HTTP/1.1.
    pub(crate) fn start_http2() -> Self {
        Self::start_with(|builder| {
            let builder = builder.http2(true).stream_window(STREAM_WINDOW);
            let builder = builder.connection_window(CONNECTION_WINDOW);
            builder.listen_tls(any_port(), CERTIFICATE.server.clone())
        })
    }

    fn start_with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let server = configure(httpool::Server::builder().listen(any_port()))
            .workers(2)
            .max_header_size(MAX_HEADER_SIZE)
            .max_body(MAX_BODY)
            .head_timeout(NEVER)
            .body_timeout(NEVER)
            .idle_timeout(NEVER)
            .bind()
            .expect("a loopback port is free");
        let addresses = server.local_addrs().iter().map(|address| match address {
            ListenAddr::Tcp { host, port } => format!("{host}:{port}"),
            other => panic!("tests do not connect to {other}"),
        });
        let addresses = addresses.collect();
        let handle = server.handle();
        Self {
            addresses,
            handle,
            thread: thread::spawn(move || server.run(TableHandler::new())),
        }
    }

    pub(crate) fn stop(self) {
        self.handle.shutdown_now();
        let ended = self.thread.join().expect("the server does not panic");
        ended.expect("the server does not fail");
    }

    /// Begins the drain.
    pub(crate) fn drain(&self) {
        self.handle.shutdown();
    }

    pub(crate) fn connect(&self, transport: Transport) -> io::Result<TcpStream> {
        let socket = TcpStream::connect(&self.addresses[transport as usize])?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        Ok(socket)
    }

    /// Sends a case and reads until the server has closed its sending side: at once if the case
    /// closes the connection, after the [`PROBE`] if it stays open, or after the client's
    /// half-close if the server waits.
    pub(crate) fn run(&self, record: &Record, case: &Case) -> Result<Received, String> {
        let fail = |step: &str| {
            let step = step.to_owned();
            move |error: io::Error| format!("{step}: {error}")
        };
        let mut socket = self.connect(Transport::Tcp).map_err(fail("connecting"))?;

        let mut bytes = &case.bytes[..];
        let mut interims = 0;
        if record.interim {
            let (head, body) = bytes.split_at(head_length(bytes));
            socket.write_all(head).map_err(fail("sending the head"))?;
            let mut interim = [0; httpool::http1::CONTINUE.len()];
            socket
                .read_exact(&mut interim)
                .map_err(fail("waiting for 100 Continue"))?;
            if interim != httpool::http1::CONTINUE {
                return Err(format!("no 100 Continue: {}", interim.escape_ascii()));
            }
            (bytes, interims) = (body, 1);
        }
        // Sends on another thread, since the server may respond before it has received everything.
        thread::scope(|scope| {
            let mut sending = socket.try_clone().map_err(fail("setting up"))?;
            let sender = scope.spawn(move || {
                sending.write_all(bytes)?;
                if record.after == After::Open && !record.half_close {
                    sending.write_all(PROBE)?;
                }
                if record.after == After::Waiting || record.half_close {
                    sending.shutdown(Shutdown::Write)?;
                }
                Ok(())
            });
            let mut received = Vec::new();
            let end = socket.read_to_end(&mut received);
            let sent = sender.join().expect("sending does not panic");
            if record.after != After::Closed {
                sent.map_err(fail("sending"))?;
            }
            end.map_err(|error| {
                format!(
                    "no orderly close: {error}, after {}",
                    received.escape_ascii()
                )
            })?;
            Ok(Received {
                bytes: received,
                interims,
            })
        })
    }
}

fn any_port() -> ListenAddr {
    "127.0.0.1:0".parse().expect("the address is valid")
}

/// Length of the head at the start of some bytes.
pub(crate) fn head_length(bytes: &[u8]) -> usize {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    end.map_or(bytes.len(), |at| at + 4)
}
