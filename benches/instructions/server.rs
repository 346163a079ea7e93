//! Counts the whole server: the program with one worker, from socket to socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::callgrind::{Counting, Counts};
use crate::messages::{BODY, CURL_GET, post};
use crate::program::{PROGRAM, Program};

/// Start-up and shutdown are in both, so the difference is the requests alone.
const FEW: u64 = 100;
const MANY: u64 = 600;

const PIPELINED: usize = 16;

/// A request that is sent repeatedly, each time after the last response.
struct Case {
    name: &'static str,
    /// Additional arguments of the program.
    flags: &'static [&'static str],
    message: fn() -> Vec<u8>,
    requests: usize,
    /// The end of each response, which occurs nowhere else in it.
    ending: &'static [u8],
    connections: Connections,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connections {
    /// All requests use one connection.
    Kept,
    /// Each request has its own connection.
    Closed,
}

const CASES: [Case; 5] = [
    Case {
        name: "server/get",
        flags: &[],
        message: || CURL_GET.into(),
        requests: 1,
        ending: b"</h1>",
        connections: Connections::Kept,
    },
    Case {
        name: "server/get_with_json_line",
        flags: &["--access-log", "/dev/null", "--access-log-format", "json"],
        message: || CURL_GET.into(),
        requests: 1,
        ending: b"</h1>",
        connections: Connections::Kept,
    },
    Case {
        name: "server/post_1k",
        flags: &[],
        message: || post(None),
        requests: 1,
        ending: &BODY,
        connections: Connections::Kept,
    },
    Case {
        name: "server/get_pipelined",
        flags: &[],
        message: || CURL_GET.repeat(PIPELINED).into(),
        requests: PIPELINED,
        ending: b"</h1>",
        connections: Connections::Kept,
    },
    Case {
        name: "server/get_and_close",
        flags: &[],
        message: || {
            CURL_GET
                .replace("Accept:", "Connection: close\r\nAccept:")
                .into()
        },
        requests: 1,
        ending: b"</h1>",
        connections: Connections::Closed,
    },
];

/// Sends some requests of each kind, uncounted.
pub(crate) fn try_out() {
    for case in &CASES {
        let server = Program::start(Command::new(PROGRAM).env_clear().args(case.flags));
        case.exchange(&server, 3);
        server.stop();
    }
}

/// The instructions for a request of each kind.
pub(crate) fn count() -> impl Iterator<Item = (&'static str, u64)> {
    CASES.iter().map(|case| {
        let instructions = case.total(MANY) - case.total(FEW);
        let requests = (MANY - FEW) * case.requests as u64;
        (case.name, instructions / requests)
    })
}

impl Case {
    fn total(&self, messages: u64) -> u64 {
        let counting = Counting::new();
        let server = Program::start(counting.command(PROGRAM).args(self.flags));
        self.exchange(&server, messages);
        server.stop();
        let Counts {
            main_thread,
            other_threads,
        } = counting.counts();
        match self.connections {
            // The acceptor checks the deadlines ten times a second, which takes more instructions
            // in a longer run, and does nothing else for kept connections.
            Connections::Kept => other_threads,
            Connections::Closed => other_threads + main_thread,
        }
    }

    fn exchange(&self, server: &Program, messages: u64) {
        let message = (self.message)();
        let mut kept = None;
        for _ in 0..messages {
            let stream = kept.get_or_insert_with(|| server.connect());
            stream
                .write_all(&message)
                .expect("the server takes a request");
            self.receive(stream);
            if self.connections == Connections::Closed {
                let more = stream
                    .read(&mut [0])
                    .expect("the server closes the connection");
                assert_eq!(
                    more, 0,
                    "{}: unexpected bytes after the response",
                    self.name
                );
                kept = None;
            }
            server.sleep();
        }
        drop(kept);
        server.sleep();
    }

    fn receive(&self, stream: &mut TcpStream) {
        let mut responses = Vec::new();
        let mut buffer = [0; 8 * 1024];
        while self.count_ends(&responses) < self.requests {
            let count = stream.read(&mut buffer).expect("the server responds");
            assert_ne!(count, 0, "{}: the server closed the connection", self.name);
            responses.extend(&buffer[..count]);
        }
        assert!(responses.starts_with(b"HTTP/1.1 200 "), "{}", self.name);
    }

    fn count_ends(&self, responses: &[u8]) -> usize {
        let parts = responses.windows(self.ending.len());
        parts.filter(|part| *part == self.ending).count()
    }
}
