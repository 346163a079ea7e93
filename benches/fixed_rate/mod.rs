//! A load at a fixed rate, whatever the server does.
//!
//! A client that waits for a response before the next request sends fewer requests to a slow
//! server, and never sees the waiting times of others. Here each request has a due moment, from
//! which its time counts, including the wait for a free connection.

#![allow(dead_code, reason = "each bench needs a part of it")]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::thread::set_current_timer_slack;

/// How long to wait for responses after the last due moment.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The parameters of a load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) duration: Duration,
    pub(crate) request: &'a [u8],
    /// Another request, in the place of one request in this many.
    pub(crate) other: Option<(usize, &'a [u8])>,
}

/// Response times, from the due moment of each request.
#[derive(Debug, Default)]
pub(crate) struct Times {
    sorted: Vec<Duration>,
}

/// The results of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) times: Times,
    pub(crate) other_times: Times,
    /// Responses with another status than 2xx, to either request.
    pub(crate) error_times: Times,
    /// Other responses that arrived before the last due moment.
    pub(crate) on_time: usize,
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
    request: Option<Due>,
    /// The known part of a response that has begun to arrive.
    response: Option<Response>,
}

#[derive(Debug, Clone, Copy)]
struct Response {
    is_error: bool,
    /// Missing bytes.
    missing: usize,
}

struct Run<'a> {
    load: Load<'a>,
    end: Instant,
    /// Bytes of the responses to the usual request and to the other one.
    lengths: [usize; 2],
    connections: Vec<Connection>,
    /// The connection that has been free longest comes first: all are used, and none is idle for so
    /// long that the server closes it.
    free: VecDeque<usize>,
    /// Requests that are due while no connection is free.
    waiting: VecDeque<Due>,
    outcome: Outcome,
    buffer: Vec<u8>,
}

impl Times {
    /// Adds the times of another load.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sorted.extend_from_slice(&other.sorted);
        self.sorted.sort_unstable();
    }

    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// How many arrived within this time.
    pub(crate) fn count_within(&self, time: Duration) -> usize {
        self.sorted.partition_point(|one| *one <= time)
    }

    /// The time within which this share of all responses arrived.
    pub(crate) fn within(&self, share: f64) -> Duration {
        let rank = (self.sorted.len() as f64 * share).ceil() as usize;
        let index = rank.clamp(1, self.sorted.len().max(1)) - 1;
        self.sorted.get(index).copied().unwrap_or_default()
    }
}

impl Load<'_> {
    /// Runs the load.
    pub(crate) fn run(self) -> io::Result<Outcome> {
        // The kernel delays timers by 50 us to let them end together. A server that this thread starts
        // later would inherit the setting.
        set_current_timer_slack(NonZeroU64::new(1))?;
        let outcome = self.run_on_time();
        set_current_timer_slack(None)?;
        outcome
    }

    fn run_on_time(self) -> io::Result<Outcome> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut run = Run::new(self, &poll)?;
        let gap = Duration::from_secs_f64(1.0 / self.rate);
        let total = (self.duration.as_secs_f64() * self.rate) as u32;
        let began = Instant::now();
        run.end = began + self.duration;
        let end = run.end + TIMEOUT;
        let (mut sent, mut events) = (0, Vec::with_capacity(256));
        while sent < total || !run.is_done() {
            let now = Instant::now();
            if now > end {
                return Err(ErrorKind::TimedOut.into());
            }
            while sent < total && began + gap * sent <= now {
                run.send_or_queue(began + gap * sent)?;
                sent += 1;
            }
            let next = if sent < total {
                began + gap * sent
            } else {
                end
            };
            wait(&poll, next.saturating_duration_since(Instant::now()))?;
            events.clear();
            let no_time = Timespec::default();
            epoll::wait(&poll, spare_capacity(&mut events), Some(&no_time))?;
            for event in &events {
                run.receive(event.data.u64() as usize)?;
            }
        }
        let mut outcome = run.outcome;
        outcome.times.sorted.sort_unstable();
        outcome.other_times.sorted.sort_unstable();
        outcome.error_times.sorted.sort_unstable();
        Ok(outcome)
    }
}

/// Waits until something arrives or the time has passed. `epoll::wait` would round the time up to
/// milliseconds.
fn wait(poll: &OwnedFd, time: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(time).ok();
    let mut waits = [PollFd::new(poll, PollFlags::IN)];
    match event::poll(&mut waits, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl<'a> Run<'a> {
    fn new(load: Load<'a>, poll: &OwnedFd) -> io::Result<Self> {
        let length = |request: &[u8]| response_length(load.address, request);
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
                request: None,
                response: None,
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

    fn send_or_queue(&mut self, at: Instant) -> io::Result<()> {
        let Outcome {
            times,
            other_times,
            error_times,
            ..
        } = &self.outcome;
        let count = times.count() + other_times.count() + error_times.count();
        let begun = count + self.waiting.len() + self.connections.len() - self.free.len();
        let kind = match self.load.other {
            Some((each, _)) if begun.is_multiple_of(each) => Kind::Other,
            _ => Kind::Usual,
        };
        let due = Due { at, kind };
        match self.free.pop_front() {
            Some(index) => self.send_request(index, due),
            None => {
                self.waiting.push_back(due);
                Ok(())
            }
        }
    }

    fn send_request(&mut self, index: usize, due: Due) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let request = match (due.kind, self.load.other) {
            (Kind::Other, Some((_, request))) => request,
            _ => self.load.request,
        };
        connection.request = Some(due);
        // A request is far smaller than a socket's buffer, and requests are not pipelined.
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
        let Some(due) = connection.request else {
            return Err(io::Error::other("a response without a request"));
        };
        let mut response = match connection.response.take() {
            Some(response) => response,
            None => Response::begin(received, self.lengths[due.kind as usize])?,
        };
        response.missing = response
            .missing
            .checked_sub(received.len())
            .ok_or_else(|| io::Error::other("a response is longer than the first one"))?;
        if response.missing > 0 {
            connection.response = Some(response);
            return Ok(());
        }
        connection.request = None;
        let now = Instant::now();
        let outcome = &mut self.outcome;
        let times = match due.kind {
            _ if response.is_error => &mut outcome.error_times,
            Kind::Usual => &mut outcome.times,
            Kind::Other => &mut outcome.other_times,
        };
        times.sorted.push(now - due.at);
        outcome.on_time += usize::from(!response.is_error && now <= self.end);
        match self.waiting.pop_front() {
            Some(due) => self.send_request(index, due),
            None => {
                self.free.push_back(index);
                Ok(())
            }
        }
    }
}

impl Response {
    /// Parses the first bytes of a response, which has this length if it is not an error.
    fn begin(received: &[u8], usual: usize) -> io::Result<Self> {
        let is_error = !received.starts_with(b"HTTP/1.1 2");
        let length = if is_error {
            whole_length(received)
        } else {
            Some(usual)
        };
        Ok(Self {
            is_error,
            missing: length.ok_or_else(|| io::Error::other("a head came in pieces"))?,
        })
    }
}

/// The length of the response to this; every response but an error is as long as the first.
fn response_length(address: SocketAddr, request: &[u8]) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request)?;
    let mut response = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        response.extend_from_slice(&part[..count]);
        if let Some(length) = whole_length(&response).filter(|length| *length <= response.len()) {
            return Ok(length);
        }
    }
}

/// The length of the response at the start of some bytes, once its head has arrived.
fn whole_length(response: &[u8]) -> Option<usize> {
    let end = response.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&response[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| {
        line.strip_prefix("content-length:")?
            .trim()
            .parse::<usize>()
            .ok()
    })?;
    Some(end + length)
}
