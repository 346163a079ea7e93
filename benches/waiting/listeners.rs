//! Many clients that listen to events, on one thread.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::time::{ClockId, clock_gettime};

use crate::serving::Serving;

/// The longest wait for an event.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Connected clients.
pub(crate) struct Listeners {
    epoll: OwnedFd,
    streams: Vec<TcpStream>,
}

/// The time of a clock that all processes share.
pub(crate) fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    now.try_into().expect("the clock is positive")
}

impl Listeners {
    /// Connects this many clients, and waits until each has the head of its response. `topic` says what
    /// each of them listens to.
    pub(crate) fn connect(server: &Serving, count: usize, topic: fn(usize) -> usize) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a descriptor is free");
        let streams = (0..count).map(|index| {
            let mut stream = server.connect();
            let topic = topic(index);
            let request = format!("GET /events?{topic} HTTP/1.1\r\nHost: bench\r\n\r\n");
            let sent = stream.write_all(request.as_bytes());
            sent.expect("the server takes a request");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("the server responds");
                head.extend(byte);
            }
            stream.set_nonblocking(true).expect("sockets have the mode");
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)
                .expect("a socket can be watched");
            stream
        });
        let streams = streams.collect();
        Self { epoll, streams }
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
        let text = String::from_utf8_lossy(&buffer[..count]);
        // Each event is small, so it arrives in one piece. A comment has no data.
        for line in text.lines() {
            if let Some(sent) = line.strip_prefix("data:") {
                let sent = sent.trim().parse().expect("the data is a time");
                times.push(received.saturating_sub(Duration::from_nanos(sent)));
            }
        }
    }
}
