//! Runs a case against the protocol alone, without a socket, a clock or threads.

use std::mem;

use httpool::http2::{PREFACE, Preface};

use super::expected::{Match, compare};
use super::received::Client;
use super::record::{After, Case, Step};
use super::scripted::Scripted;
use super::splits::Split;

/// Runs a case and returns its events, which must not depend on the split.
pub(crate) fn run(case: &Case, after: After, split: Split) -> Result<Vec<String>, String> {
    let mut connection = Connection::default();
    let mut client = Client::new(case.max_frame_size);
    let mut start = 0;
    for step in &case.steps {
        if let (true, Protocol::Http2(http2)) = (step.drains, &mut connection.protocol) {
            http2.drain();
        }
        for part in split.parts(&step.bytes, start) {
            connection.receive(part);
        }
        start += step.bytes.len();
        if let (true, Protocol::Http2(http2)) = (step.half_close, &mut connection.protocol) {
            http2.half_close();
        }
        check_step(step, &mut client, &mut connection)?;
    }
    client.check_end()?;
    let got = connection.after();
    if got != after {
        return Err(format!("the connection is {got:?}, not {after:?}"));
    }
    Ok(match connection.protocol {
        Protocol::Http2(http2) => http2.events,
        Protocol::Unknown | Protocol::Http1 => Vec::new(),
    })
}

fn check_step(step: &Step, client: &mut Client, connection: &mut Connection) -> Result<(), String> {
    let is_http1 = matches!(connection.protocol, Protocol::Http1);
    if is_http1 == step.http1.is_empty() {
        return Err(format!("the protocol is HTTP/1.1: {is_http1}"));
    }
    if let Protocol::Http2(http2) = &mut connection.protocol {
        client.receive(&mem::take(&mut http2.out))?;
    }
    match compare(&step.expected, &client.take()) {
        Match::Complete => Ok(()),
        Match::Incomplete(what) => Err(format!("missing: {what}")),
        Match::Mismatch(what) => Err(what),
    }
}

#[derive(Default)]
struct Connection {
    /// What is not used yet.
    input: Vec<u8>,
    protocol: Protocol,
}

#[derive(Default)]
enum Protocol {
    /// The preface is incomplete.
    #[default]
    Unknown,
    Http1,
    Http2(Box<Scripted>),
}

impl Connection {
    fn receive(&mut self, part: &[u8]) {
        self.input.extend_from_slice(part);
        if let Protocol::Unknown = self.protocol {
            match Preface::detect(&self.input) {
                Preface::Complete => {
                    self.input.drain(..PREFACE.len());
                    self.protocol = Protocol::Http2(Box::new(Scripted::new()));
                }
                Preface::Partial => {}
                Preface::Other => self.protocol = Protocol::Http1,
            }
        }
        if let Protocol::Http2(http2) = &mut self.protocol {
            let unused = http2.receive(&self.input);
            self.input.drain(..self.input.len() - unused);
        }
    }

    fn after(&self) -> After {
        match &self.protocol {
            Protocol::Unknown => After::Waiting,
            Protocol::Http1 => After::Closed,
            Protocol::Http2(http2) if http2.is_closed() => After::Closed,
            // A frame or a header block is incomplete.
            Protocol::Http2(http2) if http2.in_head || !self.input.is_empty() => After::Waiting,
            Protocol::Http2(_) => After::Open,
        }
    }
}
