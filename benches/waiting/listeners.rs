//! Many clients that listen to events or messages, on one thread.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::time::{ClockId, clock_gettime};

use crate::beside::exchange;
use crate::serving::Serving;

/// The longest wait for an event.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the clients listen to. The content is always the time at which it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    /// Events of topics.
    Events,
    /// Text messages of WebSockets, which have no topics.
    WebSocket,
}

/// Connected clients.
pub(crate) struct Listeners {
    protocol: Protocol,
    epoll: OwnedFd,
    streams: Vec<TcpStream>,
}

/// The time of a clock that all processes share.
pub(crate) fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    now.try_into().expect("the clock is positive")
}

impl Protocol {
    /// The request of a listener.
    fn request(self, topic: usize) -> String {
        match self {
            // As an EventSource of a browser. nchan serves others differently.
            Self::Events => format!(
                "GET /events?{topic} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n"
            ),
            Self::WebSocket => "GET /socket HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\n\
                Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                .into(),
        }
    }

    /// Sends the current time to all listeners of a topic.
    pub(crate) fn send(self, stream: &mut TcpStream, topic: usize) {
        let time = now().as_nanos().to_string();
        let length = time.len();
        let path = match self {
            Self::Events => "send",
            Self::WebSocket => "message",
        };
        let request = format!(
            "POST /{path}?{topic} HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\n\
             Content-Length: {length}\r\n\r\n{time}"
        );
        exchange(stream, request.as_bytes());
    }

    /// The times in some bytes. Each message is small, so it arrives in one piece.
    fn times(self, received: &[u8]) -> Vec<Duration> {
        let texts = match self {
            Self::Events => event_texts(received),
            Self::WebSocket => frame_texts(received),
        };
        let times = texts.iter().map(|text| {
            let nanos = text.trim().parse().expect("the content is a time");
            Duration::from_nanos(nanos)
        });
        times.collect()
    }
}

/// The data of events. A comment has none.
fn event_texts(received: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(received);
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(str::to_owned).collect()
}

/// The text messages of short frames (RFC 6455 section 5.2).
fn frame_texts(mut received: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let [first, length, rest @ ..] = received {
        let (content, rest) = rest.split_at(usize::from(*length));
        // Others are pings.
        if *first == 0x81 {
            texts.push(String::from_utf8_lossy(content).into_owned());
        }
        received = rest;
    }
    texts
}

impl Listeners {
    /// Connects this many clients, and waits until each has the head of its response. `topic` says what
    /// each of them listens to.
    pub(crate) fn connect(
        server: &Serving,
        protocol: Protocol,
        count: usize,
        topic: fn(usize) -> usize,
    ) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a descriptor is free");
        let streams = (0..count).map(|index| {
            let stream = open(server, &protocol.request(topic(index)));
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)
                .expect("a socket can be watched");
            stream
        });
        let streams = streams.collect();
        Self {
            protocol,
            epoll,
            streams,
        }
    }

    /// Sends messages to all listeners, each when all have the one before, and returns for each the time
    /// since it was sent.
    pub(crate) fn broadcast(&mut self, server: &Serving, messages: usize) -> Vec<Duration> {
        let mut sender = server.connect();
        let mut times = Vec::new();
        for _ in 0..messages {
            self.protocol.send(&mut sender, 0);
            times.extend(self.receive(self.streams.len()));
        }
        times
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Receives this many events in all, and returns for each the time since it was sent.
    pub(crate) fn receive(&mut self, count: usize) -> Vec<Duration> {
        let mut times = Vec::with_capacity(count);
        let mut events = Vec::with_capacity(1024);
        let timeout = Timespec::try_from(TIMEOUT).expect("the time is short");
        while times.len() < count {
            events.clear();
            let ready = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout));
            assert!(
                ready.is_ok_and(|ready| ready > 0),
                "{} of {count} events arrived",
                times.len()
            );
            for event in &events {
                let index = usize::try_from(event.data.u64()).expect("an index was stored");
                self.read(index, &mut times);
            }
        }
        times
    }

    fn read(&mut self, index: usize, times: &mut Vec<Duration>) {
        let mut buffer = [0; 4096];
        let count = match self.streams[index].read(&mut buffer) {
            Ok(0) => panic!("a stream ended"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("a stream failed: {error}"),
        };
        let received = now();
        let sent = self.protocol.times(&buffer[..count]);
        times.extend(sent.iter().map(|sent| received.saturating_sub(*sent)));
    }
}

/// Sends the request on a new connection, and receives the head of the response.
fn open(server: &Serving, request: &str) -> TcpStream {
    let mut stream = server.connect();
    let sent = stream.write_all(request.as_bytes());
    sent.expect("the server takes a request");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the server responds");
        head.extend(byte);
    }
    stream.set_nonblocking(true).expect("sockets have the mode");
    stream
}
