//! The whole server's part: the program with one worker, from socket to socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::callgrind::{Counting, Counts};
use crate::messages::{BODY, CURL_GET, post};
use crate::program::{PROGRAM, Program};

/// Start-up and the end are in both, and what is between them is of the messages alone.
const FEW: u64 = 100;
const MANY: u64 = 600;

const PIPELINED: usize = 16;

/// What is sent again and again, each time when the last answer has come.
struct Case {
    name: &'static str,
    /// How the program is started besides.
    flags: &'static [&'static str],
    message: fn() -> Vec<u8>,
    requests: usize,
    /// What each answer ends with, and has nowhere else.
    ending: &'static [u8],
    connections: Connections,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connections {
    /// All messages go over one.
    Kept,
    /// Each message has its own.
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

/// Exchanges some messages of each kind, uncounted.
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
            // The acceptor looks at the deadlines ten times a second, which takes more instructions
            // when it takes longer, and does nothing else for connections that are kept.
            Connections::Kept => other_threads,
            Connections::Closed => other_threads + main_thread,
        }
    }

    fn exchange(&self, server: &Program, messages: u64) {
        let message = (self.message)();
        let mut kept = None;
        for _ in 0..messages {
            let stream = kept.get_or_insert_with(|| server.connect());
            stream.write_all(&message).expect("it takes a request");
            self.receive(stream);
            if self.connections == Connections::Closed {
                let more = stream.read(&mut [0]).expect("it ends the connection");
                assert_eq!(more, 0, "{}: nothing follows the answer", self.name);
                kept = None;
            }
            server.sleep();
        }
        drop(kept);
        server.sleep();
    }

    fn receive(&self, stream: &mut TcpStream) {
        let mut answers = Vec::new();
        let mut buffer = [0; 8 * 1024];
        while self.close_counts(&answers) < self.requests {
            let count = stream.read(&mut buffer).expect("it answers");
            assert_ne!(count, 0, "{}: it answers every request", self.name);
            answers.extend(&buffer[..count]);
        }
        assert!(answers.starts_with(b"HTTP/1.1 200 "), "{}", self.name);
    }

    fn close_counts(&self, answers: &[u8]) -> usize {
        let parts = answers.windows(self.ending.len());
        parts.filter(|part| *part == self.ending).count()
    }
}
