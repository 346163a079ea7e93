//! Sends a case to a server over a socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;

use super::expected::{Match, compare};
use super::received::Client;
use super::record::{After, Case, Step};
use super::transport::{Stream, Transport};
use crate::server::Server;

/// More than this is sent on another thread, since the server may respond before it has received
/// everything.
const LARGE: usize = 64 * 1024;

/// Whether a case can be run over this transport. A TLS client can't send on another thread, and it
/// has agreed on HTTP/2.
pub(crate) fn fits(case: &Case, transport: Transport) -> bool {
    let fits = |step: &Step| step.bytes.len() < LARGE && step.http1.is_empty();
    transport == Transport::Tcp || case.steps.iter().all(fits)
}

/// Runs a case on a connection of its own. A drain ends a server, so it gets one of its own as well.
pub(crate) fn run(
    case: &Case,
    after: After,
    shared: &Server,
    transport: Transport,
) -> Result<(), String> {
    if !case.steps.iter().any(|step| step.drains) {
        return Connection::open(case, shared, transport)?.run(case, after, shared);
    }
    let own = Server::start_http2();
    let result = Connection::open(case, &own, transport);
    let result = result.and_then(|open| open.run(case, after, &own));
    own.stop();
    result
}

struct Connection {
    stream: Stream,
    client: Client,
    /// What a server sends that speaks HTTP/1.1.
    http1: Vec<u8>,
    /// The server has closed its sending side.
    has_ended: bool,
}

impl Connection {
    fn open(case: &Case, server: &Server, transport: Transport) -> Result<Self, String> {
        let socket = server.connect(transport).map_err(fail("connecting"))?;
        Ok(Self {
            stream: Stream::new(socket, transport),
            client: Client::new(case.max_frame_size),
            http1: Vec::new(),
            has_ended: false,
        })
    }

    fn run(mut self, case: &Case, after: After, server: &Server) -> Result<(), String> {
        for (number, step) in (1..).zip(&case.steps) {
            if step.drains {
                server.drain();
            }
            let after = (number == case.steps.len()).then_some(after);
            if step.bytes.len() < LARGE {
                // A server that has ended the connection does not receive everything.
                let sent = self.stream.send(&step.bytes);
                if sent.is_ok() && step.half_close {
                    self.stream.half_close().map_err(fail("half-closing"))?;
                }
                self.step(step, after)?;
            } else {
                self.large_step(step, after)?;
            }
        }
        self.client.check_end()
    }

    fn large_step(&mut self, step: &Step, after: Option<After>) -> Result<(), String> {
        assert!(!step.half_close, "no large step ends the connection");
        let sending = self.stream.socket().try_clone();
        let mut sending = sending.map_err(fail("setting up"))?;
        thread::scope(|scope| {
            scope.spawn(move || {
                let _ = sending.write_all(&step.bytes);
            });
            let received = self.step(step, after);
            if self.has_ended || received.is_err() {
                let _ = self.stream.socket().shutdown(Shutdown::Both);
            }
            received
        })
    }

    /// Receives what a step expects. After the last step, receives everything.
    fn step(&mut self, step: &Step, after: Option<After>) -> Result<(), String> {
        loop {
            match self.compare(step) {
                Match::Incomplete(missing) if self.has_ended => {
                    return Err(format!("missing: {missing}"));
                }
                Match::Incomplete(_) => drop(self.read(step)?),
                Match::Mismatch(failure) => return Err(failure),
                Match::Complete => break,
            }
        }
        if after == Some(After::Waiting) {
            self.stream.half_close().map_err(fail("half-closing"))?;
        }
        if matches!(after, Some(After::Closed | After::Waiting)) {
            while self.read(step)? {}
        }
        let result = self.compare(step);
        self.client.take();
        match result {
            Match::Complete => Ok(()),
            Match::Incomplete(failure) | Match::Mismatch(failure) => Err(failure),
        }
    }

    fn compare(&self, step: &Step) -> Match {
        if step.http1.is_empty() {
            return compare(&step.expected, self.client.received());
        }
        match self.has_ended {
            true if statuses(&self.http1) == step.http1 => Match::Complete,
            true => Match::Mismatch(format!("the server sent {}", self.http1.escape_ascii())),
            false => Match::Incomplete("the responses".to_owned()),
        }
    }

    /// Receives more. Returns whether there was more.
    fn read(&mut self, step: &Step) -> Result<bool, String> {
        let mut bytes = [0; 16 * 1024];
        let count = match self.stream.read(&mut bytes) {
            Ok(count) => count,
            // A client that has left a request incomplete gets no close_notify.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && step.half_close => 0,
            Err(error) => {
                let received = self.client.received();
                return Err(format!("no orderly close: {error}, after {received:?}"));
            }
        };
        self.has_ended = count == 0;
        match step.http1.is_empty() {
            true => self.client.receive(&bytes[..count])?,
            false => self.http1.extend_from_slice(&bytes[..count]),
        }
        Ok(count > 0)
    }
}

/// The statuses of all responses in HTTP/1.1.
fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split("HTTP/1.1 ").skip(1);
    // Bodies name the version, too.
    let statuses = lines.filter_map(|line| line.get(..3)?.parse().ok());
    statuses.collect()
}

fn fail(step: &'static str) -> impl Fn(io::Error) -> String {
    move |error| format!("{step}: {error}")
}
