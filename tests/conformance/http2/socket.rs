//! Sends a case to a server over a socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use super::expected::{Match, compare};
use super::received::Client;
use super::record::{After, Case, Step};
use crate::server::Server;

/// Runs a case on a connection of its own. A drain ends a server, so it gets one of its own as well.
pub(crate) fn run(case: &Case, after: After, shared: &Server) -> Result<(), String> {
    if !case.steps.iter().any(|step| step.drains) {
        return Connection::open(case, shared)?.run(case, after, shared);
    }
    let own = Server::start_http2();
    let result = Connection::open(case, &own).and_then(|open| open.run(case, after, &own));
    own.stop();
    result
}

struct Connection {
    socket: TcpStream,
    client: Client,
    /// What a server sends that speaks HTTP/1.1.
    http1: Vec<u8>,
    /// The server has closed its sending side.
    has_ended: bool,
}

impl Connection {
    fn open(case: &Case, server: &Server) -> Result<Self, String> {
        Ok(Self {
            socket: server.connect().map_err(fail("connecting"))?,
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
            let mut sending = self.socket.try_clone().map_err(fail("setting up"))?;
            // Sends on another thread, since the server may respond before it has received
            // everything.
            thread::scope(|scope| {
                scope.spawn(move || {
                    // A server that has ended the connection does not receive everything.
                    let sent = sending.write_all(&step.bytes);
                    if sent.is_ok() && step.half_close {
                        let _ = sending.shutdown(Shutdown::Write);
                    }
                });
                let is_last = number == case.steps.len();
                let received = self.step(step, is_last.then_some(after));
                if self.has_ended || received.is_err() {
                    let _ = self.socket.shutdown(Shutdown::Both);
                }
                received
            })?;
        }
        self.client.check_end()
    }

    /// Receives what a step expects. After the last step, receives everything.
    fn step(&mut self, step: &Step, after: Option<After>) -> Result<(), String> {
        loop {
            match self.compare(step) {
                Match::Incomplete(_) if self.read(step)? => {}
                Match::Incomplete(missing) => return Err(format!("missing: {missing}")),
                Match::Mismatch(failure) => return Err(failure),
                Match::Complete => break,
            }
        }
        if after == Some(After::Waiting) {
            self.socket
                .shutdown(Shutdown::Write)
                .map_err(fail("half-closing"))?;
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
        let count = self.socket.read(&mut bytes).map_err(|error| {
            let received = self.client.received();
            format!("no orderly close: {error}, after {received:?}")
        })?;
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
    let statuses = lines.map(|line| line.get(..3).and_then(|status| status.parse().ok()));
    statuses.map(Option::unwrap_or_default).collect()
}

fn fail(step: &'static str) -> impl Fn(io::Error) -> String {
    move |error| format!("{step}: {error}")
}
