//! A load at a fixed rate, whatever the server does.
//!
//! A client that waits for an answer before it asks again asks less of a server that is slow, and
//! never sees what others would have waited. Here each request has a moment at which it is due;
//! its time runs from there, also while it waits for a connection that is free.

#![allow(dead_code, reason = "each bench needs a part of it")]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;

/// How long answers are waited for after the last request was due.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) duration: Duration,
    pub(crate) request: &'a [u8],
    /// Another request, in the place of each one of so many.
    pub(crate) other: Option<(usize, &'a [u8])>,
}

/// How long answers took, from the moment that their requests were due.
#[derive(Debug, Default)]
pub(crate) struct Times {
    sorted: Vec<Duration>,
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) times: Times,
    pub(crate) other_times: Times,
    /// Of answers with another status than 2xx, to either request.
    pub(crate) refused_times: Times,
    /// Other answers that came before the last request was due.
    pub(crate) while_asked: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Usual,
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    at: Instant,
    kind: Kind,
}

struct Connection {
    stream: TcpStream,
    asked: Option<Due>,
    /// What is known of the answer, once it has begun.
    answer: Option<Answer>,
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    is_refusal: bool,
    /// How many bytes are missing.
    missing: usize,
}

struct Run<'a> {
    load: Load<'a>,
    end: Instant,
    /// Bytes of the answers to the usual request and to the other.
    lengths: [usize; 2],
    connections: Vec<Connection>,
    /// The one that has been free for longest comes first: all are used, and none is idle for so
    /// long that the server ends it.
    free: VecDeque<usize>,
    /// Requests that are due and find no connection free.
    waiting: VecDeque<Due>,
    outcome: Outcome,
    buffer: Vec<u8>,
}

impl Times {
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// How many came within this time.
    pub(crate) fn count_within(&self, time: Duration) -> usize {
        self.sorted.partition_point(|one| *one <= time)
    }

    /// The time within which this share of all answers came.
    pub(crate) fn within(&self, share: f64) -> Duration {
        let rank = (self.sorted.len() as f64 * share).ceil() as usize;
        let index = rank.clamp(1, self.sorted.len().max(1)) - 1;
        self.sorted.get(index).copied().unwrap_or_default()
    }
}

impl Load<'_> {
    /// Puts it on the server.
    pub(crate) fn run(self) -> io::Result<Outcome> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut run = Run::new(self, &poll)?;
        let gap = Duration::from_secs_f64(1.0 / self.rate);
        let total = (self.duration.as_secs_f64() * self.rate) as u32;
        let began = Instant::now();
        run.end = began + self.duration;
        let end = run.end + PATIENCE;
        let (mut sent, mut events) = (0, Vec::with_capacity(256));
        while sent < total || !run.is_done() {
            let now = Instant::now();
            if now > end {
                return Err(ErrorKind::TimedOut.into());
            }
            while sent < total && began + gap * sent <= now {
                run.ask_or_wait(began + gap * sent)?;
                sent += 1;
            }
            let next = if sent < total {
                began + gap * sent
            } else {
                end
            };
            let patience = next.saturating_duration_since(Instant::now());
            let timeout = rustix::event::Timespec::try_from(patience).ok();
            events.clear();
            match epoll::wait(&poll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                run.receive(event.data.u64() as usize)?;
            }
        }
        let mut outcome = run.outcome;
        outcome.times.sorted.sort_unstable();
        outcome.other_times.sorted.sort_unstable();
        outcome.refused_times.sorted.sort_unstable();
        Ok(outcome)
    }
}

impl<'a> Run<'a> {
    fn new(load: Load<'a>, poll: &OwnedFd) -> io::Result<Self> {
        let length = |request: &[u8]| answer_length(load.address, request);
        let lengths = [
            length(load.request)?,
            load.other.map_or(Ok(0), |(_, request)| length(request))?,
        ];
        let mut connections = Vec::with_capacity(load.connections);
        for index in 0..load.connections {
            let stream = TcpStream::connect(load.address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(index as u64);
            epoll::add(poll, &stream, data, EventFlags::IN)?;
            connections.push(Connection {
                stream,
                asked: None,
                answer: None,
            });
        }
        Ok(Self {
            load,
            end: Instant::now(),
            lengths,
            free: (0..connections.len()).collect(),
            connections,
            waiting: VecDeque::new(),
            outcome: Outcome::default(),
            buffer: vec![0; 64 * 1024],
        })
    }

    fn is_done(&self) -> bool {
        self.free.len() == self.connections.len() && self.waiting.is_empty()
    }

    fn ask_or_wait(&mut self, at: Instant) -> io::Result<()> {
        let Outcome {
            times,
            other_times,
            refused_times,
            ..
        } = &self.outcome;
        let count = times.count() + other_times.count() + refused_times.count();
        let begun = count + self.waiting.len() + self.connections.len() - self.free.len();
        let kind = match self.load.other {
            Some((each, _)) if begun.is_multiple_of(each) => Kind::Other,
            _ => Kind::Usual,
        };
        let due = Due { at, kind };
        match self.free.pop_front() {
            Some(index) => self.ask(index, due),
            None => {
                self.waiting.push_back(due);
                Ok(())
            }
        }
    }

    fn ask(&mut self, index: usize, due: Due) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let request = match (due.kind, self.load.other) {
            (Kind::Other, Some((_, request))) => request,
            _ => self.load.request,
        };
        connection.asked = Some(due);
        // A request is far smaller than what a socket holds, and none is sent behind another.
        connection.stream.write_all(request)
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let received = match connection.stream.read(&mut self.buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => &self.buffer[..count],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(due) = connection.asked else {
            return Err(io::Error::other("an answer to nothing"));
        };
        let mut answer = match connection.answer.take() {
            Some(answer) => answer,
            None => Answer::begin(received, self.lengths[due.kind as usize])?,
        };
        answer.missing = answer
            .missing
            .checked_sub(received.len())
            .ok_or_else(|| io::Error::other("an answer is longer than the first one"))?;
        if answer.missing > 0 {
            connection.answer = Some(answer);
            return Ok(());
        }
        connection.asked = None;
        let now = Instant::now();
        let outcome = &mut self.outcome;
        let times = match due.kind {
            _ if answer.is_refusal => &mut outcome.refused_times,
            Kind::Usual => &mut outcome.times,
            Kind::Other => &mut outcome.other_times,
        };
        times.sorted.push(now - due.at);
        outcome.while_asked += usize::from(!answer.is_refusal && now <= self.end);
        match self.waiting.pop_front() {
            Some(due) => self.ask(index, due),
            None => {
                self.free.push_back(index);
                Ok(())
            }
        }
    }
}

impl Answer {
    /// What the first bytes say of an answer, which is this long if it is no refusal.
    fn begin(received: &[u8], usual: usize) -> io::Result<Self> {
        let is_refusal = !received.starts_with(b"HTTP/1.1 2");
        let length = if is_refusal {
            whole_length(received)
        } else {
            Some(usual)
        };
        Ok(Self {
            is_refusal,
            missing: length.ok_or_else(|| io::Error::other("a head came in pieces"))?,
        })
    }
}

/// How many bytes this is answered with; every answer but a refusal is as long as the first.
fn answer_length(address: SocketAddr, request: &[u8]) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&part[..count]);
        if let Some(length) = whole_length(&answer).filter(|length| *length <= answer.len()) {
            return Ok(length);
        }
    }
}

/// How long the answer at the start of some bytes is, once its head is there.
fn whole_length(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| {
        line.strip_prefix("content-length:")?
            .trim()
            .parse::<usize>()
            .ok()
    })?;
    Some(end + length)
}
